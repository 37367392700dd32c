"""Which leases there are, in memory: ids and keys, also while the database cannot be written."""

from __future__ import annotations

from collections.abc import Iterable

from hotslot.model import Lease, Placement

REMEMBERED = 10_000
"""Closed leases that are remembered, so that a late poke is known for what it is (some 10 MB)."""

_CLOCK_GRAIN_S = 1.0


def is_same_run(lease: Lease, placement: Placement) -> bool:
    """Tell whether the placement is what this lease was opened for.

    Same scheduler, job, run and worker, unless the scheduler has given out the job's id again
    (a cluster set up anew starts at 1): then the placement was submitted later than the job
    of the closed lease. Both times are the scheduler's, so no other clock matters.
    """
    if lease.placement.key != placement.key:
        return False
    before, now = lease.placement.submitted_at, placement.submitted_at
    if lease.closed_at is None or before is None or now is None:
        return True
    return now <= before + _CLOCK_GRAIN_S


class KnownLeases:
    """Gives out lease ids and says which lease a placement has; one thread at a time.

    ``known`` are leases from the record, older before newer, ``last_id`` the highest id there.
    """

    def __init__(self, known: Iterable[Lease], last_id: int) -> None:
        self._last_id = last_id
        self._by_id: dict[int, Lease] = {}
        self._by_key: dict[tuple[str, str, int, str], int] = {}
        self._closed: dict[int, None] = {}
        for lease in known:
            self._remember(lease)

    def open(self, placement: Placement, at: float) -> tuple[Lease, bool]:
        """Return the lease of this run, and whether it is new; a closed one stays closed."""
        known = self._by_id.get(self._by_key.get(placement.key, 0))
        if known is not None and is_same_run(known, placement):
            return known, False
        self._last_id += 1
        lease = Lease(self._last_id, placement, at)
        self._remember(lease)
        return lease, True

    def close(self, lease: Lease) -> bool:
        """Remember a lease as closed; False if it was already, since the first closing counts."""
        known = self._by_id.get(lease.id)
        if known is not None and known.closed_at is not None:
            return False
        self._remember(lease)
        return True

    def _remember(self, lease: Lease) -> None:
        self._by_id[lease.id] = lease
        self._by_key[lease.placement.key] = lease.id
        if lease.closed_at is not None:
            self._closed[lease.id] = None
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        if len(self._closed) <= REMEMBERED:
            return
        oldest = next(iter(self._closed))
        del self._closed[oldest]
        key = self._by_id.pop(oldest).placement.key
        if self._by_key[key] == oldest:
            del self._by_key[key]
