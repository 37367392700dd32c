"""Slow clients, many clients, clients that talk too much: each has its bounds, others go on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from hotslot.api import hook_app, serve_commands, serve_hooks
from hotslot.doors import Bounds
from hotslot.pokes import Answer, Say

SMALL = Bounds(each=3, together=5, head_s=0.4, head_bytes=4096)
POKE = (
    b"POST /v1/poke HTTP/1.1\r\nHost: x\r\nContent-Length: 28\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nevent=start&job=12&worker=w1"
)


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def answer(event: str, job: str, worker: str, source: str) -> Answer:
    return Answer(Say.READY, f"{event} {job} {worker}")


async def gate(worker: str, have: str, wait: str, source: str) -> Answer:
    await asyncio.sleep(float(wait))
    return Answer(Say.READY, "4")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    where = free_address()
    runner = await serve_hooks(hook_app(answer, gate), where, bounds=SMALL)
    yield int(where.rpartition(":")[2])
    await runner.cleanup()


class Client:
    """A connection that says what it is told to, when it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int, local: str = "127.0.0.1") -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=(local, 0)))

    def say(self, text: bytes) -> None:
        self.writer.write(text)

    async def heard(self, within_s: float = 5.0) -> bytes:
        """Return the next answer, b'' when the other side has closed."""
        try:
            async with asyncio.timeout(within_s):
                head = await self.reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split()[0])
                return head + await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def ends_within(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                while await self.reader.read(4096):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


async def test_who_sends_a_byte_now_and_then_is_sent_away(port: int) -> None:
    slow = await Client.to(port)
    began = time.monotonic()

    async def dribble() -> None:
        for byte in POKE:
            slow.say(bytes([byte]))
            await asyncio.sleep(0.05)

    dribbling = asyncio.create_task(dribble())
    assert await slow.ends_within(3)
    assert 0.3 < time.monotonic() - began < 2
    dribbling.cancel()
    await slow.close()


async def test_who_says_nothing_is_sent_away(port: int) -> None:
    silent = await Client.to(port)
    assert not await silent.ends_within(0.2)
    assert await silent.ends_within(2)
    await silent.close()


async def test_the_second_request_of_a_connection_has_no_longer(port: int) -> None:
    client = await Client.to(port)
    client.say(POKE)
    assert b"ready start 12 w1" in await client.heard()
    await asyncio.sleep(0.2)
    client.say(POKE)
    assert b"ready" in await client.heard()
    client.say(POKE[:10])
    assert await client.ends_within(2)
    await client.close()


async def test_a_slow_body_ends_too(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotslot.api.BODY_S", 0.3)
    client = await Client.to(port)
    client.say(POKE[:-5])
    assert b" 408 " in await client.heard()
    assert await client.ends_within(2)
    await client.close()


async def test_who_waits_for_its_answer_is_not_slow(port: int) -> None:
    client = await Client.to(port)
    client.say(b"GET /v1/gate?worker=c1&have=1&wait=1.2 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.heard()).endswith(b"4\n")
    await client.close()


async def test_one_address_holds_so_many_connections_and_others_get_in(port: int) -> None:
    held = [await Client.to(port) for _ in range(3)]
    over = await Client.to(port)
    assert await over.ends_within(0.2)
    other = await Client.to(port, "127.0.0.2")
    other.say(POKE)
    assert b"ready" in await other.heard()
    await held.pop().close()
    await asyncio.sleep(0.05)
    again = await Client.to(port)
    again.say(POKE)
    assert b"ready" in await again.heard()
    for one in (*held, over, other, again):
        await one.close()


async def test_all_addresses_together_hold_so_many(port: int) -> None:
    held = [await Client.to(port, f"127.0.0.{2 + n // 2}") for n in range(5)]
    over = await Client.to(port, "127.0.0.9")
    assert await over.ends_within(0.2)
    assert all([await one.ends_within(2) for one in held]), "and none of them for long"
    await asyncio.sleep(0.05)
    now = await Client.to(port, "127.0.0.9")
    now.say(POKE)
    assert b"ready" in await now.heard()
    for one in (*held, over, now):
        await one.close()


async def test_a_head_that_is_too_long_ends_the_connection(port: int) -> None:
    client = await Client.to(port)
    client.say(b"GET /v1/gate HTTP/1.1\r\n" + b"X-A: b\r\n" * 1000)
    assert await client.ends_within(0.3)
    line = await Client.to(port)
    line.say(b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\n\r\n")
    assert b" 400 " in await line.heard()
    for one in (client, line):
        await one.close()


async def test_who_does_not_take_its_answer_is_sent_away() -> None:
    async def much(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 50_000_000)

    app = web.Application()
    app.router.add_get("/", much)
    where = free_address()
    runner = await serve_hooks(app, where, bounds=SMALL)
    client = await Client.to(int(where.rpartition(":")[2]))
    client.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(1.0)
    got = 0
    with contextlib.suppress(ConnectionError):
        while part := await client.reader.read(1 << 20):
            got += len(part)
    assert got < 50_000_000
    await client.close()
    await runner.cleanup()


async def test_a_slow_command_holds_no_slot_of_the_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    app = web.Application()
    runner = await serve_commands(app, path, bounds=SMALL)
    held = [Client(*await asyncio.open_unix_connection(str(path))) for _ in range(3)]
    over = Client(*await asyncio.open_unix_connection(str(path)))
    assert await over.ends_within(0.2)
    assert all([await one.ends_within(2) for one in held])
    now = Client(*await asyncio.open_unix_connection(str(path)))
    now.say(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 404 " in await now.heard()
    for one in (*held, over, now):
        await one.close()
    await runner.cleanup()


async def test_no_connection_is_counted_for_ever(port: int) -> None:
    """Some hundred that come, go, break off and fail leave all slots free."""
    for number in range(100):
        client = await Client.to(port)
        client.say([POKE, b"", POKE[:20], b"\x16\x03\x01\x00", b"GARBAGE\r\n\r\n"][number % 5])
        if number % 5 == 0:
            await client.heard()
        client.writer.transport.abort()
        await asyncio.sleep(0.003)
    await asyncio.sleep(0.1)
    last = [await Client.to(port) for _ in range(3)]
    for one in last:
        one.say(POKE)
        assert b"ready" in await one.heard()
        await one.close()
