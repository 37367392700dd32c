"""What bounds any arbiter: a host on which no core idles while a job has work for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hotslot.decide.law import State
from hotslot.replay.compiled import compiled, numba_there
from hotslot.replay.host import MOST_S, HostFigures, host_figures, queue_of
from hotslot.replay.replay import DEFAULT, Setting
from hotslot.replay.traces import Jobs

NAME = "oracle: no core idles"


def work_conserving(
    host_cores: float,
    caps: Sequence[int],
    dts: Sequence[float],
    cores: Sequence[float],
    firsts: Sequence[int],
    ns: Sequence[int],
    at: State,
    out: Sequence[State],
    most_s: int,
) -> None:
    """Run all jobs at once, in fractions of cores, the oldest served first, changes free.

    Rows of ``out``: first second of any work, end, seconds below full speed after that.
    """
    jobs, first, tick = len(caps), 0, 0
    while first < jobs and tick < most_s:
        left, one = host_cores, first
        tick += 1
        while one < jobs and left > 1e-9:
            if out[one][1] == 0.0:
                demand = min(cores[firsts[one] + int(at[one] / dts[one])], float(caps[one]))
                speed = 1.0 if demand <= left else left / demand
                left -= min(demand, left)
                if at[one] == 0.0:
                    out[one][0] = float(tick - 1)
                at[one] += speed
                if at[one] >= ns[one] * dts[one] - 1e-9:
                    out[one][1] = float(tick)
            one += 1
        while first < jobs and out[first][1] > 0.0:
            first += 1


def bound(jobs: Jobs, host_cores: int, setting: Setting = DEFAULT) -> HostFigures:
    """Return what a host could do at most with a queue in this order."""
    jobs = queue_of(jobs, host_cores)
    run: Any = work_conserving
    if setting.compiles(float(jobs.life_s.sum())) and numba_there():
        run = compiled(run)
    at, out = np.zeros(len(jobs)), np.zeros((len(jobs), 2))
    run(float(host_cores), jobs.cap, jobs.dt, jobs.cores, jobs.first, jobs.n, at, out, MOST_S)
    return host_figures(NAME, jobs, out[:, 0], out[:, 1], 0.0, host_cores, short_pct=0.0)
