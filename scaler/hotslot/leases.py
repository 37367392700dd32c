"""Which job holds which worker: opening, closing, and comparing with the scheduler.

The book is in memory and decides alone what opens and what ends; a ``Ledger`` keeps it. All its
methods may be called again with the same facts and then change nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Protocol

from hotslot.model import CloseReason, JobPhase, Lease, Placement, Sample
from hotslot.record.totals import plus


class Ledger(Protocol):
    """Where leases are kept; answers at once, from memory."""

    def open_lease(self, placement: Placement, at: float) -> Lease:
        """Return the lease of this key: a new one, or the one that exists, open or closed."""
        ...

    def close_lease(self, lease: Lease) -> None:
        """Keep a lease that has ``closed_at``, ``close_reason`` and final totals."""
        ...


class LeaseBook:
    """The open leases of this host's workers, at most one a worker."""

    def __init__(self, ledger: Ledger, open_leases: Iterable[Lease] = ()) -> None:
        self._ledger = ledger
        self._open = {lease.placement.worker: lease for lease in open_leases}

    def on(self, worker: str) -> Lease | None:
        """Return the open lease on a worker, None if it has no job."""
        return self._open.get(worker)

    def all(self) -> list[Lease]:
        """Return the open leases."""
        return list(self._open.values())

    def open(self, placement: Placement, at: float) -> Lease | None:
        """Open the lease of a placement that occupies its worker.

        An open lease of the same key is kept, with the scheduler's newer words; one of another
        key on this worker is closed as replaced. None when this very run was closed before:
        a late hook or a slow controller does not bring it back to life.
        """
        held = self._open.get(placement.worker)
        if held is not None and held.placement.key == placement.key:
            self._open[placement.worker] = dataclasses.replace(held, placement=placement)
            return self._open[placement.worker]
        if held is not None:
            last = placement if _same_job(held.placement, placement) else None
            self.close(held, at, _replaced_by(held, placement), last)
        lease = self._ledger.open_lease(placement, at)
        if lease.closed_at is not None:
            return None
        self._open[placement.worker] = lease
        return lease

    def close(
        self, lease: Lease, at: float, reason: CloseReason, last: Placement | None = None
    ) -> Lease:
        """Close a lease; ``last`` are the scheduler's last words on the job, with its outcome.

        A lease that is not open any more is returned as it is.
        """
        current = self._open.get(lease.placement.worker)
        if current is None or current.id != lease.id:
            return lease
        del self._open[lease.placement.worker]
        closed = as_closed(current, at, reason, last)
        self._ledger.close_lease(closed)
        return closed

    def lose(self, lease: Lease, at: float) -> Lease:
        """Close a lease of the record that no worker holds any more."""
        closed = as_closed(lease, at, CloseReason.LOST)
        self._ledger.close_lease(closed)
        return closed

    def add(self, worker: str, sample: Sample) -> Lease | None:
        """Add a sample to the totals of the worker's lease."""
        lease = self._open.get(worker)
        if lease is None:
            return None
        totals = plus(lease.totals, sample, lease.request)
        self._open[worker] = dataclasses.replace(lease, totals=totals)
        return self._open[worker]

    def ended(self, lease: Lease, now_there: Sequence[Placement]) -> CloseReason | None:
        """Say why a lease is over, judging by the scheduler's words on its job; None: it is not.

        ``now_there`` are all placements that the scheduler told of, of this job or of others.
        """
        same_job = [p for p in now_there if _same_job(p, lease.placement)]
        if any(p.run > lease.placement.run for p in same_job):
            return CloseReason.REQUEUED
        here = [p for p in same_job if p.worker == lease.placement.worker]
        if any(p.phase.occupies or p.phase is JobPhase.ENDING for p in here):
            return None
        return CloseReason.ENDED


def as_closed(lease: Lease, at: float, reason: CloseReason, last: Placement | None = None) -> Lease:
    """Return a lease as it is once closed, never before it was opened."""
    return dataclasses.replace(
        lease,
        closed_at=max(at, lease.opened_at),
        close_reason=reason,
        placement=_with_outcome(lease.placement, last),
    )


def _same_job(one: Placement, other: Placement) -> bool:
    return (one.scheduler, one.job_id) == (other.scheduler, other.job_id)


def _replaced_by(lease: Lease, newcomer: Placement) -> CloseReason:
    return CloseReason.REQUEUED if _same_job(lease.placement, newcomer) else CloseReason.REPLACED


def _with_outcome(placement: Placement, last: Placement | None) -> Placement:
    """Add how the run ended; of a later run only what it says of this one."""
    if last is None or last.run > placement.run:
        before = last.before if last is not None else ""
        outcome = before or placement.outcome
        return dataclasses.replace(placement, phase=JobPhase.ENDED, outcome=outcome)
    return dataclasses.replace(
        placement,
        phase=JobPhase.ENDED,
        outcome=last.outcome or placement.outcome,
        exit_code=last.exit_code or placement.exit_code,
        ended_at=last.ended_at or placement.ended_at,
        started_at=last.started_at or placement.started_at,
    )
