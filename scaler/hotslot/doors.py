"""Bounds around the agent's APIs: how many may be connected, how long and how much they may say.

From when it connects, or has been sent an answer, a client has ``head_s`` until a whole head has
arrived; whoever sends a byte a second, or does not take its answer, is disconnected then. An answer
that the agent lets a client wait for is not meant: pokes and gates have bounds of their own.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import cast

from hotslot.access import Peer, peer_of

log = logging.getLogger(__name__)

SAY_S = 60.0
"""Between two lines of the log about connections that were refused."""

BACKLOG = 256

CLOSE_S = 2.0
"""How long those may take to get their answers who are there when the agent ends."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """At most ``each`` connections at once from one address, or of one user on a UNIX socket, and
    ``together`` from all; ``head_bytes`` until a head is whole. Root is let in whoever is there."""

    each: int = 16
    together: int = 1024
    head_s: float = 10.0
    head_bytes: int = 16 * 1024


class Doors:
    """Lets connections in to one application, which ``talk`` talks for."""

    def __init__(self, talk: Talk, bounds: Bounds, tls: ssl.SSLContext | None = None) -> None:
        self._talk = talk
        self.bounds = bounds
        self.tls = tls
        self.refused = 0
        self.closing = False
        self._there: Counter[Hashable] = Counter()
        self._talks: dict[asyncio.Task[None], Door] = {}
        self._said_at = float("-inf")

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

    def begin(self, door: Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk with who is let in."""
        task = asyncio.get_running_loop().create_task(self._talk(door, reader, writer))
        self._talks[task] = door
        task.add_done_callback(self._talks.pop)

    async def close(self) -> None:
        """End all connections; who waits for an answer has CLOSE_S to get it."""
        self.closing = True
        for door in tuple(self._talks.values()):
            if door.idle:
                door.abort()
        if self._talks:
            await asyncio.wait(tuple(self._talks), timeout=CLOSE_S)
        for task, door in tuple(self._talks.items()):
            door.abort()
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def _refuse(self, who: Hashable) -> None:
        self.refused += 1
        now = time.monotonic()
        if now - self._said_at >= SAY_S:
            self._said_at = now
            log.warning("too many connections from %s: refused (%d so far)", who, self.refused)


_ROOT = ("user", 0)


class Door(asyncio.Protocol):
    """One connection, between its transport and its streams.

    ``address``: of its client, '' over a UNIX socket; ``peer``: who is at a UNIX socket's end.
    """

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._stream: asyncio.StreamReaderProtocol | None = None
        self._who: Hashable = None
        self._outer: asyncio.Transport | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._securing: asyncio.Task[None] | None = None
        self._head_bytes: int | None = 0
        self._early = b""
        self.address = ""
        self.peer: Peer | None = None

    @property
    def head_bytes(self) -> int:
        """How long a head may be."""
        return self._doors.bounds.head_bytes

    @property
    def closing(self) -> bool:
        """Whether the agent ends: no request is taken after this one."""
        return self._doors.closing

    @property
    def idle(self) -> bool:
        """Whether it is the client's turn."""
        return self._head_bytes is not None

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
            if not address:
                return None
            self.address = address[0]
            return ("address", self.address)
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
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=self.head_bytes, loop=loop)
        self._stream = asyncio.StreamReaderProtocol(reader, loop=loop)
        self._stream.connection_made(transport)
        self._doors.begin(self, reader, asyncio.StreamWriter(transport, self._stream, reader, loop))
        early, self._early = self._early, b""
        if early:
            self._stream.data_received(early)

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
            self._timer = loop.call_later(self._doors.bounds.head_s, self.abort)

    def abort(self) -> None:
        """End the connection at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for transport in (self._transport, self._outer):
            if transport is not None:
                transport.abort()

    def data_received(self, data: bytes) -> None:
        """Hand on what came, unless the head is too long."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > self._doors.bounds.head_bytes:
                self.abort()
                return
        if self._stream is None:  # the end of TLS's handshake and a head may come together
            self._early += data
            return
        self._stream.data_received(data)

    def eof_received(self) -> bool | None:
        """Hand on that no more will come."""
        return None if self._stream is None else self._stream.eof_received()

    def pause_writing(self) -> None:
        """Hand on that the client does not take what is sent."""
        if self._stream is not None:
            self._stream.pause_writing()

    def resume_writing(self) -> None:
        """Hand on that it does again."""
        if self._stream is not None:
            self._stream.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the next one in."""
        self._end()
        if self._stream is not None:
            self._stream.connection_lost(exc)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport = None
        if self._who is not None:
            self._doors.leave(self._who)
            self._who = None


Talk = Callable[[Door, asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]
"""Takes the requests of one connection and answers them, until it ends."""


class Listening:
    """An address, or a UNIX socket, at which doors are open."""

    def __init__(self, server: asyncio.Server, doors: Doors) -> None:
        self._server = server
        self._doors = doors

    async def close(self) -> None:
        """Let nobody in any more, and end all connections."""
        self._server.close()
        await self._doors.close()


async def listen(doors: Doors, where: tuple[str, int] | socket.socket) -> Listening:
    """Open doors at an address or a bound UNIX socket; OSError when it cannot be had."""
    loop = asyncio.get_running_loop()

    def door() -> Door:
        return Door(doors)

    if isinstance(where, socket.socket):
        server = await loop.create_unix_server(door, sock=where, backlog=BACKLOG)
    else:
        server = await loop.create_server(door, *where, backlog=BACKLOG)
    return Listening(server, doors)
