"""The bound of all policies: who knows the whole future, and pays for each event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hotslot.decide.law import State
from hotslot.replay.columns import Floats
from hotslot.replay.compiled import compiled, numba_there
from hotslot.replay.traces import Jobs


def cheapest(
    price: float,
    event_s: float,
    caps: Sequence[int],
    dts: Sequence[float],
    cores: Sequence[float],
    firsts: Sequence[int],
    ns: Sequence[int],
    table: Sequence[State],
    out: Sequence[State],
) -> None:
    """Find for each job the sizes, never below demand, with the least held + price x lost.

    Dynamic programming over samples and sizes; ``table`` has rows cost, events, held, a column a
    size. Rows of ``out`` as those of the engine.
    """
    for job in range(len(caps)):
        cap, dt = int(caps[job]), dts[job]
        cost, events, held = table[0], table[1], table[2]
        for size in range(1, cap + 1):
            cost[size], events[size], held[size] = 1e300, 0.0, 0.0
        cost[cap] = 0.0
        for k in range(ns[job]):
            best = cap
            for size in range(1, cap + 1):
                if cost[size] < cost[best]:
                    best = size
            changed = cost[best] + price * event_s * cap
            count, before = events[best] + 1, held[best]
            demand = max(1.0, min(float(cap), -(-(cores[firsts[job] + k] - 1e-6) // 1)))
            for size in range(1, cap + 1):
                if changed < cost[size]:
                    cost[size], events[size], held[size] = changed, count, before
                if size < demand:
                    cost[size] = 1e300
                else:
                    cost[size] += size * dt
                    held[size] += size * dt
        best = cap
        for size in range(1, cap + 1):
            if cost[size] < cost[best]:
                best = size
        out[job][0] = held[best]
        out[job][1] = 0.0
        out[job][2] = events[best]
        out[job][3] = ns[job] * dt + event_s * events[best]


def within_budget(jobs: Jobs, budget_pct: float, event_s: float = 0.5) -> Floats:
    """Return the outcomes of the most that can be reclaimed with this total slow-down, by events
    alone: no policy that never throttles can do better."""
    run: Any = compiled(cheapest) if numba_there() else cheapest
    work = float((jobs.cap * jobs.life_s).sum())
    low, high = 0.01, 10_000.0
    found = np.zeros((len(jobs), 4))
    for _ in range(18):
        price = (low * high) ** 0.5
        out, table = np.zeros((len(jobs), 4)), np.zeros((3, int(jobs.cap.max()) + 1))
        run(price, event_s, jobs.cap, jobs.dt, jobs.cores, jobs.first, jobs.n, table, out)
        lost = 100 * float(((out[:, 3] - jobs.life_s) * jobs.cap).sum()) / work
        if lost > budget_pct:
            low = price
        else:
            high, found = price, out
    return found
