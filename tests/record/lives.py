"""A record in which jobs have lived: every lease with its samples, events and the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from builders import placement
from hotslot.model import CloseReason, Lease, Placement, Sample
from hotslot.record.batch import Batch, LeaseSample
from hotslot.record.ledger import HostLedger
from hotslot.record.store import Store
from hotslot.record.totals import totals_of
from record.recorded import decision, event

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Life:
    """One run: when it opened, what it was granted second by second, how it ended."""

    of: Placement
    opened_at: float
    granted: Sequence[int] = (4, 4, 2, 2, 2)
    used: float = 1.25
    reason: CloseReason | None = CloseReason.ENDED
    events: int = 2

    @property
    def closed_at(self) -> float:
        return self.opened_at + len(self.granted)

    @property
    def samples(self) -> list[Sample]:
        return [
            Sample(self.opened_at + n, 1.0, vcpus, float(vcpus), min(self.used, vcpus), 0.0)
            for n, vcpus in enumerate(self.granted, start=1)
        ]


def a_life(
    job_id: str, opened_at: float, *, outcome: str = "COMPLETED", worker: str = "w1", run: int = 0
) -> Life:
    """Five seconds of a job of alice's."""
    of = placement(job_id, worker, run=run, outcome=outcome)
    return Life(replace(of, submitted_at=opened_at - 10), opened_at)


def live(store: Store, lives: Sequence[Life], *, first_id: int = 1) -> list[Lease]:
    """Write these lives as an agent would: opened, measured, closed."""
    written = []
    for lease_id, life in enumerate(lives, start=first_id):
        opened = Lease(lease_id, life.of, life.opened_at)
        totals = totals_of(life.samples, life.of.cpus)
        ledger = HostLedger(64)
        ledger.start("w", 0.0, life.granted[0] if life.granted else 0)
        for n, (vcpus, taken) in enumerate(zip(life.granted, life.samples, strict=True), start=1):
            after = life.granted[n] if n < len(life.granted) else vcpus
            ledger.see("w", float(n), taken.at, after, life.of.cpus)
            ledger.used(taken)
        told = [
            replace(event(lease_id, at=life.opened_at + 0.5 + n), worker=life.of.worker)
            for n in range(life.events)
        ]
        batch = Batch(
            leases=(replace(opened, totals=totals),),
            samples=tuple(LeaseSample(lease_id, one) for one in life.samples),
            events=tuple(told),
            decisions=(decision(life.opened_at + 0.25, lease_id=lease_id),),
            ledger=ledger.take(),
        )
        store.append(batch)
        if life.reason is not None:
            closed = replace(
                opened, totals=totals, closed_at=life.closed_at, close_reason=life.reason
            )
            store.close_lease(closed)
            written.append(closed)
    return written
