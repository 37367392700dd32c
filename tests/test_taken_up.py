"""Leases that the last agent left open are gone on with, or closed once, however many they are."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from builders import placement
from fakes.virtual_time import in_virtual_time
from hotslot.desk import Desk
from hotslot.leases import LeaseBook
from hotslot.model import CloseReason, JobPhase, Lease, Placement, RunSummary
from hotslot.reconcile import Reconciler
from hotslot.record.batch import Batch
from hotslot.record.history import History
from hotslot.record.store import Store
from hotslot.record.writer import Writer
from hotslot.taken_up import taken_up
from record.recorded import lease, worker_state
from test_loop import World, now
from test_reconcile import DirectDesk, DrainingScheduler

STALE = 1000


def on(worker: str, lease_id: int = 1) -> Lease:
    """An open lease on a worker."""
    return lease(lease_id, of=placement(job_id=str(lease_id), worker=worker))


def test_a_lease_of_a_worker_of_ours_is_gone_on_with() -> None:
    state = worker_state()
    assert taken_up([on("w1")], ["w1"], [state], state.boot_id) == ([on("w1")], [])
    assert taken_up([on("w1")], ["w1"], [], "another") == ([on("w1")], [])


def test_after_a_reboot_the_leases_of_the_vms_of_before_are_lost() -> None:
    state = replace(worker_state(), read_at=150.0)
    assert taken_up([on("w1")], ["w1"], [state], "another") == ([], [on("w1")])


def test_a_lease_that_was_opened_after_the_reboot_is_not_lost_for_an_old_reading() -> None:
    state = replace(worker_state(), read_at=50.0)
    assert taken_up([on("w1")], ["w1"], [state], "another") == ([on("w1")], [])


def test_a_worker_that_is_not_ours_any_more_has_no_lease() -> None:
    assert taken_up([on("gone")], ["w1"], [], "boot") == ([], [on("gone")])


def test_of_several_leases_of_a_worker_the_newest_is_held() -> None:
    several = [on("w1", 3), on("w1", 1), on("w1", 2)]
    held, lost = taken_up(several, ["w1"], [], "boot")
    assert held == [on("w1", 3)]
    assert sorted(one.id for one in lost) == [1, 2]


@in_virtual_time
async def test_a_lost_lease_is_told_once_and_its_run_never_comes_back() -> None:
    world = World()
    told: list[RunSummary] = []
    world.loop.on_close = told.append
    left = world.ledger.open_lease(placement(), 100.0)
    world.loop.lose([left], 160.0)
    (kept,) = world.ledger.leases.values()
    assert (kept.closed_at, kept.close_reason) == (160.0, CloseReason.LOST)
    assert [one.over for one in told] == [True]
    await world.loop.look_at_all()
    assert await world.loop.begin(placement()) is None
    assert await world.loop.begin(placement(run=1)) is not None


@pytest.fixture
def stale(tmp_path: Path) -> Path:
    """A record of many leases that nobody closed."""
    path = tmp_path / "hotslot.db"
    with Store(path) as store:
        store.append(Batch(tuple(on(f"old{n}", n) for n in range(1, STALE + 1))))
    return path


def test_a_thousand_stale_leases_are_closed_at_the_start_in_one_go(stale: Path) -> None:
    began = time.monotonic()
    store = Store(stale)
    left = store.open_leases()
    writer = Writer(store)
    held, lost = taken_up(left, ["w1"], store.workers(), "boot")
    book = LeaseBook(writer, held)
    for one in lost:
        book.lose(one, 200.0)
    writer.start()
    assert writer.flush(10)
    assert writer.close(10)
    assert time.monotonic() - began < 10
    with History(stale) as history:
        assert history.open_leases() == []
        closed = history.closed_leases(2 * STALE)
    assert len(closed) == STALE
    assert {(one.close_reason, one.closed_at) for one in closed} == {(CloseReason.LOST, 200.0)}


@in_virtual_time
async def test_a_thousand_jobs_that_ended_unseen_cost_three_questions() -> None:
    names = [f"w{n}" for n in range(STALE)]
    world = World(*names, cores=4 * STALE)
    for n, name in enumerate(names):
        assert world.book.open(placement(job_id=str(n), worker=name), now())

    class Ended(DrainingScheduler):
        def placements(
            self, workers: Collection[str], job_ids: Collection[str] = ()
        ) -> Sequence[Placement]:
            ended = placement(phase=JobPhase.ENDED, outcome="COMPLETED")
            return [replace(ended, job_id=job_id, worker=f"w{job_id}") for job_id in job_ids]

    desk: Desk = DirectDesk(Ended(), names, gap_s=0)
    compare = Reconciler(world.loop, desk, away=[], unanswered=[], agent_wait_s=60, wall=now)
    assert await compare.run_once() == f"0 opened, {STALE} closed, 0 resumed"
    assert desk.calls == 3  # who is there, what became of all these, which nodes are drained
    assert world.book.all() == []
    assert {one.close_reason for one in world.ledger.leases.values()} == {CloseReason.ENDED}
