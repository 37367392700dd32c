"""Lines that each hold the hash of the one before: pure.

A line is one JSON object with the keys seq, at, kind, who, what, why, prev, hash, in this order.
``hash`` is SHA-256, in hex, of the line as it would be without it; ``prev`` is the ``hash`` of the
line before, GENESIS in the first line of all.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

GENESIS = "0" * 64

WORDS = 1000
"""Characters of a text that are kept; a longer one ends in …"""

WHAT_BYTES = 32 * 1024
"""Longest ``what``; of a longer one the line has its size and its hash."""

LEFT_BYTES = 1024 * 1024
"""More than this without a whole line is no crash's doing: nothing marks it."""

LATEST = 253_402_300_800 - 86_400
"""The last day of the year 9999 in UTC epoch s: later, and there is no date to show."""

_END = re.compile(rb',"hash":"([0-9a-f]{64})"\}\Z')
_KEYS = ("seq", "at", "kind", "who", "what", "why", "prev")


class Kind(StrEnum):
    """What a line tells of. The first four are the log's own."""

    FILE = "file"
    TORN = "torn"
    GAP = "gap"
    EXPIRED = "expired"
    START = "start"
    STOP = "stop"
    VCPUS = "vcpus"
    LIMITS = "limits"
    RESUME = "resume"
    REQUEUE = "requeue"
    PRUNE = "prune"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be written: at ``at`` (UTC epoch s) ``who`` did ``what``, because of ``why``."""

    at: float
    kind: Kind
    who: str
    what: Mapping[str, Any]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """The last line of a log: what the next one is chained to."""

    seq: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Line:
    """A line whose hash is right; its place in the chain is not looked at."""

    seq: int
    at: float
    kind: str
    who: str
    what: Mapping[str, Any]
    why: str
    prev: str
    hash: str

    @property
    def head(self) -> Head:
        """What the line after this one is chained to."""
        return Head(self.seq, self.hash)


class NotALine(ValueError):
    """Bytes that are no whole line; the message says why."""


def written(draft: Draft, after: Head) -> tuple[bytes, Head]:
    """Return a draft as the line after ``after``, with its newline, and the new head."""
    body = {
        "seq": after.seq + 1,
        "at": round(draft.at, 3),
        "kind": draft.kind.value,
        "who": _short(draft.who),
        "what": _bounded(draft.what),
        "why": _short(draft.why),
        "prev": after.hash,
    }
    text = json.dumps(body, separators=(",", ":"), allow_nan=False).encode("ascii")
    digest = hashlib.sha256(text).hexdigest()
    return text[:-1] + f',"hash":"{digest}"}}\n'.encode("ascii"), Head(after.seq + 1, digest)


def _short(text: str) -> str:
    return text if len(text) <= WORDS else text[: WORDS - 1] + "…"


def _bounded(what: Mapping[str, Any]) -> Mapping[str, Any]:
    short = {key: _short(value) if isinstance(value, str) else value for key, value in what.items()}
    try:
        text = json.dumps(short, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (TypeError, ValueError):  # one entry must not stop all that come after it
        return {"not_plain": _short(repr(short))}
    if len(text) <= WHAT_BYTES:
        return short
    return {"too_long_bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}


def read(raw: bytes) -> Line:
    """Return the line that ``raw`` is, without its newline; NotALine says what is wrong with it."""
    end = _END.search(raw)
    if end is None:
        raise NotALine("is not a whole line")
    body, digest = raw[: end.start()] + b"}", end[1].decode("ascii")
    if hashlib.sha256(body).hexdigest() != digest:
        raise NotALine("is not what was written: its hash differs")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotALine("is not JSON") from error
    if not isinstance(value, dict) or tuple(value) != _KEYS or not _typed(value):
        raise NotALine("has not the fields of a line")
    return Line(**value, hash=digest)


def _typed(value: Mapping[str, Any]) -> bool:
    seq, at = value["seq"], value["at"]
    return (
        isinstance(seq, int)
        and not isinstance(seq, bool)
        and isinstance(at, int | float)
        and 0 <= at < LATEST
        and isinstance(value["what"], dict)
        and all(isinstance(value[key], str) for key in ("kind", "who", "why", "prev"))
    )


def torn(at: float, left: bytes) -> Draft:
    """Return what marks ``left``: bytes behind the last whole line that a crash has left."""
    what = {"bytes": len(left), "sha256": hashlib.sha256(left).hexdigest()}
    return Draft(at, Kind.TORN, "hotslot", what, "a crash, or a full disk, while writing")


@dataclass(frozen=True, slots=True)
class Break:
    """The first line that does not fit: where it is, and what is wrong with it."""

    where: str
    what: str


@dataclass(slots=True)
class Chain:
    """Follows lines one after another; ``take`` each, then ``end``: both return the first break.

    What is no whole line is accepted only if the next whole line is the mark for exactly these
    bytes; ``torn`` says where. ``gaps`` counts marks of entries that could not be written,
    ``lost`` those entries. ``expired`` is the last line that the agent let go of, ``aside`` are
    files without a whole line, which it has put aside.
    """

    first: Line | None = None
    last: Line | None = None
    lines: int = 0
    torn: list[str] = field(default_factory=list)
    gaps: int = 0
    lost: int = 0
    expired: int = 0
    aside: list[str] = field(default_factory=list)
    _left: list[bytes] = field(default_factory=list)
    _left_at: str = ""
    _left_bytes: int = 0

    def take(self, raw: bytes, where: str) -> Break | None:
        """Take the next line, without its newline."""
        try:
            line = read(raw)
        except NotALine:
            self._left_at = self._left_at if self._left else where
            self._left_bytes = len(raw) + 1 + (self._left_bytes if self._left else 0)
            self._left.append(raw)
            return None if self._left_bytes <= LEFT_BYTES + 1 else self.end()
        if self._left:
            mark = torn(0.0, b"\n".join(self._left))
            if line.kind != mark.kind or line.what != mark.what:
                return self.end()
            self.torn.append(self._left_at)
            self._left.clear()
        elif line.kind == Kind.TORN:
            return Break(where, "marks what a crash had left, and that is gone")
        if wrong := self._misplaced(line):
            return Break(where, wrong)
        self._count(line)
        return None

    def end(self) -> Break | None:
        """Say what is wrong with what is left behind the last whole line."""
        if not self._left:
            return None
        try:
            read(self._left[0])
        except NotALine as error:
            return Break(self._left_at, str(error))
        return None

    def _misplaced(self, line: Line) -> str:
        if self.last is None:
            is_first = (line.seq == 1) == (line.prev == GENESIS) and line.kind == Kind.FILE
            return "" if is_first else "is not how a file begins: what was before it is gone"
        if line.seq != self.last.seq + 1:
            return f"has number {line.seq}, after number {self.last.seq}"
        if line.prev != self.last.hash:
            return "does not follow the line before it: that one was another when this was written"
        return ""

    def _count(self, line: Line) -> None:
        self.first = self.first or line
        self.last = line
        self.lines += 1
        if line.kind == Kind.GAP:
            self.gaps += 1
            self.lost += _whole(line.what.get("entries"))
        elif line.kind == Kind.EXPIRED:
            self.expired = max(self.expired, _whole(line.what.get("through_seq")))
        elif line.kind == Kind.FILE and isinstance(line.what.get("put_aside"), str):
            self.aside.append(line.what["put_aside"])


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
