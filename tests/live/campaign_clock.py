"""A record that was written while the agent's clock was set, told in true time; pure.

In a record a lease begins at the time that the clock showed then, and goes on at its pace, or
leaps ahead with the clock; a clock that is set back is followed by the next lease of the worker
(hotslot/steady.py). Schedulers and faults have the true time. So that the judge can compare them:

- a lease's true begin is the one, of those at which the clock showed what the record says, that
  is next to a run of its job;
- its samples follow each other by their own intervals, which the monotonic clock measured;
- events are as far from the true time as the sample next to them, those of a worker without a job
  as its clock was since the last lease.

Leases that no setting of the clock has touched stay as they are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import accumulate

from hotslot.model import Event, Lease, Sample
from live.campaign_plan import FaultKind
from live.campaign_story import Injected, Story

GRAIN_S = 1.5
"""When the clock was set is known to this."""

BEFORE_S = 20.0
"""The agent is started, and sizes its workers, at most so long before the campaign."""

RUNS_WITHIN_S = 8.0
"""A lease is opened so close to a run's begin, or later: hooks may wait for the agent."""

FRESH = {FaultKind.AGENT_KILLED, FaultKind.AGENT_STOPPED}
"""After these a worker without a job has the clock as it is."""


def in_true_time(story: Story) -> Story:
    """Return the story with the record's times as they were, and with what was written."""
    if not settings_of(story):
        return story
    leases: list[Lease] = []
    samples = dict(story.samples)
    events = {id(event): event for event in story.events}
    spans: dict[str, list[_Span]] = defaultdict(list)
    for lease in sorted(story.leases, key=lambda one: one.id):
        worker = lease.placement.worker
        begin = _true_begin(story, lease, leases[-1].opened_at if leases else story.began)
        span = _Span(lease, begin, story.samples.get(lease.id, ()))
        if not _touched(story, span):
            span = _Span(lease, lease.opened_at, ())
        leases.append(span.lease())
        samples[lease.id] = span.samples(story.samples.get(lease.id, ()))
        spans[worker].append(span)
    for event in story.events:
        events[id(event)] = _true_event(story, event, spans[event.worker])
    ends = [lease.closed_at for lease in leases if lease.closed_at]
    return replace(
        story,
        ended=max([story.began + story.plan.seconds, *ends]),
        leases=tuple(leases),
        samples=samples,
        events=tuple(sorted(events.values(), key=lambda event: event.at)),
        as_written=story,
    )


def settings_of(story: Story) -> list[Injected]:
    """Return the times at which the clock was not the true one."""
    return [fault for fault in story.faults if fault.step_s]


def ahead_s(story: Story, at: float) -> float:
    """Return how far the agent's clock was ahead at a (true) moment."""
    return next((f.step_s for f in settings_of(story) if f.began <= at < f.ended), 0.0)


def offsets_of(story: Story) -> list[float]:
    """Return all that the clock ever was ahead, with the true time."""
    return [0.0, *(fault.step_s for fault in settings_of(story))]


class _Span:
    """A lease in both times: how far it was ahead after its begin and after each sample."""

    def __init__(self, written: Lease, begin: float, samples: Iterable[Sample]) -> None:
        self.written = written
        self.begin = begin
        samples = list(samples)
        ends = [*accumulate((one.interval_s for one in samples), initial=begin)][1:]
        self._at = [written.opened_at, *(one.at for one in samples)]
        self._ahead = [
            written.opened_at - begin,
            *(one.at - end for one, end in zip(samples, ends, strict=True)),
        ]

    @property
    def end(self) -> float | None:
        """The true time of its end."""
        closed = self.written.closed_at
        return None if closed is None else closed - self.ahead(closed)

    @property
    def last_ahead(self) -> float:
        """How far it was ahead in the end."""
        return self._ahead[-1]

    def ahead(self, at: float) -> float:
        """Return how far the lease was ahead at a time as it is written."""
        return self._ahead[min(bisect_left(self._at, at - 0.01), len(self._at) - 1)]

    def lease(self) -> Lease:
        return replace(self.written, opened_at=self.begin, closed_at=self.end)

    def samples(self, written: Iterable[Sample]) -> tuple[Sample, ...]:
        return tuple(replace(one, at=one.at - self.ahead(one.at)) for one in written)


def _true_begin(story: Story, lease: Lease, not_before: float) -> float:
    """Return when a lease was opened: leases are numbered in the order of their beginnings."""
    may = [
        lease.opened_at - step
        for step in offsets_of(story)
        if lease.opened_at - step >= story.began - BEFORE_S
        and any(
            abs(ahead_s(story, lease.opened_at - step + slack) - step) < 0.01
            for slack in (0.0, -GRAIN_S, GRAIN_S)
        )
    ]
    near = _near_its_job(story, lease)
    return min(may, key=lambda at: (near(at), at < not_before - 3, at), default=lease.opened_at)


def _near_its_job(story: Story, lease: Lease) -> Callable[[float], float]:
    """Return how far a moment is from where the lease's job may have begun, in s."""
    job = next(
        (
            job
            for job in story.jobs
            if (job.scheduler, job.job_id) == (lease.placement.scheduler, lease.placement.job_id)
        ),
        None,
    )
    if job is None:
        return lambda _: 0.0
    runs = [(run.started_at, run.ended_at) for run in job.runs]
    if not runs:
        runs = [(job.first_start or job.submitted_at, job.ended_at)]

    def far(at: float) -> float:
        return min(
            max(0.0, began - RUNS_WITHIN_S - at, at - (ended or story.ended) - RUNS_WITHIN_S)
            for began, ended in runs
        )

    return far


def _touched(story: Story, span: _Span) -> bool:
    """Whether the clock was not the true one at some moment of a lease."""
    end = span.end if span.end is not None else story.ended
    away = abs(span.written.opened_at - span.begin) > 0.01
    return away or any(
        fault.began - GRAIN_S <= end and span.begin <= fault.ended + GRAIN_S
        for fault in settings_of(story)
    )


def _true_event(story: Story, event: Event, spans: list[_Span]) -> Event:
    if event.lease_id is not None:
        own = [span for span in spans if span.written.id == event.lease_id]
        return replace(event, at=event.at - own[0].ahead(event.at)) if own else event
    may = [
        event.at - step
        for step in {*offsets_of(story), *(span.last_ahead for span in spans)}
        if event.at - step >= story.began - BEFORE_S
        and abs(_idle_ahead(story, event.at - step, spans) - step) < 0.5
    ]
    since = [at - _free_since(story, at, spans) for at in may]
    return replace(event, at=min(zip(since, may, strict=True), default=(0.0, event.at))[1])


def _idle_ahead(story: Story, at: float, spans: list[_Span]) -> float:
    """Return how far the clock of a worker without a job was ahead at a true moment.

    It never goes back either, but for a new agent.
    """
    before = [span for span in spans if span.end is not None and span.end <= at + GRAIN_S]
    free = _free_since(story, at, spans)
    starts = [f.ended for f in story.faults if f.kind in FRESH and free <= f.ended <= at]
    since = max([free, *starts])
    moments = [moment for f in settings_of(story) for moment in (f.began, f.ended)]
    was = [ahead_s(story, one) for one in moments if since <= one <= at]
    was += [ahead_s(story, since), ahead_s(story, at)]
    return max([*was, *([before[-1].last_ahead] if before and not starts else [])])


def _free_since(story: Story, at: float, spans: list[_Span]) -> float:
    """Return when the worker's last lease before a true moment had ended."""
    ends = [span.end for span in spans if span.end is not None and span.end <= at + GRAIN_S]
    return max(ends, default=story.began)
