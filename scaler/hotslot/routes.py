"""What the agent's APIs are made of: a request that has arrived whole, and who answers which."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from hotslot.access import Peer

FORM = "application/x-www-form-urlencoded"
TEXT = "text/plain; charset=utf-8"
MOST_FIELDS = 16


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks. Nothing in ``path`` and ``query`` is decoded.

    ``headers``: the first of each name, which is in small letters. ``remote``: the address that
    asks, '' over a UNIX socket; ``peer``: who asks over one.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    remote: str = ""
    peer: Peer | None = None

    def asked(self) -> dict[str, str]:
        """Return the fields of the query; ValueError when they are too many or no UTF-8."""
        return _fields(self.query)

    def form(self) -> dict[str, str]:
        """Return the fields of the body; ValueError when it is no form in UTF-8."""
        kind, _, detail = self.headers.get("content-type", "").lower().partition(";")
        if kind.strip() != FORM or detail.strip().replace('"', "") not in ("", "charset=utf-8"):
            raise ValueError("the body is no form")
        return _fields(self.body.decode())


def _fields(text: str) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    return dict(reversed(pairs))


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: its status, its body, and what its head says beside their length."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", TEXT),)


def said(status: int, text: str, *headers: tuple[str, str]) -> Response:
    """Return an answer in words."""
    return Response(status, text.encode(), (("Content-Type", TEXT), *headers))


def figures(values: Mapping[str, object]) -> Response:
    """Return an answer as JSON."""
    return Response(200, json.dumps(values).encode(), (("Content-Type", "application/json"),))


Handler = Callable[[Request], Awaitable[Response]]


class App:
    """Answers by path and method; who may GET may HEAD."""

    def __init__(self) -> None:
        self._routes: dict[str, dict[str, Handler]] = {}

    @property
    def paths(self) -> list[str]:
        """All that can be asked for."""
        return sorted(self._routes)

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Have a handler answer what is asked by this method of this path."""
        self._routes.setdefault(path, {})[method] = handler

    async def __call__(self, request: Request) -> Response:
        """Return the answer: 404 where nothing is, 405 where it is asked otherwise."""
        by_method = self._routes.get(request.path)
        if by_method is None:
            return said(404, "there is nothing here\n")
        handler = by_method.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            return said(405, "not by this method\n", ("Allow", ", ".join(sorted(by_method))))
        return await handler(request)
