"""Which leases there are, in memory: ids and keys, also while the database cannot be written."""

from __future__ import annotations

from collections.abc import Iterable
from sys import intern
from typing import NamedTuple

from hotslot.model import CloseReason, Lease, Placement

REMEMBERED = 10_000
"""Closed leases that are remembered, so that a late poke is known for what it is (some 5 MB)."""

_CLOCK_GRAIN_S = 1.0


def is_same_run(lease: Lease, placement: Placement) -> bool:
    """Tell whether the placement is what this lease was opened for.

    Same scheduler, job, run and worker, unless the scheduler has given out the job's id again
    (a cluster set up anew starts at 1): then the placement was submitted later than the job
    of the closed lease. Both times are the scheduler's, so no other clock matters.
    """
    if lease.placement.key != placement.key:
        return False
    if lease.closed_at is None:
        return True
    return _is_same_job(lease.placement.submitted_at, placement.submitted_at)


def _is_same_job(before: float | None, now: float | None) -> bool:
    """Tell whether two times of submission may be one job's."""
    return before is None or now is None or now <= before + _CLOCK_GRAIN_S


class _Ended(NamedTuple):
    """What is remembered of a closed lease: enough to know its run again, not its figures."""

    id: int
    submitted_at: float | None
    opened_at: float
    closed_at: float
    reason: CloseReason | None

    def lease_of(self, placement: Placement) -> Lease:
        """Return the lease, with the words of who asks for it."""
        return Lease(self.id, placement, self.opened_at, self.closed_at, self.reason)


_Key = tuple[str, str, int, str]


class KnownLeases:
    """Gives out lease ids and says which lease a placement has; one thread at a time.

    ``known`` are leases from the record, older before newer, ``last_id`` the highest id there.
    """

    def __init__(self, known: Iterable[Lease], last_id: int) -> None:
        self._last_id = last_id
        self._open: dict[_Key, Lease] = {}
        self._ended: dict[_Key, _Ended] = {}
        for lease in known:
            self._remember(lease)

    def open(self, placement: Placement, at: float) -> tuple[Lease, bool]:
        """Return the lease of this run, and whether it is new; a closed one stays closed.

        A closed one is given back without its figures: they are in the record.
        """
        held = self._open.get(placement.key)
        if held is not None:
            return held, False
        ended = self._ended.get(placement.key)
        if ended is not None and _is_same_job(ended.submitted_at, placement.submitted_at):
            return ended.lease_of(placement), False
        self._last_id += 1
        lease = Lease(self._last_id, placement, at)
        self._remember(lease)
        return lease, True

    def close(self, lease: Lease) -> bool:
        """Remember a lease as closed; False if it was already, since the first closing counts."""
        key = lease.placement.key
        ended = self._ended.get(key)
        if ended is not None and ended.id >= lease.id:
            return False
        self._remember(lease)
        return True

    def _remember(self, lease: Lease) -> None:
        scheduler, job_id, run, worker = lease.placement.key
        key = (intern(scheduler), job_id, run, intern(worker))
        if lease.closed_at is None:
            self._open[key] = lease
            return
        held = self._open.get(key)
        if held is not None and held.id == lease.id:
            del self._open[key]
        submitted_at = lease.placement.submitted_at
        self._ended.pop(key, None)  # the newest are at the end
        self._ended[key] = _Ended(
            lease.id, submitted_at, lease.opened_at, lease.closed_at, lease.close_reason
        )
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]
