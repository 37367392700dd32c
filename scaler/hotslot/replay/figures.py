"""What a replay comes to: one row a policy, each figure with its denominator."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from hotslot.replay.columns import Floats
from hotslot.replay.traces import Jobs

HELD, THROTTLED, EVENTS, RUN = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Figures:
    """One policy over one set.

    reclaimed: core-hours not held, of those requested; oracle: the same of a perfect, instant,
    free one; eff: the first of the second. Slow-downs: run time added, weighted by core-hours;
    total: with events; p99 and worst: over jobs, total.
    """

    policy: str
    jobs: int
    reclaimed_pct: float
    oracle_pct: float
    eff_pct: float
    slowdown_throttle_pct: float
    slowdown_total_pct: float
    slowdown_p99_pct: float
    worst_pct: float
    events_per_job_hour: float

    def as_json(self) -> dict[str, object]:
        """Return the object that ``--json`` prints."""
        rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(self).items()}
        return dict(rounded)


@dataclass(frozen=True, slots=True)
class Sums:
    """What adds up over chunks of a set."""

    cap: Floats
    life_s: Floats
    out: Floats
    perfect_core_s: float


def perfect(jobs: Jobs) -> float:
    """Return core-seconds that a perfect, instant, free oracle holds: demand, rounded up."""
    total = 0.0
    for cap, dt, first, n in zip(jobs.cap, jobs.dt, jobs.first, jobs.n, strict=True):
        needed = np.ceil(jobs.cores[first : first + n] - 1e-6)
        total += float(np.clip(needed, 1, cap).sum() * dt)
    return total


def sums(jobs: Jobs, out: Floats) -> Sums:
    """Put a chunk's outcomes with what they are measured against."""
    return Sums(jobs.cap.astype(np.float64), jobs.life_s, out, perfect(jobs))


def figures(policy: str, parts: list[Sums]) -> Figures:
    """Work out a policy's row. Worked: 2 cores for 100 s, held 150 core-s, ran 100.5 s, one event:
    reclaimed 25 %, total slow-down 0.5 %, 36 events a job-hour."""
    cap = np.concatenate([part.cap for part in parts])
    life_s = np.concatenate([part.life_s for part in parts])
    out = np.concatenate([part.out for part in parts])
    requested = float((cap * life_s).sum())
    reclaimed = 100 * (1 - float(out[:, HELD].sum()) / requested)
    oracle = 100 * (1 - sum(part.perfect_core_s for part in parts) / requested)
    added = out[:, RUN] - life_s
    each = 100 * added / life_s
    return Figures(
        policy=policy,
        jobs=len(cap),
        reclaimed_pct=reclaimed,
        oracle_pct=oracle,
        eff_pct=100 * reclaimed / oracle if oracle > 0 else 0.0,
        slowdown_throttle_pct=100 * float((out[:, THROTTLED] * cap).sum()) / requested,
        slowdown_total_pct=100 * float((added * cap).sum()) / requested,
        slowdown_p99_pct=float(np.percentile(each, 99)),
        worst_pct=float(each.max()),
        events_per_job_hour=float(out[:, EVENTS].sum() / (life_s.sum() / 3600)),
    )
