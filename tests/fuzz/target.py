"""A target: one parser, what it may raise, and what it is fed with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
TRANSCRIPTS = TESTS / "transcripts"
ROOT = TESTS.parent


class Broken(Exception):
    """A parser returned what it promises never to return."""


def must(holds: bool, words: str) -> None:
    """Raise Broken unless a promise holds."""
    if not holds:
        raise Broken(words)


@dataclass(frozen=True, slots=True)
class Target:
    """One parser: ``run`` takes an input, and raises nothing but ``allowed``.

    ``json``: inputs are JSON, mutated value by value, too; ``words`` are put into inputs; ``share``
    is its part of a run's inputs, beside the others'; ``limit_s``: CPU time of one input.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: Sequence[bytes]
    allowed: tuple[type[Exception], ...] = ()
    words: Sequence[bytes] = ()
    json: bool = False
    share: float = 1.0
    limit_s: float = 1.0


def parsed(data: bytes) -> Any:
    """Return JSON as a library that takes any number would; None where it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def as_json(*values: object) -> list[bytes]:
    """Return seeds of values."""
    return [json.dumps(value).encode() for value in values]


def recorded(pattern: str) -> Iterator[Any]:
    """Yield the JSON lines of transcripts."""
    for path in sorted(TRANSCRIPTS.glob(pattern)):
        for line in path.read_text().splitlines():
            yield json.loads(line)


def shown_on_one_line(text: str, most: int = 300) -> None:
    """Check that words which will be shown are short and have no control characters."""
    must(len(text) <= most, f"{len(text)} characters")
    must(text.isprintable(), f"is not printable: {text[:80]!a}")
