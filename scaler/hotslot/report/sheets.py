"""What each report has in its columns: of jobs, and of users, accounts, partitions, hosts, days."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from math import fsum
from typing import Any, Literal

from hotslot.model import ResultKind
from hotslot.record.reports import By, OverviewPoint, Summed
from hotslot.report.efficiency import Figures, Job, figures_of_sum, summed
from hotslot.report.period import Period
from hotslot.report.sheet import Column, Kind, Sheet, Value
from hotslot.report.words import cores, many, percent

What = Literal["users", "accounts", "partitions", "hosts", "cluster"]

KEYS: dict[What, By] = {
    "users": "user",
    "accounts": "account",
    "partitions": "partition",
    "hosts": "host",
    "cluster": "day",
}


def _figures(report_spare: int = 0) -> list[Column]:
    """The columns of sums, in the order of ``_figure_values``."""
    more = report_spare
    return [
        Column("requested_core_s", "asked core-h", Kind.CORE_S),
        Column("held_core_s", "held core-h", Kind.CORE_S),
        Column("used_core_s", "used core-h", Kind.CORE_S),
        Column("efficiency_of_request", "used/asked", Kind.SHARE),
        Column("efficiency_of_holding", "used/held", Kind.SHARE, 1),
        Column("returned_core_s", "returned core-h", Kind.CORE_S, 4 + more),
        Column("idle_core_s", "idle core-h", Kind.CORE_S, 5 + more),
        Column("borrowed_core_s", "borrowed core-h", Kind.CORE_S, 10 + more),
        Column("waited_core_s", "no host core, core-h", Kind.CORE_S, 11 + more),
        Column("saturated_s", "limited", Kind.SPAN_S, 6 + more),
    ]


def _figure_values(of: Figures) -> tuple[Value, ...]:
    return (
        of.requested_core_s,
        of.held_core_s,
        of.used_core_s,
        of.efficiency_of_request,
        of.efficiency_of_holding,
        of.returned_core_s,
        max(0.0, of.held_core_s - of.used_core_s),
        of.borrowed_core_s,
        of.waited_core_s,
        of.saturated_s,
    )


JOB_COLUMNS = (
    Column("job", "job", Kind.NAME),
    Column("scheduler", "scheduler", Kind.NAME, 14),
    Column("name", "name", Kind.NAME, 1),
    Column("user", "user", Kind.NAME),
    Column("account", "account", Kind.NAME, 12),
    Column("partition", "partition", Kind.NAME, 13),
    Column("state", "state", Kind.STATE, 4),
    Column("parts", "parts", Kind.COUNT, 9),
    Column("submitted_at", "submitted", Kind.AT, 14),
    Column("opened_at", "started", Kind.AT, 8),
    Column("closed_at", "ended", Kind.AT, 14),
    Column("wait_s", "waited", Kind.SPAN_S, 8),
    Column("ran_s", "ran", Kind.SPAN_S, 5),
    Column("requested_vcpus", "CPUs", Kind.COUNT, 3),
    Column("peak_cores", "peak cores", Kind.CORES, 7),
    *_figures(1),
    Column("events_applied", "changes", Kind.COUNT, 7),
    Column("events_not_applied", "not applied", Kind.COUNT, 12),
)


def jobs_sheet(
    jobs: Sequence[Job], period: Period, now: float, limit: int, order: str = "newest first"
) -> Sheet:
    """Return one line a job, its parts summed up, and the sums of these lines."""
    notes = () if len(jobs) < limit else (f"the first {limit:,}, {order}; --limit shows more",)
    total = _job_total(jobs) if jobs else None
    title = f"{many(len(jobs), 'job')} that ran between {period.words.replace(' to ', ' and ')}"
    return Sheet("jobs", title, JOB_COLUMNS, [_job(job, now) for job in jobs], total, notes)


def _job(job: Job, now: float) -> tuple[Value, ...]:
    first = job.first
    return (
        job.id,
        first.scheduler,
        first.name,
        first.user,
        first.account,
        first.partition,
        job.state,
        len(job.parts),
        first.submitted_at,
        job.opened_at,
        job.closed_at,
        job.wait_s,
        max(0.0, (job.closed_at or now) - job.opened_at),
        job.requested_vcpus,
        job.figures.peak_cores,
        *_figure_values(job.figures),
        job.count(ResultKind.APPLIED),
        _not_applied(job),
    )


def _not_applied(job: Job) -> int:
    return sum(job.count(kind) for kind in ResultKind if kind is not ResultKind.APPLIED)


def _job_total(jobs: Sequence[Job]) -> tuple[Value, ...]:
    names = [f"{many(len(jobs), 'job')}", "", "", "", "", "", ""]
    whole = summed(job.figures for job in jobs)
    return (
        *names,
        sum(len(job.parts) for job in jobs),
        *(None,) * 7,
        *_figure_values(whole),
        sum(job.count(ResultKind.APPLIED) for job in jobs),
        sum(map(_not_applied, jobs)),
    )


def sums_columns(by: By) -> tuple[Column, ...]:
    """Return the columns of a report of sums; the first one is whose they are."""
    return (
        Column(by, by, Kind.NAME),
        Column("jobs", "jobs", Kind.COUNT),
        Column("leases", "runs", Kind.COUNT, 12),
        *_figures(),
        Column("mean_wait_s", "mean wait", Kind.SPAN_S, 3),
        Column("completed", "completed", Kind.COUNT, 13),
        Column("failed", "failed", Kind.COUNT, 7),
        Column("cancelled", "cancelled", Kind.COUNT, 13),
        Column("timed_out", "timed out", Kind.COUNT, 9),
        Column("lost", "lost", Kind.COUNT, 14),
        Column("requeued", "requeued", Kind.COUNT, 14),
        Column("otherwise", "other end", Kind.COUNT, 14),
        Column("events_applied", "changes", Kind.COUNT, 8),
        Column("events_not_applied", "not applied", Kind.COUNT, 12),
    )


def sums_sheet(
    what: What,
    rows: Sequence[Summed],
    period: Period,
    *,
    sort: Callable[[Summed], float] | None = None,
    lowest_first: bool = False,
    limit: int = 100_000,
    state: str = "",
) -> Sheet:
    """Return one line a user, account and so on, and the sums of all, shown or not."""
    by = KEYS[what]
    ranked = list(rows)
    if sort is not None:
        ranked.sort(key=sort, reverse=not lowest_first)
    left_out = max(0, len(ranked) - limit)
    notes = (
        (f"{left_out:,} more in the totals but not shown; --limit shows more",) if left_out else ()
    )
    lines = [(one.key, *_sums(one)) for one in ranked[:limit]]
    total = (many(len(rows), by), *_sums(added(rows))) if rows else None
    jobs = f"{state} jobs" if state else "jobs"
    title = f"{what}: {jobs} that ended {period.days}"
    return Sheet(what, title, sums_columns(by), lines, total, notes)


def _sums(one: Summed) -> tuple[Value, ...]:
    return (
        one.jobs,
        one.leases,
        *_figure_values(figures_of_sum(one)),
        one.wait_s / one.waits if one.waits else None,
        one.completed,
        one.failed,
        one.cancelled,
        one.timed_out,
        one.lost,
        one.requeued,
        one.otherwise,
        one.events_applied,
        one.events_refused + one.events_timed_out + one.events_failed + one.events_vm_gone,
    )


def added(rows: Sequence[Summed]) -> Summed:
    """Return the sum of sums, under the key ''."""
    names = [one.name for one in fields(Summed) if one.name != "key"]
    sums: dict[str, Any] = {name: _sum([getattr(row, name) for row in rows]) for name in names}
    return Summed(key="", **sums)


def _sum(values: Sequence[float]) -> float | int:
    return sum(values) if all(isinstance(one, int) for one in values) else fsum(values)


def host_words(points: Sequence[OverviewPoint]) -> str:
    """Say what the host was like on average while its agent ran; '' when it never did.

    Worked: 60 s at 4 of 8 cores held and 60 s at 6: 5.00 of 8 cores, 62.5 %.
    """
    span_s = fsum(one.span_s for one in points)
    if not span_s:
        return ""
    mean = {
        name: fsum(getattr(one, f"{name}_cores") * one.span_s for one in points) / span_s
        for name in ("host", "requested", "held", "idle", "used")
    }
    share = percent(mean["held"] / mean["host"] if mean["host"] else None)
    return (
        f"While the agent ran, jobs held {cores(mean['held'])} of {mean['host']:.3g} cores on "
        f"average ({share}), had asked for {cores(mean['requested'])}, and "
        f"{cores(mean['used'])} were used; {cores(mean['idle'])} were with workers without a job."
    )
