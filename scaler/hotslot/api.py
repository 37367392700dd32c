"""What hooks and commands may ask, over HTTP: aiohttp on the host-only network and a UNIX socket.

Two applications that share nothing but the agent: the network one takes pokes and nothing else.
"""

from __future__ import annotations

import grp
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from aiohttp import web

from hotslot.config import host_port
from hotslot.errors import ConfigError, Problem
from hotslot.pokes import Answer, Say

POKE_BYTES = 1024
"""Longest body of a poke; a real one has about 60 bytes."""

AnswerPoke = Callable[[str, str, str], Awaitable[Answer]]
AnswerGate = Callable[[str, str, str], Awaitable[Answer]]
Status = Callable[[], Mapping[str, object]]
Look = Callable[[], Awaitable[Sequence[Mapping[str, object]]]]


def hook_app(answer: AnswerPoke, gate: AnswerGate) -> web.Application:
    """Return the application for workers.

    ``POST /v1/poke`` with event, job and worker; ``GET /v1/gate`` with worker, have and wait.
    """

    async def poke(request: web.Request) -> web.Response:
        form = await request.post()
        fields = [form.get(name, "") for name in ("event", "job", "worker")]
        if not all(isinstance(field, str) for field in fields):
            return web.Response(status=Say.BAD, text="fields must be text\n")
        said = await answer(*map(str, fields))
        return web.Response(status=int(said.say), text=f"{said.say.name.lower()} {said.words}\n")

    async def ask_gate(request: web.Request) -> web.Response:
        said = await gate(*(request.query.get(name, "") for name in ("worker", "have", "wait")))
        if said.say is not Say.READY:
            said = Answer(said.say, f"{said.say.name.lower()} {said.words}")
        return web.Response(status=int(said.say), text=f"{said.words}\n")

    app = web.Application(client_max_size=POKE_BYTES)
    app.router.add_post("/v1/poke", poke)
    app.router.add_get("/v1/gate", ask_gate)
    return app


def command_app(status: Status, driver_check: Look) -> web.Application:
    """Return the application for commands: ``GET /v1/status`` and ``GET /v1/driver-check``."""

    async def show(_: web.Request) -> web.Response:
        return web.json_response(status())

    async def check(_: web.Request) -> web.Response:
        return web.json_response({"findings": await driver_check()})

    app = web.Application(client_max_size=POKE_BYTES)
    app.router.add_get("/v1/status", show)
    app.router.add_get("/v1/driver-check", check)
    return app


async def serve_hooks(
    app: web.Application, address: str, key: str = "agent.listen"
) -> web.AppRunner:
    """Listen on an address that ``key`` of the configuration names; ConfigError when it cannot be
    had."""
    host, port = host_port(address)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, keepalive_timeout=5)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=256).start()
    except OSError as error:
        await runner.cleanup()
        what = f"cannot listen on {address}: {error.strerror or error}"
        raise ConfigError("configuration", [Problem(key, what)]) from error
    return runner


async def serve_commands(app: web.Application, path: Path, group: str | None) -> web.AppRunner:
    """Listen for commands on a UNIX socket that root, and members of ``group``, may use."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, keepalive_timeout=5)
    await runner.setup()
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        mask = os.umask(0o117)
        try:
            await web.UnixSite(runner, str(path)).start()
        finally:
            os.umask(mask)
        if group is not None:
            os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except (OSError, KeyError) as error:
        await runner.cleanup()
        what = f"cannot listen on {path}: {getattr(error, 'strerror', None) or error}"
        raise ConfigError("configuration", [Problem("agent.socket", what)]) from error
    return runner
