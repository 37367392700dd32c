"""What hooks and commands may ask, over HTTP: on the host-only network and on a UNIX socket.

Two applications that share nothing but the agent: the network one takes pokes and nothing else.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path

from hotslot.access import Access, Names, Role, for_user
from hotslot.config import host_port
from hotslot.doors import Bounds, Doors, Listening, listen
from hotslot.errors import ConfigError, Problem
from hotslot.pokes import Answer, Say
from hotslot.routes import App, Handler, Request, Response, figures, said
from hotslot.talk import talk

AnswerPoke = Callable[[str, str, str, str], Awaitable[Answer]]
"""Of event, job, worker and the address that asks."""

AnswerGate = Callable[[str, str, str, str], Awaitable[Answer]]
"""Of worker, have, wait and the address that asks."""

Status = Callable[[], Mapping[str, object]]
Look = Callable[[], Awaitable[Sequence[Mapping[str, object]]]]


def hook_app(answer: AnswerPoke, gate: AnswerGate) -> App:
    """Return the application for workers.

    ``POST /v1/poke`` with event, job and worker; ``GET /v1/gate`` with worker, have and wait.
    """

    async def poke(request: Request) -> Response:
        try:
            form = request.form()
        except ValueError:
            return said(Say.BAD, "the body is no form\n")
        event, job, worker = (form.get(name, "") for name in ("event", "job", "worker"))
        told = await answer(event, job, worker, request.remote)
        return said(told.say, f"{told.say.name.lower()} {told.words}\n")

    async def ask_gate(request: Request) -> Response:
        try:
            query = request.asked()
        except ValueError:
            return said(Say.BAD, "the query has no fields in UTF-8\n")
        worker, have, wait = (query.get(name, "") for name in ("worker", "have", "wait"))
        told = await gate(worker, have, wait, request.remote)
        word = "" if told.say is Say.READY else f"{told.say.name.lower()} "
        return said(told.say, f"{word}{told.words}\n")

    app = App()
    app.add("POST", "/v1/poke", poke)
    app.add("GET", "/v1/gate", ask_gate)
    return app


def command_app(status: Status, driver_check: Look) -> App:
    """Return the application for commands: ``GET /v1/status`` and ``GET /v1/driver-check``.

    Readers may GET what is not in ADMINS_ONLY; all else is for admins.
    """

    async def show(_: Request) -> Response:
        return figures(await _seen.get()(status()))

    async def check(_: Request) -> Response:
        return figures({"findings": await driver_check()})

    app = App()
    app.add("GET", "/v1/status", show)
    app.add("GET", "/v1/driver-check", check)
    return app


ADMINS_ONLY = frozenset({"/v1/driver-check"})
"""What changes nothing, but costs the hypervisor some calls."""

SHOWN_IN_PART = frozenset({"/v1/status"})
"""What those may ask who see their own jobs only: it blanks those of others."""

See = Callable[[Mapping[str, object]], Awaitable[Mapping[str, object]]]


async def _all(status: Mapping[str, object]) -> Mapping[str, object]:
    return status


_seen: ContextVar[See] = ContextVar("_seen", default=_all)
"""What returns a status as who asks now may see it."""


def _by_role(app: Handler, access: Access) -> Handler:
    """Return what refuses who may not ask, and says what a reader may see."""
    names = Names()

    async def check(request: Request) -> Response:
        peer = request.peer
        role = Role.NOBODY if peer is None else access.role(peer)
        in_part = access.own_jobs_only and role < Role.ADMIN
        reads = request.method in ("GET", "HEAD") and request.path not in ADMINS_ONLY
        if in_part:
            reads = reads and request.path in SHOWN_IN_PART
        if peer is None or role < (Role.READER if reads else Role.ADMIN):
            group = "agent.socket_group" if reads else "agent.socket_admin_group"
            return said(403, f"you are not a member of {group}\n")

        async def seen(status: Mapping[str, object]) -> Mapping[str, object]:
            return for_user(status, await names.name(peer.uid))

        before = _seen.set(seen if in_part else _all)
        try:
            return await app(request)
        finally:
            _seen.reset(before)

    return check


async def serve_hooks(
    app: Handler,
    address: str,
    key: str = "agent.listen",
    *,
    tls: ssl.SSLContext | None = None,
    bounds: Bounds | None = None,
) -> Listening:
    """Listen on an address that ``key`` of the configuration names; ConfigError when it cannot be
    had."""
    try:
        return await listen(Doors(talk(app), bounds or Bounds(), tls), host_port(address))
    except OSError as error:
        what = f"cannot listen on {address}: {error.strerror or error}"
        raise ConfigError("configuration", [Problem(key, what)]) from error


async def serve_commands(
    app: Handler, path: Path, access: Access | None = None, bounds: Bounds | None = None
) -> Listening:
    """Listen for commands on a UNIX socket, for those whom ``access`` gives a role.

    None: for root and the agent's own user.
    """
    access = access or Access(own_uid=os.geteuid())
    doors = Doors(talk(_by_role(app, access)), bounds or Bounds())
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            bound.bind(str(path))
        finally:
            os.umask(mask)
        if access.gid is not None:
            os.chown(path, -1, access.gid)
        path.chmod(access.mode)
        return await listen(doors, bound)
    except OSError as error:
        bound.close()
        what = f"cannot listen on {path}: {error.strerror or error}"
        raise ConfigError("configuration", [Problem("agent.socket", what)]) from error
