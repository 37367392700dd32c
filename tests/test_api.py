"""What the network may ask, over real sockets: pokes, nothing else, and never too much."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from hotslot.api import FORM, hook_app, serve_hooks
from hotslot.errors import ConfigError
from hotslot.pokes import Answer, Say


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def no_gate(worker: str, have: str, wait: str, source: str) -> Answer:
    return Answer(Say.ASK_LATER, f"{worker} {have} {wait} from {source}")


@pytest.fixture
async def address() -> AsyncIterator[str]:
    async def answer(event: str, job: str, worker: str, source: str) -> Answer:
        return Answer(Say.NO_SUCH_JOB, f"{event} {job} {worker} from {source}")

    where = free_address()
    runner = await serve_hooks(hook_app(answer, no_gate), where)
    yield f"http://{where}"
    await runner.cleanup()


async def test_a_poke_is_answered_in_words_that_the_hook_knows(address: str) -> None:
    fields = {"event": "start", "job": "12", "worker": "w1"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address}/v1/poke", data=fields) as said,
    ):
        assert said.status == 404
        assert await said.text() == "no_such_job start 12 w1 from 127.0.0.1\n"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/poke", b"", 405),
        ("GET", "/v1/status", b"", 404),
        ("POST", "/", b"", 404),
        ("POST", "/v1/poke", b"job=" + b"9" * 5000, 413),
    ],
)
async def test_the_network_gets_nothing_but_pokes(
    address: str, method: str, path: str, body: bytes, status: int
) -> None:
    head = {"Content-Type": "application/x-www-form-urlencoded"}
    async with aiohttp.ClientSession() as session:
        call = session.request(method, f"{address}{path}", data=body, headers=head)
        async with call as said:
            assert said.status == status


async def test_a_gate_is_answered_in_words_that_it_knows(address: str) -> None:
    query = {"worker": "c1", "have": "4", "wait": "1"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{address}/v1/gate", params=query) as said,
    ):
        assert said.status == 503
        assert await said.text() == "ask_later c1 4 1 from 127.0.0.1\n"


async def test_an_uploaded_file_is_no_field(address: str) -> None:
    form = aiohttp.FormData()
    form.add_field("job", b"x", filename="x")
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address}/v1/poke", data=form) as said,
    ):
        assert said.status == 400


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "text/plain", FORM + "; charset=none"]
)
async def test_a_body_that_is_no_form_is_refused(address: str, kind: str) -> None:
    headers = {"Content-Type": kind}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address}/v1/poke", data=b"event=start", headers=headers) as said,
    ):
        assert said.status == 400


async def test_an_address_that_is_taken_is_a_clear_error() -> None:
    async def answer(*_: str) -> Answer:
        return Answer(Say.BAD, "")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match="cannot listen on"):
            await serve_hooks(hook_app(answer, no_gate), where)
