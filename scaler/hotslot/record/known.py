"""Which leases there are, in memory: ids and keys, also while the database cannot be written."""

from __future__ import annotations

from collections.abc import Iterable
from math import isnan, nan
from struct import Struct

from hotslot.model import CloseReason, Lease, Placement

REMEMBERED = 10_000
"""Closed leases that are remembered, so that a late poke is known for what it is."""

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


_Ended = Struct("<qdddb")
"""What is remembered of a closed lease, enough to know its run again: id, submitted_at (NaN: not
known), opened_at, closed_at, and why it was closed. 10,000 of them take 2 MB, as objects 5."""

_REASONS = (None, *CloseReason)


def _key_of(placement: Placement) -> str:
    return "\0".join(map(str, placement.key))


class KnownLeases:
    """Gives out lease ids and says which lease a placement has; one thread at a time.

    ``known`` are leases from the record, older before newer, ``last_id`` the highest id there.
    """

    def __init__(self, known: Iterable[Lease], last_id: int) -> None:
        self._last_id = last_id
        self._open: dict[str, Lease] = {}
        self._ended: dict[str, bytes] = {}
        for lease in known:
            self._remember(lease)

    def open(self, placement: Placement, at: float) -> tuple[Lease, bool]:
        """Return the lease of this run, and whether it is new; a closed one stays closed.

        A closed one is given back without its figures: they are in the record.
        """
        key = _key_of(placement)
        held = self._open.get(key)
        if held is not None:
            return held, False
        ended = self._ended.get(key)
        if ended is not None:
            number, submitted_at, opened_at, closed_at, reason = _Ended.unpack(ended)
            if _is_same_job(None if isnan(submitted_at) else submitted_at, placement.submitted_at):
                reason = _REASONS[reason]
                return Lease(number, placement, opened_at, closed_at, reason), False
        self._last_id += 1
        lease = Lease(self._last_id, placement, at)
        self._remember(lease)
        return lease, True

    def close(self, lease: Lease) -> bool:
        """Remember a lease as closed; False if it was already, since the first closing counts."""
        ended = self._ended.get(_key_of(lease.placement))
        if ended is not None and _Ended.unpack(ended)[0] >= lease.id:
            return False
        self._remember(lease)
        return True

    def _remember(self, lease: Lease) -> None:
        key = _key_of(lease.placement)
        if lease.closed_at is None:
            self._open[key] = lease
            return
        held = self._open.get(key)
        if held is not None and held.id == lease.id:
            del self._open[key]
        submitted_at = lease.placement.submitted_at
        reason = _REASONS.index(lease.close_reason)
        times = nan if submitted_at is None else submitted_at, lease.opened_at, lease.closed_at
        self._ended.pop(key, None)  # the newest are at the end
        self._ended[key] = _Ended.pack(lease.id, *times, reason)
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]
