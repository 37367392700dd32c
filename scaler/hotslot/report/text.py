"""``hotslot jobs`` and ``hotslot job ID`` in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from hotslot.model import Event, Lease, ResultKind
from hotslot.report.asked import asked_in_words
from hotslot.report.efficiency import Figures, Job, figures_of, outcome_of, task_id
from hotslot.report.job import JobDetail, PartDetail, event_parts
from hotslot.report.plot import Timeline
from hotslot.report.table import Column, Columns
from hotslot.report.words import (
    NOTHING,
    clock,
    core_hours,
    count,
    duration,
    many,
    percent,
    plain,
    short,
)

MOST_PLOTS = 4
"""A job of more parts is shown without timelines; each part has its own page."""

MOST_PARTS = 50
"""Parts shown of one job: the last ones."""

MOST_EVENTS = 100
"""Events shown of one job: the last ones."""


def jobs_table(jobs: Sequence[Job], now: float) -> RenderableType:
    """Return one line a job, its parts summed up; core-hours and efficiencies."""
    if not jobs:
        return Text("no jobs")
    figures = [job.figures for job in jobs]
    return Columns(
        [
            Column("job", [short(job.id) for job in jobs]),
            Column("name", [short(job.first.name) for job in jobs], spare=5),
            Column("user", [short(job.first.user) for job in jobs], spare=1),
            Column("state", [_state(job.state) for job in jobs]),
            Column("parts", [count(len(job.parts)) for job in jobs], right=True, spare=6),
            Column("started", [clock(job.opened_at) for job in jobs], spare=8),
            Column("ran", [_ran(job, now) for job in jobs], right=True, spare=2),
            Column("CPUs", [count(job.requested_vcpus) for job in jobs], right=True, spare=3),
            *_figure_columns(figures),
            Column("events", [_event_counts(job) for job in jobs], right=True, spare=7),
        ]
    )


def job_page(detail: JobDetail, now: float) -> RenderableType:
    """Return all of one job: head, figures, parts, timelines, events with their reasons."""
    job = detail.job
    blocks: list[RenderableType] = [_head(job, now), Text(), _figures(job)]
    if len(detail.parts) > 1:
        blocks += [Text(), _parts(job, now)]
    blocks += _timelines(detail)
    blocks += [Text(), _events(detail)]
    return Group(*blocks)


def _figure_columns(figures: Sequence[Figures]) -> list[Column]:
    return [
        Column("asked core-h", [core_hours(f.requested_core_s) for f in figures], right=True),
        Column("held", [core_hours(f.held_core_s) for f in figures], right=True),
        Column("used", [core_hours(f.used_core_s) for f in figures], right=True),
        Column("returned", [core_hours(f.returned_core_s) for f in figures], right=True, spare=4),
        Column("used/asked", [percent(f.efficiency_of_request) for f in figures], right=True),
        Column(
            "used/held", [percent(f.efficiency_of_holding) for f in figures], right=True, spare=1
        ),
    ]


def _head(job: Job, now: float) -> Text:
    first = job.first
    head = Text(f"job {plain(job.id)}", style="bold")
    if first.name:
        head.append(f" {plain(first.name)}")
    head.append(f" of {plain(first.user) or 'an unknown user'}")
    places = [("account", first.account), ("partition", first.partition)]
    head.append("".join(f", {what} {plain(name)}" for what, name in places if name))
    head.append(": ").append(_state(job.state))
    return Text("\n").join([head, *(Text(line) for line in _times(job, now))])


def _times(job: Job, now: float) -> Iterable[str]:
    first = job.first
    exits = {part.lease.placement.exit_code for part in job.last_runs} - {""}
    ended = "still runs" if job.is_open else f"ended {clock(job.closed_at)}"
    yield f"started {clock(job.opened_at)}, {ended}, ran {_ran(job, now)}"
    if first.submitted_at is not None:
        waited = duration(max(0.0, job.opened_at - first.submitted_at))
        yield f"submitted {clock(first.submitted_at)}, waited {waited} to start"
    if exits and not job.is_open:
        yield f"exit code {', '.join(plain(code) for code in sorted(exits))}"
    for words in asked_in_words(part.lease for part in job.parts[-MOST_PARTS:]):
        yield plain(words)
    lost = sum(part.roll_up.lost_samples for part in job.parts)
    if lost:
        yield f"{many(lost, 'sample')} lost while the database could not be written"


def _figures(job: Job) -> RenderableType:
    figures = job.figures
    limited = duration(figures.saturated_s)
    rows = [
        ("requested", _hours(figures.requested_core_s), many(job.requested_vcpus, "CPU")),
        ("held", _hours(figures.held_core_s), _of(figures, figures.held_core_s)),
        ("used", _hours(figures.used_core_s), _efficiencies(figures)),
        ("returned", _hours(figures.returned_core_s), _of(figures, figures.returned_core_s)),
        ("borrowed", _hours(figures.borrowed_core_s), "held above the request"),
        ("waited", _hours(figures.waited_core_s), "ready to run, but the host had no core"),
        ("limited", limited, "at the limit while held below the request"),
        ("peak", f"{figures.peak_cores:.2f} cores", "busiest interval of one worker"),
    ]
    return Columns(
        [
            Column("", [row[0] for row in rows]),
            Column("", [row[1] for row in rows], right=True),
            Column("", [row[2] for row in rows], folds=True),
        ]
    )


def _hours(core_s: float) -> str:
    return f"{core_hours(core_s)} core-h"


def _of(figures: Figures, core_s: float) -> str:
    whole = figures.requested_core_s
    return f"{percent(core_s / whole)} of requested" if whole > 0 else NOTHING


def _efficiencies(figures: Figures) -> str:
    asked, held = figures.efficiency_of_request, figures.efficiency_of_holding
    return f"{percent(asked)} of requested, {percent(held)} of held"


def _parts(job: Job, now: float) -> RenderableType:
    parts = job.parts[-MOST_PARTS:]
    leases = [part.lease for part in parts]
    table = Columns(
        [
            Column("part", [task_id(lease.placement) for lease in leases]),
            Column("run", [count(lease.placement.run) for lease in leases], right=True, spare=5),
            Column("worker", [lease.placement.worker for lease in leases]),
            Column("state", [_state(outcome_of(lease) or "running") for lease in leases]),
            Column("started", [clock(lease.opened_at) for lease in leases], spare=6),
            Column("ran", [duration(_life(lease, now)) for lease in leases], right=True, spare=2),
            Column("CPUs", [count(lease.request) for lease in leases], right=True, spare=3),
            *_figure_columns([figures_of(part) for part in parts]),
        ]
    )
    return _with_note(table, len(job.parts) - len(parts), "earlier part")


def _timelines(detail: JobDetail) -> list[RenderableType]:
    if len(detail.parts) > MOST_PLOTS:
        return [Text(), Text(f"{len(detail.parts)} parts: for a timeline name one of them")]
    shown: list[RenderableType] = []
    for part in detail.parts:
        if part.samples:
            title = f"cores of {_part_name(detail, part)}"
            shown += [Text(), Timeline(part.samples, part.row.lease.request, title)]
    return shown


def _part_name(detail: JobDetail, part: PartDetail) -> str:
    placement = part.row.lease.placement
    if len(detail.parts) == 1:
        return f"job {plain(task_id(placement))} on {plain(placement.worker)}"
    return f"{plain(task_id(placement))}, run {placement.run}, on {plain(placement.worker)}"


def _events(detail: JobDetail) -> RenderableType:
    told = [(event, part) for part in detail.parts for event in part.events]
    told.sort(key=lambda one: one[0].at)
    if not told:
        return Text("no changes of its vCPUs")
    shown = told[-MOST_EVENTS:]
    events = [event for event, _ in shown]
    parts = [event_parts(event, part.decisions) for event, part in shown]
    start = detail.job.opened_at
    table = Columns(
        [
            Column("after", [duration(max(0.0, e.at - start)) for e in events], right=True),
            Column("worker", [e.worker for e in events], spare=5 if len(detail.parts) == 1 else 1),
            Column("vCPUs", [_change(e) for e in events]),
            Column("result", [_result(e) for e in events]),
            Column("detect", [duration(p.detect_s) for p in parts], right=True, spare=2),
            Column("wait", [duration(p.wait_s) for p in parts], right=True, spare=4),
            Column("plug", [duration(p.plug_s) for p in parts], right=True, spare=2),
            Column("online", [duration(p.online_s) for p in parts], right=True, spare=2),
            Column("took", [duration(e.took_s) for e in events], right=True, spare=3),
            Column("reason", [_reason(e) for e in events], folds=True),
        ]
    )
    return _with_note(table, len(told) - len(shown), "earlier event")


def _with_note(table: Columns, left_out: int, what: str) -> RenderableType:
    if not left_out:
        return table
    return Group(table, Text(f"{many(left_out, what)} not shown; --json has all"))


def _change(event: Event) -> str:
    plain_ends = (event.from_vcpus, event.to_vcpus)
    got = "" if event.got_vcpus in plain_ends else f", got {event.got_vcpus}"
    return f"{event.from_vcpus} → {event.to_vcpus}{got}"


def _result(event: Event) -> Text:
    good = event.result.kind is ResultKind.APPLIED
    return Text(event.result.value, style="" if good else "red")


def _reason(event: Event) -> str:
    return f"{event.reason} ({event.detail})" if event.detail else event.reason


def _event_counts(job: Job) -> str:
    applied = job.count(ResultKind.APPLIED)
    others = sum(job.count(kind) for kind in ResultKind) - applied
    return f"{applied}" if not others else f"{applied}, {others} failed"


def _ran(job: Job, now: float) -> str:
    return duration(max(0.0, (job.closed_at or now) - job.opened_at))


def _life(lease: Lease, now: float) -> float:
    return max(0.0, (lease.closed_at or now) - lease.opened_at)


def _state(state: str) -> Text:
    style = {"running": "green", "COMPLETED": ""}.get(state, "yellow")
    return Text(short(state, 24), style=style)
