"""Slow clients, many clients, clients that talk too much: each has its bounds, others go on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hotslot.api import hook_app, serve_commands, serve_hooks
from hotslot.doors import CLOSE_S, Bounds
from hotslot.pokes import Answer, Say
from hotslot.routes import App, Request, Response

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
    served = await serve_hooks(hook_app(answer, gate), where, bounds=SMALL)
    yield int(where.rpartition(":")[2])
    await served.close()


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
    monkeypatch.setattr("hotslot.talk.BODY_S", 0.3)
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


async def test_requests_that_come_at_once_are_answered_one_after_the_other(port: int) -> None:
    client = await Client.to(port)
    client.say(POKE.replace(b"12", b"13") + POKE + POKE[:-1])
    assert b"ready start 13" in await client.heard()
    assert b"ready start 12" in await client.heard()
    client.say(b"1")
    assert b"ready start 12" in await client.heard()
    await client.close()


async def test_who_asks_whether_to_go_on_is_told_to(port: int) -> None:
    head, _, body = POKE.partition(b"\r\n\r\n")
    client = await Client.to(port)
    client.say(head + b"\r\nExpect: 100-continue\r\n\r\n")
    assert b" 100 " in await client.reader.readuntil(b"\r\n\r\n")
    client.say(body)
    assert b"ready start 12" in await client.heard()
    await client.close()


@pytest.mark.parametrize(
    "odd",
    [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x00\r\n\r\n",
        b"GET /v1/gate HTTP/1.1\r\n\r\n",
        b"POST /v1/poke HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /v1/poke HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n",
        b"GET /v1/gate HTTP/1.1\r\nHost: x\r\nA: b\r\n c: d\x00\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_answered_once_and_not_logged(
    port: int, odd: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = await Client.to(port)
    client.say(odd + POKE)
    assert (await client.heard())[9:12] in (b"400", b"501")
    assert await client.ends_within(2)
    await client.close()
    assert not caplog.records


async def test_an_old_client_gets_its_answer_and_the_end(port: int) -> None:
    client = await Client.to(port)
    client.say(b"GET /v1/gate?wait=0 HTTP/1.0\r\n\r\n")
    assert (await client.heard()).endswith(b"4\n")
    assert await client.ends_within(0.3)
    await client.close()


async def test_a_fault_of_ours_is_answered_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(_: Request) -> Response:
        raise ZeroDivisionError("ours")

    app = App()
    app.add("GET", "/", fails)
    where = free_address()
    served = await serve_hooks(app, where, bounds=SMALL)
    client = await Client.to(int(where.rpartition(":")[2]))
    for _ in range(3):
        client.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 500 " in await client.heard()
    assert len(caplog.records) <= 1  # a minute's one may have been told to another test
    await client.close()
    await served.close()


async def test_at_the_agents_end_who_waits_is_answered_and_others_not_waited_for() -> None:
    where = free_address()
    port = int(where.rpartition(":")[2])
    served = await serve_hooks(hook_app(answer, gate), where, bounds=Bounds())
    waits, never, idle = [await Client.to(port) for _ in range(3)]
    waits.say(b"GET /v1/gate?wait=0.3 HTTP/1.1\r\nHost: x\r\n\r\n")
    never.say(b"GET /v1/gate?wait=60 HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(0.1)
    began = time.monotonic()
    await served.close()
    assert time.monotonic() - began < CLOSE_S + 2
    told = await waits.heard()
    assert told.endswith(b"4\n")
    assert b"connection: close" in told.lower()
    for one in (waits, never, idle):
        assert await one.ends_within(0.3)
        await one.close()
    with pytest.raises(ConnectionRefusedError):
        await Client.to(port)


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
    await client.close()


async def test_who_does_not_take_its_answer_is_sent_away() -> None:
    async def much(_: Request) -> Response:
        return Response(body=b"x" * 50_000_000)

    app = App()
    app.add("GET", "/", much)
    where = free_address()
    served = await serve_hooks(app, where, bounds=SMALL)
    client = await Client.to(int(where.rpartition(":")[2]))
    client.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(1.0)
    got = 0
    with contextlib.suppress(ConnectionError):
        while part := await client.reader.read(1 << 20):
            got += len(part)
    assert got < 50_000_000
    await client.close()
    await served.close()


async def test_a_slow_command_holds_no_slot_of_the_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    app = App()
    served = await serve_commands(app, path, bounds=SMALL)
    held = [Client(*await asyncio.open_unix_connection(str(path))) for _ in range(3)]
    over = Client(*await asyncio.open_unix_connection(str(path)))
    assert await over.ends_within(0.2)
    assert all([await one.ends_within(2) for one in held])
    now = Client(*await asyncio.open_unix_connection(str(path)))
    now.say(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 404 " in await now.heard()
    for one in (*held, over, now):
        await one.close()
    await served.close()


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
