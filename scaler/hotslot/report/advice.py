"""What to ask for next time, per user and job name, and when not to ask for less. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import fsum

from hotslot.model import Sample
from hotslot.record.batch import LeaseRow
from hotslot.report.efficiency import Suggestion, suggested
from hotslot.report.sheet import Column, Kind, Sheet, Value
from hotslot.report.words import core_hours, many

FEW_RUNS = 3
"""Fewer runs than this say little of the next one."""

BUSY_S = 60.0
"""Bursts are averaged over a minute: what is shorter waits that long at most."""

HARMED = 0.01
"""From this share of its time at a limit below its request on, a run may have wanted more."""

MEMORY = (
    "hotslot sees CPUs, not memory: who asks for CPUs to get the memory that comes with them "
    "should ask for memory itself (--mem), or keep the request."
)


class Verdict(StrEnum):
    """What to do about a request."""

    LESS = "ask for less"
    SAME = "keep it"
    WAIT = "wait for more runs"


@dataclass(frozen=True, slots=True)
class Advice:
    """For one user's jobs of one name: CPUs to ask for on each worker, and why in words.

    ``saved_core_s`` is what the runs looked at would have asked for less.
    """

    user: str
    name: str
    verdict: Verdict
    asked_vcpus: int
    vcpus: int
    runs: int
    need_cores: float
    asked_core_s: float
    saved_core_s: float
    basis: str
    why: str


def busiest_minute(samples: Sequence[Sample]) -> float | None:
    """Return the cores wanted in the busiest BUSY_S, or over all of a shorter life; None of none.

    Samples that were thinned to longer intervals count as they are. Worked: 4 cores for 30 s,
    then 1 for 70 s: the busiest minute wanted (4 x 30 + 1 x 30) / 60 = 2.5 cores.
    """
    if not samples:
        return None
    means, first, work, span = [], 0, 0.0, 0.0
    for one in samples:
        work += one.wanted_cores * one.interval_s
        span += one.interval_s
        while span - samples[first].interval_s >= BUSY_S - 1e-6:
            work -= samples[first].wanted_cores * samples[first].interval_s
            span -= samples[first].interval_s
            first += 1
        if span >= BUSY_S - 1e-6:
            means.append(work / span)
    return max(means) if means else work / span


def advice(
    user: str, name: str, runs: Sequence[LeaseRow], needs: Mapping[int, float]
) -> Advice | None:
    """Return what to ask for, from a job's last runs, oldest first; None when none of them ran.

    ``needs`` are the busiest minutes by lease; without one a run's busiest second counts.
    """
    ran = [run for run in runs if run.lease.totals.life_s > 0]
    if not ran:
        return None
    asked = ran[-1].lease.request
    same = [run for run in ran if run.lease.request == asked]
    last = "the last run" if len(same) == 1 else f"the last {len(same)} runs"
    basis = f"{last} with {many(asked, 'CPU')}"
    found = suggested(same, basis, needs=needs)
    if found is None:
        return None
    verdict, why = _verdict(same, found, asked)
    vcpus = found.vcpus if verdict is Verdict.LESS else asked
    return Advice(
        user=user,
        name=name,
        verdict=verdict,
        asked_vcpus=asked,
        vcpus=vcpus,
        runs=len(same),
        need_cores=found.need_cores,
        asked_core_s=fsum(run.lease.totals.requested_core_s for run in same),
        saved_core_s=found.saved_core_s if verdict is Verdict.LESS else 0.0,
        basis=f"{basis}: {_share(found)} of the busiest minutes {found.need_cores:.1f} of "
        f"{asked} cores",
        why=why,
    )


def _share(found: Suggestion) -> str:
    return f"p{100 * found.quantile:.0f}"


def _verdict(runs: Sequence[LeaseRow], found: Suggestion, asked: int) -> tuple[Verdict, str]:
    harmed = sum(_was_limited(run) for run in runs)
    if len(runs) < FEW_RUNS:
        few = "one run says" if len(runs) == 1 else f"{len(runs)} runs say"
        return Verdict.WAIT, f"{few} little of the next one"
    if harmed:
        return Verdict.SAME, (
            f"{harmed} of {many(len(runs), 'run')} came to a limit below the request: what they "
            "would have used is not known"
        )
    if found.vcpus >= asked:
        return Verdict.SAME, "they use what they ask for"
    spare = f"{found.need_cores:.1f} cores and {100 * found.margin:.0f} % to spare"
    short = (
        f"; {found.short_runs} of {many(found.runs, 'run')} needed more for a moment"
        if found.short_runs
        else ""
    )
    return Verdict.LESS, f"{spare} make {found.vcpus}{short}"


def _was_limited(run: LeaseRow) -> bool:
    totals = run.lease.totals
    return totals.saturated_s > HARMED * totals.life_s


def saying(one: Advice) -> str:
    """Return the advice as a sentence."""
    if one.verdict is not Verdict.LESS:
        return f"Keep {many(one.asked_vcpus, 'CPU')} for {one.name or 'it'}: {one.why}."
    return (
        f"Ask for {many(one.vcpus, 'CPU')} instead of {one.asked_vcpus} for "
        f"{one.name or 'it'}: {one.basis}; {one.why}. These runs would have asked for "
        f"{core_hours(one.saved_core_s)} of {core_hours(one.asked_core_s)} core-hours less."
    )


COLUMNS = (
    Column("user", "user", Kind.NAME, 1),
    Column("name", "name", Kind.NAME),
    Column("runs", "runs", Kind.COUNT, 2),
    Column("asked_vcpus", "asked CPUs", Kind.COUNT),
    Column("vcpus", "ask for CPUs", Kind.COUNT),
    Column("need_cores", "needed cores", Kind.CORES, 4),
    Column("saved_core_s", "saved core-h", Kind.CORE_S),
    Column("asked_core_s", "of asked core-h", Kind.CORE_S, 5),
    Column("verdict", "verdict", Kind.STATE, 3),
    Column("why", "why", Kind.WORDS),
)


def advice_sheet(found: Iterable[Advice], limit: int) -> Sheet:
    """Return one line a user and job name, what saves most first."""
    ranked = sorted(found, key=lambda one: (-one.saved_core_s, one.user, one.name))
    rows: list[tuple[Value, ...]] = [
        tuple(str(value) if isinstance(value, Verdict) else value for value in _row(one))
        for one in ranked[:limit]
    ]
    saved = fsum(one.saved_core_s for one in ranked)
    asked = fsum(one.asked_core_s for one in ranked)
    total: tuple[Value, ...] = ("", many(len(ranked), "name"), sum(one.runs for one in ranked),
        None, None, None, saved, asked, "", "")  # fmt: skip
    less = f"{len(ranked) - limit:,} more in the totals but not shown; --limit shows more"
    notes = (*((less,) if len(ranked) > limit else ()), MEMORY)
    title = "What to ask for next time, CPUs on each worker"
    return Sheet("advise", title, COLUMNS, rows, total if rows else None, notes)


def _row(one: Advice) -> tuple[Value, ...]:
    whole = replace(one, why=f"{one.basis}; {one.why}")
    return tuple(getattr(whole, column.key) for column in COLUMNS)
