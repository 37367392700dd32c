"""Records that wait to be written, merged so that waiting costs a bounded amount of memory."""

from __future__ import annotations

from collections import Counter, deque

from hotslot.model import Event, Lease
from hotslot.record.batch import Batch, Beat, LeaseDecision, LeaseSample, LedgerMinute, WorkerState


class Backlog:
    """Takes batches, gives one back.

    Of leases, workers and beats only the latest matters, ledger entries add up by minute.
    Over ``bound`` samples the oldest are dropped and counted; decisions likewise, uncounted.
    Events and closed leases are never dropped: they are few (1,000 a day a worker at most) and
    the record is for them. ``since`` is the clock's time of the oldest batch in here.
    """

    def __init__(self, bound: int) -> None:
        self.since: float | None = None
        self._bound = bound
        self._leases: dict[int, Lease] = {}
        self._samples: deque[LeaseSample] = deque()
        self._events: list[Event] = []
        self._decisions: deque[LeaseDecision] = deque(maxlen=bound)
        self._workers: dict[str, WorkerState] = {}
        self._ledger: dict[int, LedgerMinute] = {}
        self._beats: dict[float, Beat] = {}
        self._lost: Counter[int] = Counter()

    def __len__(self) -> int:
        parts = (self._leases, self._samples, self._events, self._decisions)
        return sum(map(len, (*parts, self._workers, self._ledger, self._beats, self._lost)))

    @property
    def lost_samples(self) -> int:
        """Samples that had to be dropped."""
        return self._lost.total()

    def add(self, batch: Batch, now: float) -> None:
        """Take a batch that is newer than all that is here."""
        if self.since is None and len(batch):
            self.since = now
        for lease in batch.leases:
            self._add_lease(lease)
        for minute in batch.ledger:
            self._add_minute(minute)
        self._samples.extend(batch.samples)
        self._events.extend(batch.events)
        self._decisions.extend(batch.decisions)
        self._workers |= {one.worker: one for one in batch.workers}
        self._beats |= {one.started_at: one for one in batch.beats}
        self._lost.update(batch.lost)
        self._drop_over_bound()

    def batch(self) -> Batch:
        """Return all that waits, in the order in which it came."""
        return Batch(
            leases=tuple(self._leases.values()),
            samples=tuple(self._samples),
            events=tuple(self._events),
            decisions=tuple(self._decisions),
            workers=tuple(self._workers.values()),
            ledger=tuple(self._ledger.values()),
            beats=tuple(self._beats.values()),
            lost=dict(self._lost),
        )

    def _add_lease(self, lease: Lease) -> None:
        """Keep the latest row, but never let an open one hide that the lease was closed."""
        known = self._leases.get(lease.id)
        if known is None or known.closed_at is None:
            self._leases[lease.id] = lease

    def _add_minute(self, minute: LedgerMinute) -> None:
        known = self._ledger.get(minute.minute_at)
        self._ledger[minute.minute_at] = minute if known is None else known.plus(minute)

    def _drop_over_bound(self) -> None:
        while len(self._samples) > self._bound:
            self._lost[self._samples.popleft().lease_id] += 1
