"""The youngest borrower goes back into the queue, if the site wants that and its scheduler may."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from builders import placement
from fakes.virtual_time import in_virtual_time
from hotslot.errors import SchedulerError
from hotslot.model import Placement
from hotslot.returns import AGAIN_S, Returns
from test_desk import CountingScheduler
from test_loop import World, now
from test_offers import DirectDesk
from test_sharing import host, lending

AFTER_S = 10.0


class Requeueing(CountingScheduler):
    """Notes what it is to put back; says no while it ``refuses``."""

    def __init__(self) -> None:
        super().__init__()
        self.requeued: list[tuple[str, int]] = []
        self.refuses = False

    def requeue(self, placement: Placement) -> None:
        if self.refuses:
            raise SchedulerError("Requested operation is presently disabled for job 2")
        self.requeued.append((placement.job_id, placement.run))


async def site(*, requeue: bool = True, may_requeue: bool = True) -> tuple[World, Requeueing]:
    """An owner of four vCPUs that wants two, and a borrower with the other two."""
    world = await lending(host(requeue=requeue))
    world.loads["w2"] = 2.0
    borrower = replace(placement("2", "w2", cpus=2), may_requeue=may_requeue)
    assert await world.loop.begin(borrower)
    await world.run(10)
    return world, Requeueing()


def returns(world: World, scheduler: Requeueing, after_s: float = AFTER_S) -> Returns:
    desk = DirectDesk(scheduler, ["w1", "w2"], gap_s=0.5)
    return Returns(world.loop, {"w1": desk, "w2": desk}, after_s=after_s, monotonic=now)


async def pass_by(world: World, what: Returns, seconds: int) -> None:
    for _ in range(seconds):
        await world.run(1)
        await what.once()


@in_virtual_time
async def test_an_owner_that_is_short_for_long_gets_the_borrowers_place() -> None:
    world, scheduler = await site()
    what = returns(world, scheduler)
    await pass_by(world, what, 30)
    assert scheduler.requeued == []
    world.loads["w1"] = 4.0
    await pass_by(world, what, int(AFTER_S) - 2)
    assert scheduler.requeued == []
    await pass_by(world, what, 6)
    assert scheduler.requeued == [("2", 0)]


@in_virtual_time
async def test_it_is_asked_for_once_while_the_scheduler_ends_it() -> None:
    world, scheduler = await site()
    what = returns(world, scheduler)
    world.loads["w1"] = 4.0
    await pass_by(world, what, int(AGAIN_S))
    assert len(scheduler.requeued) == 1
    await pass_by(world, what, int(AGAIN_S))
    assert len(scheduler.requeued) == 2


@in_virtual_time
async def test_a_need_that_passes_requeues_nobody() -> None:
    world, scheduler = await site()
    what = returns(world, scheduler, after_s=20.0)
    for _ in range(5):
        world.loads["w1"] = 4.0
        await pass_by(world, what, 6)
        world.loads["w1"] = 0.9
        await pass_by(world, what, 20)
    assert scheduler.requeued == []


@pytest.mark.parametrize(("requeue", "may_requeue"), [(False, True), (True, False)])
@in_virtual_time
async def test_nobody_is_requeued_whom_site_or_owner_does_not_let(
    requeue: bool, may_requeue: bool
) -> None:
    world, scheduler = await site(requeue=requeue, may_requeue=may_requeue)
    what = returns(world, scheduler)
    world.loads["w1"] = 4.0
    await pass_by(world, what, 60)
    assert scheduler.requeued == []


@in_virtual_time
async def test_a_refusal_is_said_and_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    world, scheduler = await site()
    scheduler.refuses = True
    what = returns(world, scheduler)
    task = asyncio.create_task(what.run())
    world.loads["w1"] = 4.0
    await world.run(30)
    task.cancel()
    assert "job 2 on w2 was not requeued: Requested operation is presently disabled" in caplog.text
    assert not task.done() or task.cancelled()
