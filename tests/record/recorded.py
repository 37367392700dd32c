"""Builders and strategies of what goes into the record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st

from builders import placement, sample
from hotslot.model import (
    CloseReason,
    Decision,
    Event,
    EventResult,
    JobPhase,
    Lease,
    Placement,
    Reading,
    Sample,
    Totals,
    VcpuTimes,
)
from hotslot.record.batch import LeaseDecision, LeaseSample, WorkerState
from hotslot.record.store import Store


@contextmanager
def new_store() -> Iterator[Store]:
    """A store of its own for each example of a property."""
    with TemporaryDirectory() as folder, Store(Path(folder, "hotslot.db")) as store:
        yield store


def lease(
    lease_id: int = 1,
    *,
    of: Placement | None = None,
    opened_at: float = 100.0,
    closed_at: float | None = None,
    totals: Totals | None = None,
) -> Lease:
    """A lease; with ``closed_at`` one that has ended."""
    return Lease(
        id=lease_id,
        placement=of or placement(job_id=str(lease_id)),
        opened_at=opened_at,
        closed_at=closed_at,
        close_reason=None if closed_at is None else CloseReason.ENDED,
        totals=totals or Totals(),
    )


def closed(open_lease: Lease, at: float = 200.0) -> Lease:
    """The same lease, ended."""
    return replace(open_lease, closed_at=at, close_reason=CloseReason.ENDED)


def seconds(
    lease_id: int, count: int, *, first: float = 100.0, used: float = 1.0
) -> list[LeaseSample]:
    """So many samples of a second each, one after the other."""
    return [LeaseSample(lease_id, sample(first + i, used=used)) for i in range(count)]


def event(
    lease_id: int | None = 1,
    at: float = 110.0,
    *,
    change: tuple[int, int] = (4, 2),
    result: EventResult = EventResult.APPLIED,
    took_s: float = 0.5,
    detail: str = "",
) -> Event:
    """An attempt to change worker w1."""
    return Event(
        worker="w1",
        lease_id=lease_id,
        at=at,
        from_vcpus=change[0],
        to_vcpus=change[1],
        got_vcpus=change[1],
        reason="peak of 60 s is 1.1 of 4 cores",
        result=result,
        detail=detail,
        detected_at=at - 1,
        command_s=0.25,
        online_s=None,
        took_s=took_s,
    )


def decision(at: float = 109.0, *, to: int = 2, lease_id: int | None = 1) -> LeaseDecision:
    """A decision on worker w1."""
    return LeaseDecision(lease_id, Decision("w1", at, 4, to, "peak of 60 s is 1.1", at - 1))


def worker_state(read_at: float = 110.0) -> WorkerState:
    """What was last seen of worker w1."""
    reading = Reading(5.5, 4321, 2.25, {0: VcpuTimes(7, 8), 1: VcpuTimes(10**18, 0)})
    return WorkerState("w1", "vm-w1", 2, reading, "boot-a", read_at)


texts = st.text(max_size=12)
moments = st.integers(0, 4_000_000_000_000).map(lambda ms: ms / 1000)
amounts = st.integers(0, 1_000_000_000_000).map(lambda thousandths: thousandths / 1000)
vcpus = st.integers(0, 1024)

placements = st.builds(
    Placement,
    scheduler=texts,
    job_id=texts,
    run=st.integers(0, 99),
    worker=texts,
    cpus=vcpus,
    phase=st.sampled_from(JobPhase),
    user=texts,
    account=texts,
    partition=texts,
    name=texts,
    array_job_id=texts,
    array_task_id=texts,
    het_job_id=texts,
    submitted_at=st.none() | moments,
    started_at=st.none() | moments,
    ended_at=st.none() | moments,
    time_limit_s=st.none() | amounts,
    exit_code=texts,
    outcome=texts,
    asked=texts,
)

all_totals = st.builds(
    Totals,
    life_s=amounts,
    requested_core_s=amounts,
    held_core_s=amounts,
    used_core_s=amounts,
    waited_core_s=amounts,
    peak_cores=amounts,
    saturated_s=amounts,
    borrowed_core_s=amounts,
)


@st.composite
def leases(draw: st.DrawFn, lease_id: int = 1) -> Lease:
    """Any lease, open or closed."""
    ended = draw(st.none() | st.tuples(moments, st.sampled_from(CloseReason)))
    return Lease(
        id=lease_id,
        placement=draw(placements),
        opened_at=draw(moments),
        closed_at=ended[0] if ended else None,
        close_reason=ended[1] if ended else None,
        totals=draw(all_totals),
    )


events = st.builds(
    Event,
    worker=st.just("w1"),
    lease_id=st.none() | st.just(1),
    at=moments,
    from_vcpus=vcpus,
    to_vcpus=vcpus,
    got_vcpus=vcpus,
    reason=texts,
    result=st.sampled_from(EventResult),
    detail=texts,
    detected_at=st.none() | moments,
    command_s=amounts,
    online_s=st.none() | amounts,
    took_s=amounts,
)


def lives(longest: int = 30) -> st.SearchStrategy[list[Sample]]:
    """The samples of a lease's life: mostly steady seconds, some changes, some gaps."""
    cores = st.integers(0, 8000).map(lambda thousandths: thousandths / 1000)
    interval_s = st.sampled_from([1.0, 1.0, 1.01, 0.25, 7.5])
    gap_s = st.sampled_from([0.0, 0.0, 0.0, 3.0])
    granted = st.sampled_from([4, 4, 4, 4, 2, 8])
    seconds = st.tuples(interval_s, gap_s, granted, cores, cores, cores)
    return st.lists(seconds, max_size=longest).map(_one_after_the_other)


def _one_after_the_other(life: list[tuple[float, float, int, float, float, float]]) -> list[Sample]:
    at, samples = 100.0, []
    for interval_s, gap_s, granted, held, used, waited in life:
        at = round(at + interval_s + gap_s, 3)
        samples.append(Sample(at, interval_s, granted, held, used, waited))
    return samples
