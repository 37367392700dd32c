"""An agent as a hook sees it: a real socket that does what it is told, one way for each poke."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

Way = Callable[[socket.socket], None]
"""What is done with one connection, whose poke has been read; it is closed afterwards."""


def http(status: int, words: str) -> Way:
    """Answer as the agent does."""
    body = f"{words}\n".encode()
    head = f"HTTP/1.1 {status} Word\r\nContent-Type: text/plain; charset=utf-8\r\n"
    return raw(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)


def raw(answer: bytes) -> Way:
    """Answer these bytes."""
    return lambda connection: connection.sendall(answer)


def held(seconds: float, way: Way) -> Way:
    """Do something a while later."""

    def wait(connection: socket.socket) -> None:
        time.sleep(seconds)
        way(connection)

    return wait


def trickle(connection: socket.socket) -> None:
    """Answer a byte at a time, for ever."""
    while True:
        connection.sendall(b"H")
        time.sleep(0.05)


def hold(connection: socket.socket) -> None:
    """Hold the question until whoever asked goes away."""
    connection.recv(1)


def flood(connection: socket.socket) -> None:
    """Answer without end, as fast as may be."""
    while True:
        connection.sendall(b"x" * 65536)


READY = http(200, "ready w1 is ready for job 7")
WAIT = http(202, "wait w1 is being sized for job 7")


class HookAgent:
    """Serves one connection after another; the last way is kept for all that follow."""

    def __init__(self, *ways: Way, host: str = "127.0.0.1") -> None:
        self._ways: Sequence[Way] = ways
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, 0), family=family, backlog=64)
        port = self._socket.getsockname()[1]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.pokes: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> HookAgent:
        if self._ways:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A thread that sits in accept is woken by shutdown, not by close.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if self._ways:
            self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        try:
            self.pokes.append(connection.recv(4096))
            self._ways[min(len(self.pokes), len(self._ways)) - 1](connection)
        except OSError:
            return
