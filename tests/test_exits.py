"""A job's processes end before its slot is free: figures are written then, and counted once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from builders import placement, run_summary
from fakes.virtual_time import in_virtual_time
from hotslot.errors import SchedulerError
from hotslot.exits import Exits
from hotslot.model import JobPhase, Lease, Placement, RunSummary
from hotslot.schedulers import NotWritten
from hotslot.writeback import AT_ONCE, FIRST_PAUSE_S, TRIES, WriteBack
from test_desk import CountingScheduler
from test_loop import World, now
from test_offers import DirectDesk


class Keeping(CountingScheduler):
    """Keeps what was written back; refuses it ``refusals`` times before."""

    name = "slurm"

    def __init__(self, *known: Placement) -> None:
        super().__init__(*known)
        self.written: list[RunSummary] = []
        self.refusals = 0

    def write_back(self, summaries: Sequence[RunSummary]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise SchedulerError("job 12 is gone")
        self.written.extend(summaries)


class Site:
    """One worker with a running job that is held at 4 vCPUs, and its scheduler."""

    def __init__(self) -> None:
        self.world = World()
        self.world.load = 4.0
        self.scheduler = Keeping(placement())
        self.desk = DirectDesk(self.scheduler, ["w1"], gap_s=0)
        self.writer = WriteBack(self.desk)
        self.world.loop.on_close = self.writer.later
        self.exits = Exits(
            self.world.loop,
            {"w1": self.desk},
            {"slurm": self.writer},
            wall=now,
            monotonic=now,
        )

    async def start(self) -> Lease:
        await self.world.start()
        await self.world.run(20)
        return self.lease

    @property
    def lease(self) -> Lease:
        lease = self.world.loop.lease_on("w1")
        assert lease is not None
        return lease


@in_virtual_time
async def test_the_figures_that_are_written_are_those_of_the_closed_lease() -> None:
    site = Site()
    lease = await site.start()
    assert await site.exits.exiting(lease)
    (written,) = site.scheduler.written
    assert not written.over
    await site.world.run(3)
    site.scheduler.known = (placement(phase=JobPhase.ENDED),)
    await site.world.run(5)
    closed = site.world.ledger.leases[lease.placement.key]
    assert closed.closed_at is not None
    assert closed.totals.held_core_s == written.held_core_s
    assert closed.totals.used_core_s == written.used_core_s
    samples = [s for batch in site.world.recorder.batches for s in batch.samples]
    held = sum(s.sample.held_cores * s.sample.interval_s for s in samples)
    assert abs(held - written.held_core_s) < 1e-6


@in_virtual_time
async def test_a_job_that_only_says_so_is_counted_on_without_a_gap() -> None:
    site = Site()
    lease = await site.start()
    before = site.lease.totals
    assert await site.exits.exiting(lease)
    assert not await site.exits.exiting(lease)
    assert len(site.scheduler.written) == 1
    await site.world.run(40)
    assert site.lease.id == lease.id
    assert site.lease.totals.life_s > before.life_s + 38
    assert site.world.granted() == 4


@in_virtual_time
async def test_without_an_answer_what_was_held_back_is_counted_after_a_minute() -> None:
    site = Site()
    lease = await site.start()
    life_s = site.lease.totals.life_s
    assert site.world.loop.leave(lease) is not None
    await site.world.run(50)
    assert site.lease.totals.life_s < life_s + 2
    await site.world.run(20)
    assert site.lease.totals.life_s > life_s + 60


@in_virtual_time
async def test_an_exit_of_a_lease_that_is_closed_writes_nothing() -> None:
    site = Site()
    lease = await site.start()
    assert await site.world.loop.finish(lease, [], now())
    assert not await site.exits.exiting(lease)
    assert site.scheduler.written == []
    site.world.loop.stay(lease)


@in_virtual_time
async def test_an_ended_run_is_written_in_the_background_and_again_if_refused() -> None:
    site = Site()
    lease = await site.start()
    running = asyncio.create_task(site.writer.run())
    site.scheduler.refusals = 2
    await site.world.loop.finish(lease, [], now())
    await asyncio.sleep(60)
    (written,) = site.scheduler.written
    assert written.over
    assert written.requested_vcpus == 4
    assert written.events == 1
    assert site.writer.waiting == 0
    running.cancel()


@in_virtual_time
async def test_what_is_never_taken_is_given_up() -> None:
    site = Site()
    running = asyncio.create_task(site.writer.run())
    site.scheduler.refusals = TRIES
    site.writer.later(run_summary())
    await asyncio.sleep(600)
    assert (site.writer.waiting, site.writer.given_up) == (0, 1)
    site.writer.later(run_summary())
    await asyncio.sleep(60)
    assert len(site.scheduler.written) == 1
    running.cancel()


@in_virtual_time
async def test_many_are_written_one_batch_after_the_other() -> None:
    site = Site()
    for job in range(1000):
        site.writer.later(run_summary(placement(str(job))))
    writing = asyncio.create_task(site.writer.run())
    await asyncio.sleep(FIRST_PAUSE_S + 1000 / AT_ONCE * 0.05 + 1)
    assert len(site.scheduler.written) == 1000
    assert site.writer.waiting == 0
    writing.cancel()


@in_virtual_time
async def test_what_is_taken_is_not_written_again_with_what_is_not() -> None:
    site = Site()
    running = asyncio.create_task(site.writer.run())
    taken, foreign = run_summary(placement("1")), run_summary(placement("2"))
    times: list[int] = []

    def write_back(summaries: Sequence[RunSummary]) -> None:
        times.append(len(summaries))
        if foreign in summaries:
            raise NotWritten({foreign.placement.key: "somebody else's comment"})

    site.scheduler.write_back = write_back  # type: ignore[method-assign]
    site.writer.later(taken)
    site.writer.later(foreign)
    await asyncio.sleep(600)
    assert times == [2] + [1] * (TRIES - 1)
    assert (site.writer.waiting, site.writer.given_up) == (0, 1)
    running.cancel()


@in_virtual_time
async def test_a_hook_does_not_wait_for_a_scheduler_that_hangs() -> None:
    site = Site()
    lease = await site.start()
    site.scheduler.refusals = 1
    assert not await site.exits.exiting(lease)
    site.world.loop.stay(lease)


@in_virtual_time
async def test_a_suspended_job_gives_its_vcpus_back_until_it_wants_them() -> None:
    site = Site()
    await site.start()
    site.world.load = 0.0
    suspended = placement(phase=JobPhase.SUSPENDED)
    await site.world.run(2)
    await site.world.loop.begin(suspended)
    await site.world.run(5)
    assert site.world.granted() == 1
    site.world.load = 4.0
    await site.world.run(5)
    assert site.world.granted() == 4
