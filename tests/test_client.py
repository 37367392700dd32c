"""What commands make of an agent's answers: real sockets, agents that lie, hang and go away."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from hotslot.api import command_app, serve_commands
from hotslot.client import ask
from hotslot.errors import AgentUnreachable

GOOD = b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a": 12}'


class Odd:
    """A listener that says what it is told to, whatever it is asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.says: list[bytes] = []
        self.hangs = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            client, _ = self._socket.accept()
            with client:
                if not client.recv(4096):
                    return
                for part in self.says:
                    client.sendall(part)
                if self.hangs:
                    client.recv(1)

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as last:
            last.connect(str(self.path))
        self._thread.join()
        self._socket.close()


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Odd]:
    made = Odd(tmp_path / "a.sock")
    yield made
    made.close()


def test_an_answer_may_come_in_pieces_of_any_size(odd: Odd) -> None:
    odd.says = [GOOD[n : n + 1] for n in range(len(GOOD))]
    assert ask(odd.path, "/v1/status") == {"a": 12}
    odd.says = [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b'{"a": ', b"12}"]
    assert ask(odd.path, "/v1/status") == {"a": 12}


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ([], "without"),
        ([GOOD[:-1]], "closed"),
        ([b"what?\r\n\r\n"], "illegal"),
        ([b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"], "500 Internal"),
        ([GOOD.replace(b"{", b"[")], "Expecting|delimiter"),
        ([GOOD[:-9] + b"[1, 2, 3]"], "not an object"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"], "without"),
    ],
)
def test_what_is_no_answer_is_said_to_be_none(odd: Odd, says: list[bytes], why: str) -> None:
    odd.says = says
    with pytest.raises(AgentUnreachable, match=f"no usable answer within 5 s .*({why})"):
        ask(odd.path, "/v1/status")


def test_an_agent_that_hangs_is_waited_for_as_long_as_was_said(odd: Odd) -> None:
    odd.says, odd.hangs = [GOOD[:-1]], True
    with pytest.raises(AgentUnreachable, match=r"no usable answer within 0\.2 s \(TimeoutError\)"):
        ask(odd.path, "/v1/status", 0.2)


def test_where_nobody_listens_the_command_to_start_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(AgentUnreachable, match=r"No such file.*systemctl start hotslotd"):
        ask(tmp_path / "none.sock", "/v1/status")


async def test_a_large_answer_of_the_agent_itself_arrives_whole(tmp_path: Path) -> None:
    status = {"workers": [{"worker": f"w{n}", "why": "x" * 1000} for n in range(2000)]}

    async def look() -> list[dict[str, object]]:
        return [{"subject": os.fsdecode(b"\xff")}]

    served = await serve_commands(command_app(lambda: status, look), tmp_path / "a.sock")
    try:
        got = await asyncio.to_thread(ask, tmp_path / "a.sock", "/v1/status")
        assert json.dumps(got) == json.dumps(status)
        found = await asyncio.to_thread(ask, tmp_path / "a.sock", "/v1/driver-check")
        assert found == {"findings": [{"subject": "\udcff"}]}
    finally:
        await served.close()
