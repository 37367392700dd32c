"""Synthetic families of jobs, for what recorded sets do not have; seeded, so always the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hotslot.replay.columns import Floats
from hotslot.replay.traces import Jobs

LIFE_S = 3600
JOBS = 24
CAPS = (2, 4, 8, 16)

Dice = np.random.Generator
Course = Callable[[Dice, int], Iterator[tuple[float, float]]]
"""Yields phases: seconds, and the part of the request that is wanted."""


def training(dice: Dice, cap: int) -> Iterator[tuple[float, float]]:
    """Periodic AI training: all cores, then a gap in which one loads data."""
    step, gap = dice.uniform(20, 120), dice.uniform(3, 45)
    while True:
        yield step, dice.uniform(0.92, 1.0)
        yield gap * dice.uniform(0.8, 1.2), 1 / cap


def bursts(dice: Dice, cap: int) -> Iterator[tuple[float, float]]:
    """Mostly one core, and now and then all for some seconds."""
    while True:
        yield dice.exponential(150), 0.9 / cap
        yield dice.uniform(3, 15), 1.0


def ramps(dice: Dice, cap: int) -> Iterator[tuple[float, float]]:
    """Up and down slowly."""
    whole = dice.uniform(400, 1200)
    while True:
        for part in (*range(20), *range(20, 0, -1)):
            yield whole / 40, max(0.5 / cap, part / 20)


def stragglers(dice: Dice, cap: int) -> Iterator[tuple[float, float]]:
    """All cores for a while, then the last thread alone."""
    while True:
        yield dice.uniform(200, 900), 1.0
        yield dice.uniform(60, 900), 1 / cap


def spinning(dice: Dice, cap: int) -> Iterator[tuple[float, float]]:  # noqa: ARG001
    """MPI ranks that wait for one another at 100 %."""
    while True:
        yield 60.0, dice.uniform(0.995, 1.0)


def waiting(dice: Dice, cap: int) -> Iterator[tuple[float, float]]:
    """Reading and writing, with nothing to compute meanwhile."""
    while True:
        yield dice.exponential(20), dice.uniform(0.3, 0.8)
        yield dice.exponential(25), 0.1 / cap


FAMILIES: dict[str, Course] = {
    "training": training,
    "bursts": bursts,
    "ramps": ramps,
    "stragglers": stragglers,
    "mpi spinning": spinning,
    "i/o waits": waiting,
}


def family(name: str, seed: int = 1) -> Jobs:
    """Return the jobs of a family, sampled once a second."""
    dice = np.random.default_rng(seed)
    caps = np.array([CAPS[job % len(CAPS)] for job in range(JOBS)], dtype=np.int64)
    courses = [_course(FAMILIES[name], dice, int(cap)) for cap in caps]
    n = np.full(JOBS, LIFE_S, dtype=np.int64)
    first = np.arange(JOBS, dtype=np.int64) * LIFE_S
    start = np.arange(JOBS, dtype=np.float64)
    return Jobs(caps, np.ones(JOBS), n, first, start, ("",) * JOBS, np.concatenate(courses))


def _course(course: Course, dice: Dice, cap: int) -> Floats:
    ends, values, until = [], [], 0.0
    for seconds, part in course(dice, cap):
        until += seconds
        ends.append(until)
        values.append(part * cap)
        if until >= LIFE_S:
            break
    at = np.searchsorted(np.array(ends), np.arange(LIFE_S) + 0.5)
    noise = dice.uniform(0.985, 1.0, LIFE_S)
    return np.asarray(np.minimum(cap, np.array(values)[at] * noise), dtype=np.float64)
