"""One job with all that the record has of it, and the parts of each of its events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hotslot.model import Event, Sample
from hotslot.record.batch import LeaseDecision, LeaseRow
from hotslot.report.efficiency import Job


@dataclass(frozen=True, slots=True)
class PartDetail:
    """A lease with its events, samples and decisions, each oldest first."""

    row: LeaseRow
    events: Sequence[Event] = ()
    samples: Sequence[Sample] = ()
    decisions: Sequence[LeaseDecision] = ()


@dataclass(frozen=True, slots=True)
class JobDetail:
    """A job for ``hotslot job ID``; never without a part."""

    parts: tuple[PartDetail, ...]

    @property
    def job(self) -> Job:
        """The job, for its figures."""
        return Job(tuple(part.row for part in self.parts))


@dataclass(frozen=True, slots=True)
class EventParts:
    """Where the time of an event went, from the load's change to its effect, in s.

    ``detect_s`` until the sampling interval that showed it had ended and was decided on,
    ``wait_s`` from the decision until the attempt began (cool-down, back-off, another action on
    the worker), ``plug_s`` until the hypervisor had answered, ``online_s`` from then until every
    plugged vCPU had been seen running. None: unknown, or it does not apply.
    """

    detect_s: float | None
    wait_s: float | None
    plug_s: float
    online_s: float | None


def event_parts(event: Event, decisions: Iterable[LeaseDecision] = ()) -> EventParts:
    """Return the parts of an event.

    Worked: load changed within the interval that began at 10.0 and was decided on at 11.0, the
    attempt began at 11.2, took 0.4 s to plug and 1.1 s to come online: detect 1.0, wait 0.2,
    plug 0.4, online 1.1. Without the decision, all of 1.2 is detect and wait is unknown.
    """
    decided_at = _decided_at(event, decisions)
    if event.detected_at is None:
        return EventParts(None, None, event.command_s, event.online_s)
    detect_s = (event.at if decided_at is None else decided_at) - event.detected_at
    wait_s = None if decided_at is None else event.at - decided_at
    return EventParts(detect_s, wait_s, event.command_s, event.online_s)


def _decided_at(event: Event, decisions: Iterable[LeaseDecision]) -> float | None:
    """Return when the decision fell that the event carries out; both name the same detection."""
    known = [one.decision for one in decisions]
    fits = [
        one.at
        for one in known
        if one.worker == event.worker
        and one.to_vcpus == event.to_vcpus
        and one.detected_at == event.detected_at
        and one.at <= event.at
    ]
    return max(fits, default=None)
