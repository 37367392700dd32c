"""Asking the agent over its UNIX socket, for commands."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any

import aiohttp

from hotslot.errors import AgentUnreachable

ANSWER_S = 5.0
"""How long a command waits for the agent's answer."""


def ask(socket: Path, path: str, limit_s: float = ANSWER_S) -> dict[str, Any]:
    """Return the agent's answer to ``GET path``; AgentUnreachable says why there is none."""
    try:
        return asyncio.run(_get(socket, path, limit_s))
    except PermissionError as error:
        raise _refused(socket, error) from error
    except (aiohttp.ClientConnectorError, OSError) as error:
        if getattr(error, "errno", None) == errno.EACCES:
            raise _refused(socket, error) from error
        raise AgentUnreachable(
            f"no agent answers at {socket} ({_reason(error)}); start it: systemctl start hotslotd"
        ) from error
    except (TimeoutError, aiohttp.ClientError, ValueError) as error:
        raise AgentUnreachable(
            f"the agent at {socket} gave no usable answer within {limit_s:g} s"
            f" ({_reason(error)}); see its log: journalctl -u hotslotd"
        ) from error


async def _get(socket: Path, path: str, limit_s: float) -> dict[str, Any]:
    limit = aiohttp.ClientTimeout(total=limit_s)
    connector = aiohttp.UnixConnector(str(socket))
    async with (
        aiohttp.ClientSession(connector=connector, timeout=limit) as session,
        session.get(f"http://hotslotd{path}") as answer,
    ):
        if answer.status == 403:
            raise PermissionError((await answer.text()).strip())
        answer.raise_for_status()
        found = await answer.json()
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - an answer, not an argument
    return found


def _refused(socket: Path, error: OSError) -> AgentUnreachable:
    """Return what a user is told whom the socket's mode or the agent refuses."""
    return AgentUnreachable(
        f"you may not ask the agent at {socket}: "
        + (error.strerror or str(error) or "no permission")
        + "; agent.socket_readers and the groups beside it say who may (docs/security.md)"
    )


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
