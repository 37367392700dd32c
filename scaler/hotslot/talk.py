"""HTTP/1.1 with one client, over h11: a whole request, its answer, the next request."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from functools import partial
from http.client import responses

import h11

from hotslot.doors import SAY_S, Door, Talk
from hotslot.routes import Handler, Request, Response, said

BODY_BYTES = 1024
"""Longest body of a request; a poke has about 60 bytes."""

BODY_S = 10.0
"""How long a body may take after its head."""

READ_BYTES = 16 * 1024


class Faults(logging.Filter):
    """Lets one line in SAY_S through: who finds a fault of ours must not fill the log with it."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._said_at = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        """Whether a line is told."""
        now = self._monotonic()
        if now - self._said_at < SAY_S:
            return False
        self._said_at = now
        return True


log = logging.getLogger("hotslot.http")
log.addFilter(Faults())


def talk(handler: Handler) -> Talk:
    """Return what lets a handler answer all requests of a connection."""
    return partial(_talk, handler)


async def _talk(
    handler: Handler, door: Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        await _Client(handler, door, reader, writer).serve()
    except OSError:
        pass  # the client has gone
    finally:
        writer.close()


class _Client:
    def __init__(
        self,
        handler: Handler,
        door: Door,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._handler = handler
        self._door = door
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, door.head_bytes)

    async def serve(self) -> None:
        """Answer one request after the other, until one of both sides has enough."""
        try:
            while await self._answer_next():
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            self._door.waits()
            with suppress(h11.LocalProtocolError):  # an answer is under way
                await self._send(said(error.error_status_hint, f"{error}\n"), last=True)

    async def _answer_next(self) -> bool:
        """Answer one request; return whether another may follow."""
        head = await self._event()
        if not isinstance(head, h11.Request):
            return False
        self._door.heard()
        try:
            async with asyncio.timeout(BODY_S):
                body = await self._body()
        except TimeoutError:
            body, answer = None, said(408, "too slow\n")
        else:
            answer = said(413, f"more than {BODY_BYTES} bytes\n")
        if body is not None:
            answer = await self._answered(_request(head, body, self._door))
        self._door.waits()
        last = body is None or self._door.closing
        await self._send(answer, last=last, with_body=head.method != b"HEAD")
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _answered(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except Exception:
            log.exception("%s %s could not be answered", request.method, request.path[:100])
            return said(500, "the agent failed; its log says why\n")

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                self._write(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(await self._reader.read(READ_BYTES))
        return event

    async def _body(self) -> bytes | None:
        """Return the body, None when it is too long."""
        body = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
            if len(body) > BODY_BYTES:
                return None
        return bytes(body)

    async def _send(self, answer: Response, *, last: bool, with_body: bool = True) -> None:
        head = [
            *answer.headers,
            ("Content-Length", str(len(answer.body))),
            ("Date", formatdate(usegmt=True)),
            *([("Connection", "close")] if last else []),
        ]
        reason = responses.get(answer.status, "")
        self._write(h11.Response(status_code=answer.status, headers=head, reason=reason))
        if with_body:
            self._write(h11.Data(data=answer.body))
        self._write(h11.EndOfMessage())
        await self._writer.drain()

    def _write(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")


def _request(head: h11.Request, body: bytes, door: Door) -> Request:
    path, _, query = head.target.decode("ascii").partition("?")
    headers: dict[str, str] = {}
    for name, value in head.headers:
        headers.setdefault(name.decode("ascii"), value.decode("utf-8", "surrogateescape"))
    method = head.method.decode("ascii")
    return Request(method, path, query, headers, body, door.address, door.peer)
