"""Slurm's lists of nodes: ``w[1-3,07],x2`` → w1 w2 w3 w07 x2."""

from __future__ import annotations

import re

NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
NAME_MAX = 63
NODES_MAX = 65_536
"""More names than this are refused: a list of a few bytes can stand for billions."""

_PIECE = re.compile(r"([^\[\],\s]*)(?:\[([0-9,-]+)\])?")
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


def expand(text: str) -> list[str]:
    """Return the nodes of a list, in its order.

    Worked: ``r[1-2]n[08-09]`` → r1n08 r1n09 r2n08 r2n09. Raises ValueError.
    """
    names: list[str] = []
    position = 0
    while position < len(text):
        found, position = _one(text, position)
        names += found
        _bounded(len(names))
        if position < len(text):
            if text[position] != ",":
                raise ValueError(f"{text[:60]!r} is not a list of nodes")
            position += 1
    return names


def _one(text: str, position: int) -> tuple[list[str], int]:
    """Read the names up to the next comma that is not inside brackets."""
    names = [""]
    while position < len(text) and text[position] != ",":
        match = _PIECE.match(text, position)
        if match is None or match.end() == position:
            raise ValueError(f"{text[:60]!r} is not a list of nodes")
        numbers = _numbers(match[2]) if match[2] else [""]
        _bounded(len(names) * len(numbers))
        names = [name + match[1] + number for name in names for number in numbers]
        if names and len(names[0]) > NAME_MAX:
            break
        position = match.end()
    if not all(NODE.fullmatch(name) for name in names):
        raise ValueError(f"{text[:60]!r} has a name that no node can have")
    return names, position


def _numbers(text: str) -> list[str]:
    numbers: list[str] = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError(f"[{text[:60]}] is not a list of numbers")
        first, last = match[1], match[2] or match[1]
        _bounded(len(numbers) + int(last) - int(first))
        numbers += [str(n).zfill(len(first)) for n in range(int(first), int(last) + 1)]
    return numbers


def _bounded(count: int) -> None:
    if count > NODES_MAX:
        raise ValueError(f"a list of more than {NODES_MAX} nodes")
