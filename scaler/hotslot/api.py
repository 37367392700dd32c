"""What hooks and commands may ask, over HTTP: aiohttp on the host-only network and a UNIX socket.

Two applications that share nothing but the agent: the network one takes pokes and nothing else.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from hotslot.access import Access, Names, Role, for_user
from hotslot.config import host_port
from hotslot.doors import Bounds, Doors, listen
from hotslot.errors import ConfigError, Problem
from hotslot.pokes import Answer, Say

POKE_BYTES = 1024
"""Longest body of a poke; a real one has about 60 bytes."""

BODY_S = 10.0
"""How long a poke's body may take after its head."""

FORM = "application/x-www-form-urlencoded"

AnswerPoke = Callable[[str, str, str, str], Awaitable[Answer]]
"""Of event, job, worker and the address that asks."""

AnswerGate = Callable[[str, str, str, str], Awaitable[Answer]]
"""Of worker, have, wait and the address that asks."""

Status = Callable[[], Mapping[str, object]]
Look = Callable[[], Awaitable[Sequence[Mapping[str, object]]]]


def hook_app(answer: AnswerPoke, gate: AnswerGate) -> web.Application:
    """Return the application for workers.

    ``POST /v1/poke`` with event, job and worker; ``GET /v1/gate`` with worker, have and wait.
    """

    async def poke(request: web.Request) -> web.Response:
        if request.content_type != FORM:
            return web.Response(status=Say.BAD, text="the body is no form\n")
        try:
            async with asyncio.timeout(BODY_S):
                form = await request.post()
        except TimeoutError:
            return web.Response(status=408, text="too slow\n", headers={"Connection": "close"})
        except (ValueError, LookupError):
            return web.Response(status=Say.BAD, text="the body is no form\n")
        fields = [form.get(name, "") for name in ("event", "job", "worker")]
        if not all(isinstance(field, str) for field in fields):
            return web.Response(status=Say.BAD, text="fields must be text\n")
        event, job, worker = map(str, fields)
        said = await answer(event, job, worker, request.remote or "")
        return web.Response(status=int(said.say), text=f"{said.say.name.lower()} {said.words}\n")

    async def ask_gate(request: web.Request) -> web.Response:
        worker, have, wait = (request.query.get(name, "") for name in ("worker", "have", "wait"))
        said = await gate(worker, have, wait, request.remote or "")
        if said.say is not Say.READY:
            said = Answer(said.say, f"{said.say.name.lower()} {said.words}")
        return web.Response(status=int(said.say), text=f"{said.words}\n")

    app = web.Application(client_max_size=POKE_BYTES)
    app.router.add_post("/v1/poke", poke)
    app.router.add_get("/v1/gate", ask_gate)
    return app


def command_app(status: Status, driver_check: Look) -> web.Application:
    """Return the application for commands: ``GET /v1/status`` and ``GET /v1/driver-check``.

    Readers may GET what is not in ADMINS_ONLY; all else is for admins.
    """

    async def show(_: web.Request) -> web.Response:
        return web.json_response(await _seen.get()(status()))

    async def check(_: web.Request) -> web.Response:
        return web.json_response({"findings": await driver_check()})

    app = web.Application(client_max_size=POKE_BYTES)
    app.router.add_get("/v1/status", show)
    app.router.add_get("/v1/driver-check", check)
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


def _by_role(access: Access, doors: Doors) -> Middleware:
    """Return the middleware that refuses who may not ask, and says what a reader may see."""
    names = Names()

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        peer = doors.peer(request)
        role = Role.NOBODY if peer is None else access.role(peer)
        in_part = access.own_jobs_only and role < Role.ADMIN
        reads = request.method in ("GET", "HEAD") and request.path not in ADMINS_ONLY
        if in_part:
            reads = reads and request.path in SHOWN_IN_PART
        if peer is None or role < (Role.READER if reads else Role.ADMIN):
            group = "agent.socket_group" if reads else "agent.socket_admin_group"
            return web.Response(status=403, text=f"you are not a member of {group}\n")

        async def seen(status: Mapping[str, object]) -> Mapping[str, object]:
            return for_user(status, await names.name(peer.uid))

        before = _seen.set(seen if in_part else _all)
        try:
            return await handler(request)
        finally:
            _seen.reset(before)

    return check


async def serve_hooks(
    app: web.Application,
    address: str,
    key: str = "agent.listen",
    *,
    tls: ssl.SSLContext | None = None,
    bounds: Bounds | None = None,
) -> web.AppRunner:
    """Listen on an address that ``key`` of the configuration names; ConfigError when it cannot be
    had."""
    try:
        return await listen(app, Doors(bounds or Bounds(), tls), host_port(address))
    except OSError as error:
        what = f"cannot listen on {address}: {error.strerror or error}"
        raise ConfigError("configuration", [Problem(key, what)]) from error


async def serve_commands(
    app: web.Application, path: Path, access: Access | None = None, bounds: Bounds | None = None
) -> web.AppRunner:
    """Listen for commands on a UNIX socket, for those whom ``access`` gives a role.

    None: for root and the agent's own user.
    """
    doors, access = Doors(bounds or Bounds()), access or Access(own_uid=os.geteuid())
    app.middlewares.append(_by_role(access, doors))
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
        return await listen(app, doors, bound)
    except OSError as error:
        bound.close()
        what = f"cannot listen on {path}: {error.strerror or error}"
        raise ConfigError("configuration", [Problem("agent.socket", what)]) from error
