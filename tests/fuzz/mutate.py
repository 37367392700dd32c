"""Inputs from real ones: bytes changed anywhere, JSON changed value by value."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from fuzz.target import Target, parsed

MOST_BYTES = 64 * 1024
MOST_JSON = 1024 * 1024

WORDS = (
    b"\x00", b"\n", b"\r\n", b"\x1b[2J", b"\xff", b"\xc3\x28", b"\xe2\x80\xae", b"\xf0\x9f\x92\xa9",
    b"-1", b"0", b"1e309", b"NaN", b"9" * 25, b"9" * 5000, b"0x10", b"\xd9\xa3", b"\xc2\xb2",
    b"=", b",", b";", b":", b"|", b"'", b'"', b"\\", b"[", b"]", b"{", b"}", b"%s",
    b"[" * 3000, b"$(id)", b"../", b'{"a":' * 1500, b"A" * 5000, b" " * 5000,
)  # fmt: skip

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 0.5, -0.0, 2**31, 2**53, 2**53 + 1, 2**63, 2**64, 10**400,
    -(10**400), 1e308, -1e308, 1e-308, float("nan"), float("inf"), "", " ", "\x00", "a\nb",
    "\x1b[2J", "\u202e", "\ud800", "\u0663", "²", "true", "12", "-", "w[1-999999999]", "w1,w1",
    "A" * 5000, "RUNNING", "COMPLETING", "../../etc/passwd", [], {}, [[]], [None], {"": None},
    [0] * 500,
    {"set": True, "infinite": False, "number": 10**400}, {"set": True, "number": -1},
    {"number": {"number": {"number": 3}}},
)  # fmt: skip

DEEP = 300
"""Levels of what is nested in a value; a document of thousands is among WORDS."""


def inputs(target: Target, random: Random) -> Callable[[], bytes]:
    """Return what makes the next input of a target."""
    seeds = list(target.seeds)
    values = [value for seed in seeds if (value := parsed(seed)) is not None]
    words = (*target.words, *target.words, *target.words, *WORDS)

    def one() -> bytes:
        if target.json and values and random.random() < 0.8:
            return changed_json(one_of(values, random), values, random)
        return changed(one_of(seeds, random), seeds, words, random)

    return one


def mutated(target: Target, data: bytes, random: Random) -> bytes:
    """Return a neighbour of an input."""
    value = parsed(data) if target.json else None
    if value is not None and random.random() < 0.8:
        return changed_json(value, [value], random)
    return changed(data, target.seeds, (*target.words, *WORDS), random)


def one_of(many: Sequence[Any], random: Random) -> Any:
    return many[int(random.random() * len(many))]


def changed(data: bytes, seeds: Sequence[bytes], words: Sequence[bytes], random: Random) -> bytes:
    """Change bytes at one to four places."""
    for _ in range(1 + int(random.random() ** 2 * 4)):
        at = int(random.random() * (len(data) + 1))
        to = min(len(data), at + 1 + int(random.random() ** 3 * 40))
        what = random.random()
        if what < 0.35:
            data = data[:at] + one_of(words, random) + data[at:]
        elif what < 0.5:
            data = data[:at] + one_of(words, random) + data[to:]
        elif what < 0.65:
            data = data[:at] + data[to:]
        elif what < 0.8:
            data = data[:at] + bytes((int(random.random() * 256),)) + data[at + 1 :]
        elif what < 0.9:
            data = data[:to] + data[at:]
        else:
            other = one_of(seeds, random)
            data = data[:at] + other[int(random.random() * len(other)) :]
    return data[:MOST_BYTES]


def changed_json(value: Any, values: Sequence[Any], random: Random) -> bytes:
    """Change one to three values of a document."""
    for _ in range(1 + int(random.random() ** 2 * 3)):
        value = _touched(value, values, random)
    try:
        return json.dumps(value).encode()[:MOST_JSON]
    except (ValueError, RecursionError):
        return b"null"


def _touched(value: Any, values: Sequence[Any], random: Random) -> Any:
    if isinstance(value, dict) and value and random.random() < 0.93:
        key = one_of(list(value), random)
        what = random.random()
        if what < 0.05:
            return {one: kept for one, kept in value.items() if one != key}
        if what < 0.08:
            return {**value, str(one_of(VALUES, random))[:60]: value[key]}
        if what < 0.12:
            return {**value, key: value[one_of(list(value), random)]}
        return {**value, key: _touched(value[key], values, random)}
    if isinstance(value, list) and value and random.random() < 0.93:
        at = int(random.random() * len(value))
        what = random.random()
        if what < 0.05:
            return value[:at] + value[at + 1 :]
        if what < 0.1:
            return value[:at] + [value[at]] * (2 + int(random.random() * 60)) + value[at:]
        return [*value[:at], _touched(value[at], values, random), *value[at + 1 :]]
    return _hostile(value, values, random)


def _hostile(value: Any, values: Sequence[Any], random: Random) -> Any:
    what = random.random()
    if what < 0.7:
        return one_of(VALUES, random)
    if what < 0.75:
        deep: Any = value
        for _ in range(DEEP):
            deep = {"number": deep} if what < 0.72 else [deep]
        return deep
    if what < 0.8:
        return one_of(values, random)
    if isinstance(value, str):
        return changed(value.encode("utf-8", "replace"), (b"x",), WORDS, random).decode(
            "utf-8", "replace"
        )
    if isinstance(value, int | float) and abs(value) < 1e300:
        return value * one_of((-1, 0.5, 2**40, 10**20), random)
    return one_of(VALUES, random)
