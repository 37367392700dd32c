"""The record as the agent sees it: nothing here waits for the disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path

from hotslot.model import Lease, Placement
from hotslot.record.batch import Batch, LeaseDecision
from hotslot.record.known import REMEMBERED, KnownLeases
from hotslot.record.pump import Condition, Pump, WriterState
from hotslot.record.store import Store
from hotslot.record.thin import TARGET_POINTS

__all__ = ["BOUND_SAMPLES", "Condition", "Writer", "WriterState"]

BOUND_SAMPLES = 100_000
"""Samples that wait in memory at most: 1 h 44 m of 16 workers, some 30 MB."""

FIRST_RETRY_S = 1.0


class Writer:
    """Opens and closes leases in memory, and has all records written by a thread of its own.

    Why in memory: docs/decisions/0001-leases-open-in-memory.md. The store belongs to the
    writer from now on; samples of ended leases are thinned to ``points``. ``set_aside``:
    where a file is that was found damaged before. ``state`` and ``flush`` are for any thread; the
    rest is for one, the loop's.
    """

    def __init__(
        self,
        store: Store,
        *,
        points: int = TARGET_POINTS,
        bound: int = BOUND_SAMPLES,
        first_retry_s: float = FIRST_RETRY_S,
        clock: Callable[[], float] = time.monotonic,
        set_aside: Path | None = None,
    ) -> None:
        history = chain(store.each_closed_lease(REMEMBERED), store.open_leases())
        self._known = KnownLeases(history, store.last_lease_id())
        self._decided: dict[str, tuple[int | None, int, int]] = {}
        self._pump = Pump(store, points, bound, first_retry_s, clock, set_aside)

    def start(self) -> None:
        """Start the thread."""
        self._pump.start()

    def open_lease(self, placement: Placement, at: float) -> Lease:
        """Return the lease of this run of the job, opened now unless there is one already.

        A closed one is returned as it is, closed: a late poke must not open it again.
        """
        lease, is_new = self._known.open(placement, at)
        if is_new:
            self._pump.put(Batch(leases=(lease,)))
        return lease

    def close_lease(self, lease: Lease) -> None:
        """Keep a lease that has ended, for good; closing it again changes nothing."""
        if self._known.close(lease):
            self._pump.put(Batch(leases=(lease,)))

    def submit(self, batch: Batch) -> None:
        """Have a batch written; of its decisions only those that differ from the worker's last."""
        news = tuple(one for one in batch.decisions if self._is_news(one))
        self._pump.put(replace(batch, decisions=news))

    @property
    def state(self) -> WriterState:
        """How the record is doing now."""
        return self._pump.state

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was submitted is written; False if it is not by then."""
        return self._pump.flush(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Write what waits, end the thread, close the store; False if something is unwritten."""
        return self._pump.close(timeout_s)

    def _is_news(self, one: LeaseDecision) -> bool:
        decision = one.decision
        decided = (one.lease_id, decision.from_vcpus, decision.to_vcpus)
        is_news = self._decided.get(decision.worker) != decided
        self._decided[decision.worker] = decided
        return is_news
