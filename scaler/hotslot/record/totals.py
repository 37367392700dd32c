"""How samples add up: to a lease's totals, and to the host's ledger. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import floor, fsum

from hotslot.model import Sample, Totals
from hotslot.record.batch import LedgerMinute

SATURATED_SHARE = 0.9
"""Share of the held vCPUs from which demand counts as hidden by the limit."""


def is_saturated(sample: Sample, request: int) -> bool:
    """Tell whether the job was at its limit while it held less than it had asked for.

    Request 4, held 2, wanted 1.9: yes (1.9 >= 0.9 x 2). Held 4, wanted 4: no, that is all it
    asked for.
    """
    below = sample.held_cores < request - 1e-6
    return below and sample.wanted_cores >= SATURATED_SHARE * sample.held_cores


def plus(totals: Totals, sample: Sample, request: int) -> Totals:
    """Return a lease's totals with one more sample in them.

    Worked: 10 s of a 4-CPU job held at 2 and busy 1.9 cores add 40 requested, 20 held, 19 used
    core-seconds and, since 1.9 of 2 is saturated below the request, 10 s of saturation.
    """
    seconds = sample.interval_s
    return Totals(
        life_s=totals.life_s + seconds,
        requested_core_s=totals.requested_core_s + request * seconds,
        held_core_s=totals.held_core_s + sample.held_cores * seconds,
        used_core_s=totals.used_core_s + sample.used_cores * seconds,
        waited_core_s=totals.waited_core_s + sample.waited_cores * seconds,
        peak_cores=max(totals.peak_cores, sample.used_cores),
        saturated_s=totals.saturated_s + (seconds if is_saturated(sample, request) else 0.0),
        borrowed_core_s=totals.borrowed_core_s + max(0.0, sample.held_cores - request) * seconds,
    )


def totals_of(samples: Iterable[Sample], request: int) -> Totals:
    """Return the totals of a lease from all of its samples, each sum rounded once."""
    rows = list(samples)
    life_s = fsum(row.interval_s for row in rows)
    return Totals(
        life_s=life_s,
        requested_core_s=request * life_s,
        held_core_s=fsum(row.held_cores * row.interval_s for row in rows),
        used_core_s=fsum(row.used_cores * row.interval_s for row in rows),
        waited_core_s=fsum(row.waited_cores * row.interval_s for row in rows),
        peak_cores=max((row.used_cores for row in rows), default=0.0),
        saturated_s=fsum(row.interval_s for row in rows if is_saturated(row, request)),
        borrowed_core_s=fsum(max(0.0, row.held_cores - request) * row.interval_s for row in rows),
    )


def ledger_minutes(
    at: float,
    interval_s: float,
    held_core_s: float,
    used_core_s: float,
    host_cores: int,
    *,
    requested_core_s: float = 0.0,
    idle_core_s: float = 0.0,
) -> Iterator[LedgerMinute]:
    """Spread what a worker was granted and used over the minutes that the interval touches.

    ``at`` is the interval's end. Worked: 90 s that end at 150 with 180 core-seconds held give
    120 to the minute from 60 and 60 to the minute from 120. The parts add up to the whole.
    """
    start = at - interval_s
    for minute in range(_minute(start), _minute(at) + 60, 60):
        span_s = min(at, minute + 60) - max(start, minute)
        if span_s > 0:
            share = span_s / interval_s
            yield LedgerMinute(
                minute_at=minute,
                span_s=span_s,
                held_core_s=held_core_s * share,
                used_core_s=used_core_s * share,
                host_cores=host_cores,
                requested_core_s=requested_core_s * share,
                idle_core_s=idle_core_s * share,
            )


def _minute(at: float) -> int:
    return floor(at / 60) * 60
