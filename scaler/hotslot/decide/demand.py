"""What samples tell of a worker's demand, whatever the policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from hotslot.model import Sample

STEADY_CORES = 0.01
"""Held cores that differ from the granted vCPUs by less did not change within the interval."""


def demand_cores(sample: Sample) -> float:
    """Return the cores that a worker wanted, at most what it had: a vCPU wants one at most.

    Waiting counts: a host that is oversubscribed must not make a job look idle. A wait is counted
    when it ends, so that one sample may show more of it than fits.
    Worked: 1 vCPU, 0.4 used, 0.9 waited for: wanted 1.0.
    """
    return min(sample.wanted_cores, max(sample.held_cores, float(sample.granted_vcpus)))


def steady(sample: Sample) -> bool:
    """Tell whether no vCPU came or went within the interval."""
    return abs(sample.held_cores - sample.granted_vcpus) < STEADY_CORES


def newest_first(samples: Sequence[Sample], span_s: float) -> Iterator[Sample]:
    """Yield the last samples until their intervals add up to ``span_s``.

    Intervals are of the monotonic clock, so that setting the wall clock changes nothing.
    """
    seen_s = 0.0
    for sample in reversed(samples):
        if seen_s >= span_s:
            return
        seen_s += sample.interval_s
        yield sample


def seen_s(samples: Iterable[Sample], longest_s: float) -> float:
    """Add up intervals, newest first, back to one that is longer than ``longest_s``."""
    return sum(s.interval_s for s in takewhile(lambda s: s.interval_s <= longest_s, samples))
