"""Small synthetic trace sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hotslot.replay.trace_set import TraceSet
from hotslot.replay.traces import Jobs


def jobs_of(courses: Sequence[Sequence[float]], *, cap: int = 8, dt: float = 1.0) -> Jobs:
    """Jobs with these courses of demand, all of one request, started one after the other."""
    n = np.array([len(course) for course in courses], dtype=np.int64)
    cores = np.concatenate([np.asarray(course, dtype=np.float64) for course in courses])
    return Jobs(
        cap=np.full(len(n), cap, dtype=np.int64),
        dt=np.full(len(n), dt),
        n=n,
        first=np.cumsum(n) - n,
        start=np.cumsum(n * dt) - n * dt,
        app=("",) * len(n),
        cores=cores,
    )


def write(path: Path, jobs: Jobs) -> None:
    """Write jobs as a set, named by their numbers."""
    with TraceSet(path) as traces:
        for at in range(len(jobs)):
            first, n = int(jobs.first[at]), int(jobs.n[at])
            traces.add(
                jobs.cores[first : first + n],
                cap=int(jobs.cap[at]),
                dt=float(jobs.dt[at]),
                start=float(jobs.start[at]),
                name=str(at + 1),
                app=jobs.app[at] if jobs.app else "",
            )
