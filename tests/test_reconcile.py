"""Comparing with the scheduler finds what hooks lost, and changes nothing twice."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from builders import placement
from fakes.virtual_time import in_virtual_time
from hotslot import desk as desk_module
from hotslot.desk import Desk
from hotslot.drains import Span
from hotslot.model import CloseReason, JobPhase, NodeCondition, Placement
from hotslot.reconcile import Reconciler
from test_desk import CountingScheduler
from test_loop import World, now


class DrainingScheduler(CountingScheduler):
    """Has one drained node, and remembers what was resumed."""

    def __init__(self, *known: Placement) -> None:
        super().__init__(*known)
        self.drained: list[NodeCondition] = []
        self.resumed: list[str] = []

    def conditions(self, workers: Collection[str]) -> Sequence[NodeCondition]:
        return self.drained

    def resume(self, worker: str) -> None:
        self.resumed.append(worker)


class DirectDesk(Desk):
    """Asks without a thread, so that virtual time can pass."""

    async def _ask(self, call: desk_module.Callable[[], desk_module.T]) -> desk_module.T:
        self.calls += 1
        return call()


def reconciler(world: World, scheduler: DrainingScheduler, *away: Span) -> Reconciler:
    desk = DirectDesk(scheduler, ["w1"], gap_s=0)
    return Reconciler(world.loop, desk, away=list(away), unanswered=[], agent_wait_s=60, wall=now)


@in_virtual_time
async def test_a_job_whose_hook_was_lost_is_found() -> None:
    world = World()
    await world.loop.look_at_all()
    compare = reconciler(world, DrainingScheduler(placement()))
    assert await compare.run_once() == "1 opened, 0 closed, 0 resumed"
    assert await compare.run_once() == "0 opened, 0 closed, 0 resumed"
    assert world.loop.lease_on("w1") is not None


@in_virtual_time
async def test_a_job_that_ended_unseen_is_closed_with_its_outcome() -> None:
    world = World()
    await world.start()
    compare = reconciler(world, DrainingScheduler())
    ended = placement(phase=JobPhase.ENDED, outcome="FAILED")

    class Gone(DrainingScheduler):
        def placements(
            self, workers: Collection[str], job_ids: Collection[str] = ()
        ) -> Sequence[Placement]:
            return [ended] if job_ids else []

    compare = reconciler(world, Gone())
    assert await compare.run_once() == "0 opened, 1 closed, 0 resumed"
    (kept,) = world.ledger.leases.values()
    assert (kept.close_reason, kept.placement.outcome) == (CloseReason.ENDED, "FAILED")


@in_virtual_time
async def test_a_job_that_is_ending_is_left_to_its_epilog() -> None:
    world = World()
    await world.start()
    compare = reconciler(world, DrainingScheduler(placement(phase=JobPhase.ENDING)))
    assert await compare.run_once() == "0 opened, 0 closed, 0 resumed"


@in_virtual_time
async def test_a_silent_scheduler_changes_nothing() -> None:
    world = World()
    await world.start()
    scheduler = DrainingScheduler()
    scheduler.silent = True
    assert "does not answer" in await reconciler(world, scheduler).run_once()
    assert world.loop.lease_on("w1") is not None


@in_virtual_time
async def test_another_job_on_the_worker_means_that_the_last_one_ended() -> None:
    world = World()
    await world.start()
    last = placement(phase=JobPhase.ENDED, outcome="COMPLETED")
    new = placement("13")

    class Both(DrainingScheduler):
        def placements(
            self, workers: Collection[str], job_ids: Collection[str] = ()
        ) -> Sequence[Placement]:
            return [last] if "12" in job_ids else [new]

    await reconciler(world, Both()).run_once()
    outcomes = [lease.placement.outcome for lease in world.ledger.leases.values()]
    assert outcomes == ["COMPLETED", ""]


@in_virtual_time
async def test_a_node_drained_for_us_is_resumed_once() -> None:
    world = World()
    await world.loop.look_at_all()
    scheduler = DrainingScheduler()
    scheduler.drained = [
        NodeCondition("w1", "IDLE+DRAIN", True, False, "Prolog error", "root", 990)
    ]
    compare = reconciler(world, scheduler, Span(900, 960))
    assert await compare.run_once() == "0 opened, 0 closed, 1 resumed"
    assert await compare.run_once() == "0 opened, 0 closed, 0 resumed"
    assert scheduler.resumed == ["w1"]


@in_virtual_time
async def test_a_scheduler_closes_no_lease_of_another_ones_worker() -> None:
    world = World("w1", "c1")
    await world.start()
    other = DirectDesk(DrainingScheduler(), ["c1"], gap_s=0)
    compare = Reconciler(world.loop, other, away=[], unanswered=[], agent_wait_s=60, wall=now)
    assert await compare.run_once() == "0 opened, 0 closed, 0 resumed"
    assert world.loop.lease_on("w1") is not None


@in_virtual_time
async def test_a_scheduler_opens_no_lease_on_another_ones_worker() -> None:
    world = World("w1", "c1")
    await world.loop.look_at_all()
    other = DirectDesk(DrainingScheduler(placement(worker="w1")), ["c1"], gap_s=0)
    compare = Reconciler(world.loop, other, away=[], unanswered=[], agent_wait_s=60, wall=now)
    await compare.run_once()
    assert world.loop.lease_on("w1") is None
