"""Bounds around the agent's APIs: how many may be connected, how long and how much they may say.

From when it connects, or has been sent an answer, a client has ``head_s`` until a whole head has
arrived; whoever sends a byte a second, or does not take its answer, is disconnected then. An answer
that the agent lets a client wait for is not meant: pokes and gates have bounds of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import cast

from aiohttp import http_exceptions, web
from aiohttp.typedefs import Handler

from hotslot.access import Peer, peer_of

log = logging.getLogger(__name__)

SAY_S = 60.0
"""Between two lines of the log about connections that were refused."""

MAX_LINE = 2048
"""Longest request line, and longest field of a head; real ones have about 100 bytes."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """At most ``each`` connections at once from one address, or of one user on a UNIX socket, and
    ``together`` from all; ``head_bytes`` until a head is whole. Root is let in whoever is there."""

    each: int = 16
    together: int = 1024
    head_s: float = 10.0
    head_bytes: int = 16 * 1024


class Doors:
    """Lets connections in to one application; ``peer`` says who is at a UNIX socket's end."""

    def __init__(self, bounds: Bounds, tls: ssl.SSLContext | None = None) -> None:
        self.bounds = bounds
        self.tls = tls
        self.refused = 0
        self._there: Counter[Hashable] = Counter()
        self._doors: dict[asyncio.BaseTransport, Door] = {}
        self._said_at = float("-inf")

    def guard(self, app: web.Application) -> None:
        """Have an application tell when a head is whole, and when it has answered."""
        app.middlewares.insert(0, self._middleware)

    def peer(self, request: web.Request) -> Peer | None:
        """Return who asks over a UNIX socket, None elsewhere."""
        transport = request.transport
        door = None if transport is None else self._doors.get(transport)
        return None if door is None else door.peer

    def enter(self, who: Hashable) -> bool:
        """Count somebody in, unless there are as many as may be."""
        full = self._there.total() >= self.bounds.together and who != _ROOT
        if full or self._there[who] >= self.bounds.each:
            self._refuse(who)
            return False
        self._there[who] += 1
        return True

    def leave(self, who: Hashable) -> None:
        """Count somebody out."""
        self._there[who] -= 1
        if not self._there[who]:
            del self._there[who]

    def remember(self, transport: asyncio.BaseTransport, door: Door) -> None:
        """Know a connection by what its requests have of it."""
        self._doors[transport] = door

    def forget(self, transport: asyncio.BaseTransport | None) -> None:
        """Forget a connection that has ended."""
        if transport is not None:
            self._doors.pop(transport, None)

    def _refuse(self, who: Hashable) -> None:
        self.refused += 1
        now = time.monotonic()
        if now - self._said_at >= SAY_S:
            self._said_at = now
            log.warning("too many connections from %s: refused (%d so far)", who, self.refused)

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        door = None if request.transport is None else self._doors.get(request.transport)
        if door is None:
            return await handler(request)
        door.heard()
        try:
            return await handler(request)
        finally:
            door.waits()


_ROOT = ("user", 0)


