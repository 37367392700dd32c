"""hotslot's figures in a job's ad: one entry a run in ``HotslotRuns``, and their totals. Pure.

A job may have run on several hosts, whose agents know nothing of each other: each replaces its own
entries and leaves the others', so that writing again changes nothing.
Worked: ``HotslotRuns = { [ Run = 0; Worker = "c1"; Requested = 4; Held = 260.0; Used = 150.0;
Peak = 3.9; Events = 2; Over = true ], … }``; ``HotslotHeldCoreSeconds`` is the sum of all Held.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hotslot.model import RunSummary
from hotslot_plugin import condor_ad
from hotslot_plugin.condor_ad import Ad

RUNS = "HotslotRuns"
TOTALS = (
    "HotslotRequestedCpus",
    "HotslotHeldCoreSeconds",
    "HotslotUsedCoreSeconds",
    "HotslotPeakCpus",
    "HotslotEvents",
)
RESULTS = (RUNS, *TOTALS)

RUNS_MAX = 50
"""More runs than this: the oldest are one entry, with no worker and the last one's number."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run on one worker; core-seconds and cores. ``worker`` is '' where runs were folded."""

    run: int
    worker: str
    requested: int
    held: float
    used: float
    peak: float
    events: int
    over: bool


def run_of(summary: RunSummary) -> Run:
    """Return the entry of a summary, whose worker's name has been checked."""
    return Run(
        run=summary.placement.run,
        worker=summary.placement.worker,
        requested=max(0, summary.requested_vcpus),
        held=round(max(0.0, summary.held_core_s), 3),
        used=round(max(0.0, summary.used_core_s), 3),
        peak=round(max(0.0, summary.peak_cores), 3),
        events=max(0, summary.events),
        over=summary.over,
    )


def runs_in(ad: Ad) -> list[Run]:
    """Return the entries of an ad as it is; what is not an entry was not written by hotslot.

    Nor was one of folded runs while there is room for more: it would keep ours out.
    """
    entries = ad.get(RUNS)
    found = [_run(entry) for entry in entries] if isinstance(entries, list) else []
    full = len(found) >= RUNS_MAX
    unique = {(run.run, run.worker): run for run in found if run and (run.worker or full)}
    return sorted(unique.values(), key=lambda run: (run.run, run.worker))


def merged(before: Iterable[Run], ours: Iterable[Run]) -> list[Run]:
    """Return all runs, ours as they are now; one that was folded long ago stays so."""
    runs = {(run.run, run.worker): run for run in before}
    folded_to = max((run.run for run in runs.values() if not run.worker), default=-1)
    for run in ours:
        if run.run > folded_to:
            runs[run.run, run.worker] = run
    ordered = sorted(runs.values(), key=lambda run: (run.run, run.worker))
    while len(ordered) > RUNS_MAX:
        ordered[:2] = [_folded(ordered[0], ordered[1])]
    return ordered


def attributes(runs: Sequence[Run]) -> dict[str, str]:
    """Return the six attributes as ClassAd expressions."""
    return {
        RUNS: "{ " + ", ".join(_expression(run) for run in runs) + " }",
        "HotslotRequestedCpus": str(max((run.requested for run in runs), default=0)),
        "HotslotHeldCoreSeconds": f"{sum(run.held for run in runs):.3f}",
        "HotslotUsedCoreSeconds": f"{sum(run.used for run in runs):.3f}",
        "HotslotPeakCpus": f"{max((run.peak for run in runs), default=0.0):.3f}",
        "HotslotEvents": str(sum(run.events for run in runs)),
    }


def wrong(ad: Ad, runs: Sequence[Run]) -> list[str]:
    """Return the names of the attributes that are not as they should be."""
    wanted = attributes(runs)
    names = [name for name in TOTALS if _differs(ad.get(name), wanted[name])]
    entries = ad.get(RUNS)
    clean = isinstance(entries, list) and len(entries) == len(runs) and runs_in(ad) == list(runs)
    return names if clean else [RUNS, *names]


def _differs(value: object, wanted: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    return not float(wanted) - 0.0005 <= value <= float(wanted) + 0.0005


def _run(entry: object) -> Run | None:
    if not isinstance(entry, Mapping):
        return None
    whole = {name: condor_ad.whole(entry, name) for name in ("Run", "Requested", "Events")}
    real = {name: condor_ad.number(entry, name) for name in ("Held", "Used", "Peak")}
    worker, over = entry.get("Worker"), entry.get("Over")
    if None in whole.values() or None in real.values() or not isinstance(over, bool):
        return None
    if not isinstance(worker, str) or (worker and not condor_ad.WORKER.fullmatch(worker)):
        return None
    return Run(
        run=whole["Run"] or 0,
        worker=worker,
        requested=whole["Requested"] or 0,
        held=real["Held"] or 0.0,
        used=real["Used"] or 0.0,
        peak=real["Peak"] or 0.0,
        events=whole["Events"] or 0,
        over=over,
    )


def _folded(one: Run, other: Run) -> Run:
    return replace(
        other,
        worker="",
        requested=max(one.requested, other.requested),
        held=round(one.held + other.held, 3),
        used=round(one.used + other.used, 3),
        peak=max(one.peak, other.peak),
        events=one.events + other.events,
        over=True,
    )


def _expression(run: Run) -> str:
    return (
        f'[ Run = {run.run}; Worker = "{run.worker}"; Requested = {run.requested}; '
        f"Held = {run.held:.3f}; Used = {run.used:.3f}; Peak = {run.peak:.3f}; "
        f"Events = {run.events}; Over = {str(run.over).lower()} ]"
    )
