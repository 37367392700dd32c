"""What the network may ask, over real sockets: pokes, nothing else, and never too much."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from http.client import HTTPConnection

import pytest

from hotslot.api import hook_app, serve_hooks
from hotslot.errors import ConfigError
from hotslot.pokes import Answer, Say
from hotslot.routes import FORM


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
    served = await serve_hooks(hook_app(answer, no_gate), where)
    yield where
    await served.close()


Said = tuple[int, str]


async def asked(
    address: str, method: str, target: str, body: bytes = b"", kind: str = FORM
) -> Said:
    """Ask as the standard library's client does; return the status and the words."""

    def ask() -> Said:
        with closing(HTTPConnection(address, timeout=10)) as client:
            client.request(method, target, body, {"Content-Type": kind})
            answer = client.getresponse()
            return answer.status, answer.read().decode()

    return await asyncio.to_thread(ask)


async def test_a_poke_is_answered_in_words_that_the_hook_knows(address: str) -> None:
    said = await asked(address, "POST", "/v1/poke", b"event=start&job=12&worker=w1")
    assert said == (404, "no_such_job start 12 w1 from 127.0.0.1\n")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/poke", b"", 405),
        ("GET", "/v1/status", b"", 404),
        ("POST", "/", b"", 404),
        ("POST", "/v1/poke/", b"", 404),
        ("CONNECT", "/v1/poke", b"", 405),
        ("POST", "/v1/poke", b"job=" + b"9" * 5000, 413),
    ],
)
async def test_the_network_gets_nothing_but_pokes(
    address: str, method: str, path: str, body: bytes, status: int
) -> None:
    assert (await asked(address, method, path, body))[0] == status


async def test_a_gate_is_answered_in_words_that_it_knows(address: str) -> None:
    said = await asked(address, "GET", "/v1/gate?worker=c1&have=4&wait=1")
    assert said == (503, "ask_later c1 4 1 from 127.0.0.1\n")
    assert await asked(address, "HEAD", "/v1/gate?worker=c1") == (503, "")


async def test_of_a_field_that_is_there_twice_the_first_counts(address: str) -> None:
    said = await asked(address, "POST", "/v1/poke", b"job=12&event=exit&job=13&worker=")
    assert said == (404, "no_such_job exit 12  from 127.0.0.1\n")


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "text/plain", "", FORM + "; charset=none"]
)
async def test_a_body_that_is_no_form_is_refused(address: str, kind: str) -> None:
    assert (await asked(address, "POST", "/v1/poke", b"event=start", kind))[0] == 400


@pytest.mark.parametrize("fields", [b"job=%ff", b"job=\xff", b"&".join([b"a=b"] * 20)])
async def test_fields_that_are_no_utf8_or_too_many_are_refused(address: str, fields: bytes) -> None:
    assert (await asked(address, "POST", "/v1/poke", fields))[0] == 400
    query = fields.decode("ascii", "replace").replace("\ufffd", "%ff")
    assert (await asked(address, "GET", f"/v1/gate?{query}"))[0] == 400


async def test_an_address_that_is_taken_is_a_clear_error() -> None:
    async def answer(*_: str) -> Answer:
        return Answer(Say.BAD, "")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match="cannot listen on"):
            await serve_hooks(hook_app(answer, no_gate), where)
