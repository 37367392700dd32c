"""Fewer samples for a lease that has ended, with the same integrals. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import fsum

from hotslot.model import Sample

TARGET_POINTS = 600
"""Points to keep of a lease: more than a terminal or a page is wide."""

GAP_S = 0.5
"""Samples further apart than this are not neighbours: nothing was measured between."""


def thin(samples: Sequence[Sample], points: int = TARGET_POINTS) -> list[Sample]:
    """Return at most ``points`` samples where the changes allow it, oldest first.

    Kept as they are: the first and last sample, and those on both sides of a change of the
    granted vCPUs or of a gap. Between these, neighbours become one time-weighted mean, as many
    together as are needed. The integrals of held, used and waited cores stay the same to
    float rounding; peaks within a mean are lost, which is why totals are summed before.
    Worked: 1000 samples of a second, one change, 100 points: the 4 samples at the ends and the
    change stay, of the other 996 every 11 become one. Thinning again changes nothing.
    """
    if len(samples) <= points:
        return list(samples)
    runs = list(_runs(samples))
    size = _run_size([len(run) for run in runs], points)
    return [_mean(run[start : start + size]) for run in runs for start in range(0, len(run), size)]


def _runs(samples: Sequence[Sample]) -> Iterator[Sequence[Sample]]:
    """Cut into runs that may be merged; a sample that must stay is a run of its own."""
    last = len(samples) - 1
    cut = [_differ(before, after) for before, after in pairwise(samples)]
    start = 0
    for index in range(len(samples)):
        stays = index in (0, last) or cut[index - 1] or cut[index]
        if stays:
            if start < index:
                yield samples[start:index]
            yield samples[index : index + 1]
            start = index + 1


def _differ(before: Sample, after: Sample) -> bool:
    gap_s = (after.at - after.interval_s) - before.at
    return before.granted_vcpus != after.granted_vcpus or abs(gap_s) > GAP_S


def _run_size(lengths: Sequence[int], points: int) -> int:
    """Return the least number of samples to merge so that all runs fit into ``points``."""
    low, high = 1, max(lengths)
    while low < high:
        middle = (low + high) // 2
        if sum(-(-length // middle) for length in lengths) <= points:
            high = middle
        else:
            low = middle + 1
    return low


def _mean(run: Sequence[Sample]) -> Sample:
    if len(run) == 1:
        return run[0]
    interval_s = fsum(one.interval_s for one in run)
    return Sample(
        at=run[-1].at,
        interval_s=interval_s,
        granted_vcpus=run[-1].granted_vcpus,
        held_cores=fsum(one.held_cores * one.interval_s for one in run) / interval_s,
        used_cores=fsum(one.used_cores * one.interval_s for one in run) / interval_s,
        waited_cores=fsum(one.waited_cores * one.interval_s for one in run) / interval_s,
    )
