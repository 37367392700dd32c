"""A recorded run, replayed: would the same policy decide the same, and come to the same totals?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hotslot.decide.demand import demand_cores
from hotslot.decide.policy import Policy, View
from hotslot.model import Event, Sample
from hotslot.replay.traces import Jobs


def decided_again(
    policy: Policy, request: int, samples: Sequence[Sample], events: Sequence[Event]
) -> list[tuple[float, int]]:
    """Show the policy a lease's samples once more; return when it wanted which size, changes only.

    ``events`` are the lease's, for when the size was last changed before each sample.
    """
    ended = sorted(event.at + event.took_s for event in events)
    wanted: list[tuple[float, int]] = []
    for at in range(1, len(samples) + 1):
        last = samples[at - 1]
        changed = [one for one in ended if one <= last.at]
        view = View(request, last.granted_vcpus, samples[:at], changed[-1] if changed else None)
        size = policy.wish(view).vcpus
        if not wanted or wanted[-1][1] != size:
            wanted.append((last.at, size))
    return wanted


def jobs_from(runs: Sequence[tuple[int, Sequence[Sample]]], dt: float = 1.0) -> Jobs:
    """Make a trace set of leases: request and samples of each; demand as far as it was seen."""
    courses = [_course(samples, dt) for _, samples in runs]
    n = np.array([len(course) for course in courses], dtype=np.int64)
    return Jobs(
        cap=np.array([request for request, _ in runs], dtype=np.int64),
        dt=np.full(len(runs), dt),
        n=n,
        first=np.cumsum(n) - n,
        start=np.array([s[0].at - s[0].interval_s for _, s in runs]) - runs[0][1][0].at,
        app=("",) * len(runs),
        cores=np.concatenate(courses),
    )


def _course(samples: Sequence[Sample], dt: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    begin = samples[0].at - samples[0].interval_s
    course = np.zeros(max(1, math.ceil((samples[-1].at - begin) / dt - 0.5)))
    for sample in samples:
        low, high = (sample.at - sample.interval_s - begin) / dt, (sample.at - begin) / dt
        for slot in range(max(0, int(low)), min(len(course), math.ceil(high))):
            part = min(high, slot + 1.0) - max(low, float(slot))
            course[slot] += max(0.0, part) * demand_cores(sample)
    return course
