"""Small synthetic trace sets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
