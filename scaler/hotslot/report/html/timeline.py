"""One job's timelines: what its charts draw, and the same in sentences and a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, fsum
from typing import Any

from hotslot.model import Event, ResultKind, Sample
from hotslot.record.thin import GAP_S, thin
from hotslot.report.efficiency import Job, task_id
from hotslot.report.forms import LONGEST_NAME
from hotslot.report.job import JobDetail, PartDetail
from hotslot.report.words import clock, core_hours, duration, many, percent, plain, short

LONGEST_REASON = 160

MISSING = (
    "What it used is not kept any more (`hotslot prune`); what it held is drawn from its changes."
)
NOTHING_KEPT = "Its course is not kept any more (`hotslot prune`); its sums are."

Series = Sequence[Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one lease: points of its curves, and its first events; ``hotslot job ID`` has all."""

    points: int = 300
    events: int = 100

    @classmethod
    def for_leases(cls, count: int) -> Bounds:
        """Return what keeps a page of so many leases small: 2000 events take 1 to 3 MB."""
        return cls(min(300, 12_000 // max(1, count)), min(100, 2_000 // max(1, count)))


@dataclass(frozen=True, slots=True)
class Chart:
    """Times and the values up to each: used, held, asked for. ``start`` is the zero of a job's."""

    data: Series
    start: float | None = None
    events: Sequence[dict[str, Any]] = ()

    @property
    def plain(self) -> dict[str, Any]:
        """What the page's script reads."""
        if self.start is None:
            return {"data": self.data}
        return {"data": self.data, "start": self.start, "events": list(self.events)}


@dataclass(frozen=True, slots=True)
class EventLine:
    """An event in the table below its chart."""

    after: str
    change: str
    result: str
    good: bool
    took: str
    reason: str


@dataclass(frozen=True, slots=True)
class Part:
    """One lease."""

    anchor: str
    worker: str
    which: str
    drawn: bool
    missing: str
    events: Sequence[EventLine]
    count: str
    left_out: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """One job."""

    anchor: str
    id: str
    name: str
    user: str
    words: str
    parts: Sequence[Part]
    charts: dict[str, Chart] = field(default_factory=dict)


def timeline(job: Job, detail: JobDetail, anchor: str, now: float, bounds: Bounds) -> Timeline:
    """Return a job's timelines, of those of its parts that ``detail`` has; ``anchor`` is its id."""
    parts, charts = [], {}
    for number, one in enumerate(detail.parts, 1):
        name = f"{anchor}-{number}"
        parts.append(_part(one, name, len(detail.parts), bounds))
        if one.samples or one.events:
            charts[name] = _chart(one, bounds)
    first = job.first
    return Timeline(
        anchor=anchor,
        id=short(job.id, LONGEST_NAME),
        name=short(first.name, LONGEST_NAME) if first.name else "",
        user=short(first.user, LONGEST_NAME) if first.user else "an unknown user",
        words=_words(job, len(detail.parts), now),
        parts=parts,
        charts=charts,
    )


def _words(job: Job, shown: int, now: float) -> str:
    of = job.figures
    ran = duration(max(0.0, (job.closed_at or now) - job.opened_at))
    end = "still runs" if job.is_open else f"ended as {plain(short(job.state, LONGEST_NAME))}"
    changes = job.count(ResultKind.APPLIED)
    failed = sum(job.count(kind) for kind in ResultKind) - changes
    bad = f", {failed} more came to nothing" if failed else ""
    limited = (
        f" It was at its limit below its request for {duration(of.saturated_s)}."
        if of.saturated_s
        else ""
    )
    parts = len(job.parts)
    more = (
        f" Of its {parts} parts, the {shown} that held most without using it are below."
        if parts > shown
        else ""
    )
    return (
        f"Started {clock(job.opened_at)}, {end} after {ran}. Asked for "
        f"{many(job.requested_vcpus, 'CPU')}: {core_hours(of.requested_core_s)} core-hours; held "
        f"{core_hours(of.held_core_s)}, used {core_hours(of.used_core_s)} "
        f"({percent(of.efficiency_of_request)} of asked for, "
        f"{percent(of.efficiency_of_holding)} of held), gave back "
        f"{core_hours(of.returned_core_s)}. {many(changes, 'change')} of its vCPUs{bad}.{limited}"
        f"{more}"
    )


def _part(part: PartDetail, anchor: str, of: int, bounds: Bounds) -> Part:
    placement = part.row.lease.placement
    start = part.row.lease.opened_at
    shown = part.events[: bounds.events]
    left = len(part.events) - len(shown)
    return Part(
        anchor=anchor,
        worker=short(placement.worker, LONGEST_NAME),
        which=f", {short(task_id(placement), 24)}, run {placement.run}" if of > 1 else "",
        drawn=bool(part.samples or part.events),
        missing="" if part.samples else MISSING if part.events else NOTHING_KEPT,
        events=[_line(event, start) for event in shown],
        count=many(len(part.events), "change"),
        left_out=f"{many(left, 'later one')} not shown; `hotslot job ID` has all" if left else "",
    )


def _line(event: Event, start: float) -> EventLine:
    return EventLine(
        after=duration(max(0.0, event.at - start)),
        change=f"{event.from_vcpus} → {event.got_vcpus}",
        result=event.result.value,
        good=event.result.kind is ResultKind.APPLIED,
        took=duration(event.took_s),
        reason=_reason(event),
    )


def _reason(event: Event) -> str:
    text = f"{event.reason} ({event.detail})" if event.detail else event.reason
    return short(text, LONGEST_REASON)


def _chart(part: PartDetail, bounds: Bounds) -> Chart:
    request, start = float(part.row.lease.request), part.row.lease.opened_at
    return Chart(
        data=(
            _curves(_fewer(part.samples, bounds.points), request, start)
            if part.samples
            else _from_events(part, bounds.points)
        ),
        start=start,
        events=[
            {
                "t": round(max(0.0, event.at - start), 1),
                "from": event.from_vcpus,
                "to": event.to_vcpus,
                "got": event.got_vcpus,
                "result": event.result.value,
                "good": event.result.kind is ResultKind.APPLIED,
                "why": _reason(event),
            }
            for event in part.events[: bounds.events]
        ],
    )


def _fewer(samples: Sequence[Sample], points: int) -> list[Sample]:
    """Return at most twice so many samples; where vCPUs changed more often than that, means over
    equally many, so that held lies between what it was."""
    kept = thin(samples, points)
    if len(kept) <= 2 * points:
        return kept
    size = ceil(len(kept) / points)
    return [_mean(kept[first : first + size]) for first in range(0, len(kept), size)]


def _mean(run: Sequence[Sample]) -> Sample:
    span_s = fsum(one.interval_s for one in run)
    held, used, waited = (
        fsum(getattr(one, name) * one.interval_s for one in run) / span_s
        for name in ("held_cores", "used_cores", "waited_cores")
    )
    return Sample(run[-1].at, span_s, run[-1].granted_vcpus, held, used, waited)


def _from_events(part: PartDetail, points: int) -> Series:
    """Return what was held as its changes tell it; what was used is not known.

    Worked: from 1 to 8 vCPUs after 1 s, to 4 after 60 s, ended after 100 s: 1 until 1 s, 8 until
    60 s, 4 until 100 s. Of more than ``points`` changes, every second, third and so on is drawn.
    """
    lease = part.row.lease
    events = part.events[:: ceil(len(part.events) / points)]
    end = lease.closed_at or events[-1].at
    times, held = [0.0], [float(events[0].from_vcpus)]
    for event, until in zip(events, [*(e.at for e in events[1:]), end], strict=True):
        after = max(times[-1], event.at - lease.opened_at)
        times += [after, max(after, until - lease.opened_at)]
        held += [held[-1], float(event.got_vcpus)]
    used = [None] * len(times)
    return [[round(one, 3) for one in times], used, held, [float(lease.request)] * len(times)]


def _curves(samples: Sequence[Sample], request: float, start: float) -> Series:
    """Return times since the start, used, held and asked for; a gap is a point without values."""
    curves: tuple[list[float | None], ...] = ([], [], [], [])

    def put(after: float, *values: float | None) -> None:
        for curve, value in zip(curves, (after, *values), strict=True):
            curve.append(None if value is None else round(value, 3))

    end: float | None = None
    for one in samples:
        begin, values = one.at - one.interval_s, (one.used_cores, one.held_cores, request)
        if end is None or begin - end > GAP_S:
            if end is not None:
                put(end - start + 0.001, None, None, request)
            put(begin - start, *values)
        end = one.at
        put(end - start, *values)
    return curves
