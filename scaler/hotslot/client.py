"""Asking the agent over its UNIX socket, for commands."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from http.client import responses
from pathlib import Path
from typing import Any

import h11

from hotslot.errors import AgentUnreachable

ANSWER_S = 5.0
"""How long a command waits for the agent's answer."""

READ_BYTES = 64 * 1024


def ask(socket: Path, path: str, limit_s: float = ANSWER_S) -> dict[str, Any]:
    """Return the agent's answer to ``GET path``; AgentUnreachable says why there is none."""
    try:
        return asyncio.run(_get(socket, path, limit_s))
    except PermissionError as error:
        raise _refused(socket, error) from error
    except (TimeoutError, ConnectionResetError, BrokenPipeError) as error:
        raise _useless(socket, limit_s, error) from error
    except OSError as error:
        raise AgentUnreachable(
            f"no agent answers at {socket} ({_reason(error)}); start it: systemctl start hotslotd"
        ) from error
    except (h11.ProtocolError, ValueError) as error:
        raise _useless(socket, limit_s, error) from error


async def _get(socket: Path, path: str, limit_s: float) -> dict[str, Any]:
    async with asyncio.timeout(limit_s):
        reader, writer = await asyncio.open_unix_connection(str(socket))
        with closing(writer):
            status, body = await _exchanged(reader, writer, path)
    if status == 403:
        raise PermissionError(body.decode("utf-8", "replace").strip())
    if status != 200:
        raise ValueError(f"{status} {responses.get(status, '')}")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - an answer, not an argument
    return found


async def _exchanged(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str
) -> tuple[int, bytes]:
    http = h11.Connection(h11.CLIENT)
    head = [("Host", "hotslotd"), ("Connection", "close")]
    asked = http.send(h11.Request(method="GET", target=path, headers=head)) or b""
    writer.write(asked + (http.send(h11.EndOfMessage()) or b""))
    status, body = 0, bytearray()
    while not isinstance(event := http.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
        else:
            data = await reader.read(READ_BYTES)
            if not data and not status:
                raise ConnectionResetError("it ended the connection without an answer")
            http.receive_data(data)
    return status, bytes(body)


def _useless(socket: Path, limit_s: float, error: Exception) -> AgentUnreachable:
    return AgentUnreachable(
        f"the agent at {socket} gave no usable answer within {limit_s:g} s"
        f" ({_reason(error)}); see its log: journalctl -u hotslotd"
    )


def _refused(socket: Path, error: OSError) -> AgentUnreachable:
    """Return what a user is told whom the socket's mode or the agent refuses."""
    return AgentUnreachable(
        f"you may not ask the agent at {socket}: "
        + (error.strerror or str(error) or "no permission")
        + "; agent.socket_readers and the groups beside it say who may (docs/security.md)"
    )


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