class Door(asyncio.Protocol):
    """One connection, between its transport and aiohttp's handler."""

    def __init__(self, doors: Doors, inner: asyncio.Protocol) -> None:
        self._doors = doors
        self._inner = inner
        self._who: Hashable = None
        self._outer: asyncio.Transport | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._securing: asyncio.Task[None] | None = None
        self._head_bytes: int | None = 0
        self._early = b""
        self.peer: Peer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look who it is, and let them in, by TLS if that is wanted."""
        outer = cast("asyncio.Transport", transport)
        who = self._look(outer)
        if who is None or not self._doors.enter(who):
            outer.abort()
            return
        self._who, self._outer = who, outer
        self.waits()
        if self._doors.tls is None:
            self._begin(outer)
        else:
            outer.pause_reading()
            self._securing = asyncio.get_running_loop().create_task(self._secure(self._doors.tls))

    def _look(self, outer: asyncio.Transport) -> Hashable:
        connected: socket.socket = outer.get_extra_info("socket")
        if connected.family != socket.AF_UNIX:
            address = outer.get_extra_info("peername")
            return None if not address else ("address", address[0])
        try:
            self.peer = peer_of(connected)
        except OSError as error:
            log.warning("somebody connected, and the kernel does not say who: %s", error)
            return None
        return ("user", self.peer.uid)

    async def _secure(self, tls: ssl.SSLContext) -> None:
        assert self._outer is not None  # noqa: S101 (set before this task)
        loop = asyncio.get_running_loop()
        try:
            inner = await loop.start_tls(
                self._outer,
                self,
                tls,
                server_side=True,
                ssl_handshake_timeout=self._doors.bounds.head_s,
                ssl_shutdown_timeout=self._doors.bounds.head_s,
            )
        except (OSError, ssl.SSLError) as error:
            log.debug("no TLS with %s: %s", self._who, error)
            self._outer.abort()
            self._end()
            return
        if inner is None or inner.is_closing():
            self._outer.abort()
            self._end()
            return
        self._begin(inner)

    def _begin(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._doors.remember(transport, self)
        self._inner.connection_made(transport)
        early, self._early = self._early, b""
        if early:
            self._inner.data_received(early)

    def heard(self) -> None:
        """A whole head has arrived: what comes now is the agent's to answer."""
        self._head_bytes = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def waits(self) -> None:
        """It is the client's turn again."""
        self._head_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
        if self._who is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._doors.bounds.head_s, self._abort)

    def _abort(self) -> None:
        self._timer = None
        for transport in (self._transport, self._outer):
            if transport is not None:
                transport.abort()

    def data_received(self, data: bytes) -> None:
        """Hand on what came, unless the head is too long."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > self._doors.bounds.head_bytes:
                self._abort()
                return
        if self._transport is None:  # the end of TLS's handshake and a head may come together
            self._early += data
            return
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Hand on that no more will come."""
        return self._inner.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        """Hand on that the client does not take what is sent."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Hand on that it does again."""
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the next one in."""
        begun = self._transport
        self._end()
        if begun is not None:
            self._inner.connection_lost(exc)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._doors.forget(self._transport)
        self._transport = None
        if self._who is not None:
            self._doors.leave(self._who)
            self._who = None


class Site(web.BaseSite):
    """A place to listen, behind doors: an address with a port, or a bound UNIX socket."""

    def __init__(
        self, runner: web.AppRunner, doors: Doors, where: tuple[str, int] | socket.socket
    ) -> None:
        super().__init__(runner, backlog=256)
        self._doors = doors
        self._where = where

    @property
    def name(self) -> str:
        """Where it is."""
        return str(self._where)

    async def start(self) -> None:
        """Listen; OSError when the address cannot be had."""
        await super().start()
        server = self._runner.server
        assert server is not None  # noqa: S101 (the runner is set up)
        make = cast("Callable[[], asyncio.Protocol]", server)

        def door() -> Door:
            return Door(self._doors, make())

        loop = asyncio.get_running_loop()
        if isinstance(self._where, socket.socket):
            self._server = await loop.create_unix_server(
                door, sock=self._where, backlog=self._backlog
            )
        else:
            host, port = self._where
            self._server = await loop.create_server(door, host, port, backlog=self._backlog)


class Faults(logging.Filter):
    """Lets aiohttp tell of a fault of ours, once in SAY_S; what is no HTTP is its sender's fault.

    aiohttp writes ten lines for each such request, with which a guest could fill the log.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._said_at = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is told."""
        error = record.exc_info[1] if record.exc_info else None
        now = self._monotonic()
        if isinstance(error, http_exceptions.HttpProcessingError) or now - self._said_at < SAY_S:
            return False
        self._said_at = now
        return True


_http_log = logging.getLogger("hotslot.http")
_http_log.addFilter(Faults())


async def listen(
    app: web.Application, doors: Doors, where: tuple[str, int] | socket.socket
) -> web.AppRunner:
    """Serve an application behind doors; OSError when the address cannot be had."""
    doors.guard(app)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_http_log,
        handle_signals=False,
        keepalive_timeout=5,
        max_line_size=MAX_LINE,
        max_field_size=MAX_LINE,
    )
    await runner.setup()
    try:
        await Site(runner, doors, where).start()
    except BaseException:
        with contextlib.suppress(OSError):
            await runner.cleanup()
        raise
    return runner
