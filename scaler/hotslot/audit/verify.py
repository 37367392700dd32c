"""Is an audit log whole? Follows the chain over all files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hotslot.audit.chain import Break, Chain, Line, NotALine, read
from hotslot.audit.files import raw_lines

TOLD_EACH = 20_000
"""Lines between two words about how far it is."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What ``verify`` found; ``broken`` is None when the chain is whole.

    ``first_seq`` to ``last_seq`` are the lines that are there, ``head`` the hash of the last one.
    ``missing``: lines that were before and that the agent did not let go of by itself. ``torn``
    are places that a crash has left and the agent has marked, ``lost`` entries that the ``gaps``
    tell of, ``aside`` files that the agent has put aside. ``at_end``: all that is broken is that
    the end is no whole line, as in the middle of a write.
    """

    files: int
    lines: int
    first_seq: int
    last_seq: int
    last_at: float | None
    head: str
    torn: tuple[str, ...]
    gaps: int
    lost: int
    missing: int
    aside: tuple[str, ...]
    broken: Break | None
    at_end: bool


def verify(paths: Sequence[Path], tell: Callable[[str], None] = lambda _: None) -> Verdict:
    """Follow the chain over files in the order given, up to the first break."""
    chain, broken, seen = Chain(), None, 0
    for path in paths:
        for number, raw in raw_lines(path):
            seen += 1
            if seen % TOLD_EACH == 0:
                tell(f"{seen:,} lines, {path.name}")
            broken = chain.take(raw, f"{path}, line {number}")
            if broken is not None:
                break
        if broken is not None:
            break
    left = chain.end() if broken is None else None
    return Verdict(
        files=len(paths),
        lines=chain.lines,
        first_seq=chain.first.seq if chain.first else 0,
        last_seq=chain.last.seq if chain.last else 0,
        last_at=chain.last.at if chain.last else None,
        head=chain.last.hash if chain.last else "",
        torn=tuple(chain.torn),
        gaps=chain.gaps,
        lost=chain.lost,
        missing=max(0, chain.first.seq - 1 - chain.expired) if chain.first else 0,
        aside=tuple(chain.aside),
        broken=broken or left,
        at_end=left is not None,
    )


def entries(paths: Sequence[Path]) -> Iterator[Line]:
    """Yield the lines of files whose hashes are right, whether they follow each other or not."""
    for path in paths:
        for _, raw in raw_lines(path):
            with suppress(NotALine):
                yield read(raw)


def fits(
    line: Line,
    since: float | None,
    until: float | None,
    kind: str | None,
    wanted: Mapping[str, str | None],
) -> bool:
    """Whether a line is of that time and kind, and its ``what`` has these values (None: any)."""
    if (since is not None and line.at < since) or (until is not None and line.at >= until):
        return False
    if kind is not None and line.kind != kind:
        return False
    return all(one is None or line.what.get(key) == one for key, one in wanted.items())


def holds(paths: Sequence[Path], head: str) -> bool:
    """Whether a line of this hash is in one of the files."""
    return any(line.hash == head for line in entries(paths))
