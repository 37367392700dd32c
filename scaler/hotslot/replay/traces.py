"""Trace sets: jobs and the cores they kept busy, as two Parquet files in a directory.

- ``jobs.parquet``: ``job``, ``name``, ``app``, ``cap`` (cores requested), ``dt`` (s a sample),
  ``n`` (samples), ``start`` (s since the first job)
- ``samples.parquet``: ``job``, ``k`` (0…n-1), ``cores`` (mean busy cores), in the order of the jobs
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hotslot.replay.columns import Floats, Ints, Note, TraceError, listed, samples

COARSE_DT_S = 30.0
"""Sets sampled this coarsely are thinned by the model: every 4th job, its first day."""

CHUNK = 4_000_000
"""Samples in memory at once."""

NONE = "no job to replay; --all takes those of one core and the short ones, too"
NONE_ALL = "no job to replay: none has a cap and samples"


@dataclass(frozen=True)
class Jobs:
    """Jobs of a set with their samples: job ``i`` has ``n[i]`` from ``cores[first[i]]`` on."""

    cap: Ints
    dt: Floats
    n: Ints
    first: Ints
    start: Floats
    app: tuple[str, ...]
    cores: Floats

    def __len__(self) -> int:
        return len(self.cap)

    @property
    def life_s(self) -> Floats:
        """How long each job runs with all that it asked for."""
        return np.asarray(self.n * self.dt)

    def taken(self, which: Ints) -> Jobs:
        """Return some of the jobs, in this order."""
        apps = tuple(self.app[int(i)] for i in which) if self.app else ()
        kept = (self.cap[which], self.dt[which], self.n[which], self.first[which])
        return Jobs(*kept, self.start[which], apps, self.cores)


@dataclass(frozen=True)
class Choose:
    """Which jobs of a set are replayed.

    By default those of the model: 2 cores or more, 60 s or longer; in coarse sets 5 min or longer,
    every 4th of them, and of each its first 24 h.
    """

    everything: bool = False

    def of(self, cap: Ints, dt: Floats, n: Ints) -> tuple[Ints, Ints]:
        """Return which jobs, and how many samples of each."""
        if self.everything:
            kept = np.flatnonzero((cap >= 1) & (n >= 1))
            return kept, n[kept]
        coarse = dt >= COARSE_DT_S
        long = n * dt >= np.where(coarse, 300.0, 60.0)
        kept = np.flatnonzero((cap >= 2) & long)
        if coarse.any():
            kept = kept[::4]
        day = np.where(coarse[kept], np.floor(86_400 / dt[kept]), np.inf)
        return kept, np.minimum(n[kept], day).astype(np.int64)


MODEL = Choose()


def unheard(_words: str) -> None:
    """Take a note, and tell nobody."""


def chunks(
    path: Path, choose: Choose = MODEL, most: int = CHUNK, note: Note = unheard
) -> Iterator[Jobs]:
    """Yield the jobs of a set in order, so many samples at once; raises TraceError."""
    jobs = listed(path)
    cap, dt, n = jobs.cap, jobs.dt, jobs.n
    empty = int(((cap < 1) | (n < 1)).sum())
    if empty:
        note(f"{empty:,} of {len(jobs):,} jobs have cap 0 or n 0, and are left out")
    kept, counted = choose.of(cap, dt, n)
    chosen = dict(zip(kept.tolist(), counted.tolist(), strict=True))
    ends = np.cumsum(n)
    pieces, held, skipped = samples(path, jobs, note), np.empty(0), 0
    members: list[int] = []
    for job in range(len(jobs)):
        last = job == len(jobs) - 1
        held = _filled(pieces, held, int(ends[job]) - skipped, to_the_end=last)
        if job in chosen:
            members.append(job)
        if int(ends[job]) - skipped >= most or last:
            if members:
                which = np.array(members, dtype=np.int64)
                first = (ends - n)[which] - skipped
                counts = np.array([chosen[one] for one in members], dtype=np.int64)
                apps = tuple(jobs.app[one] for one in members)
                upto = held[: int(ends[job]) - skipped]
                yield Jobs(cap[which], dt[which], counts, first, jobs.start[which], apps, upto)
            held, skipped, members = held[int(ends[job]) - skipped :], int(ends[job]), []


def whole(path: Path, choose: Choose = MODEL, note: Note = unheard) -> Jobs:
    """Return all jobs of a set at once."""
    parts = list(chunks(path, choose, most=1 << 62, note=note))
    if not parts:
        raise TraceError(path, NONE_ALL if choose.everything else NONE)
    return parts[0]


def _filled(pieces: Iterator[Floats], held: Floats, needed: int, to_the_end: bool) -> Floats:
    """Return ``held`` with as many pieces more as are needed, or with all that there are."""
    parts, have = [held], len(held)
    while to_the_end or have < needed:
        piece = next(pieces, None)
        if piece is None:
            break
        parts.append(piece)
        have += len(piece)
    return np.concatenate(parts) if len(parts) > 1 else held
