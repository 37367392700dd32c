"""The controller is asked once a second at most, whoever asks."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Collection, Mapping, Sequence

import pytest

from builders import placement
from hotslot.desk import Desk
from hotslot.errors import SchedulerUnavailable
from hotslot.model import Finding, NodeCondition, Placement, Queue, RunSummary
from hotslot.schedulers import PartlyUnavailable


class CountingScheduler:
    """Knows the jobs it was given and counts calls."""

    name = "fake"

    def __init__(self, *known: Placement) -> None:
        self.known = known
        self.asked: list[tuple[str, ...]] = []
        self.silent = False
        self.requeued: list[Placement] = []

    def placements(
        self, workers: Collection[str], job_ids: Collection[str] = ()
    ) -> Sequence[Placement]:
        self.asked.append(tuple(sorted(job_ids)))
        if self.silent:
            raise SchedulerUnavailable("no answer within 10 s")
        return [p for p in self.known if not job_ids or p.job_id in job_ids]

    def conditions(self, workers: Collection[str]) -> Sequence[NodeCondition]:
        return []

    def resume(self, worker: str) -> None: ...

    def requeue(self, placement: Placement) -> None:
        self.requeued.append(placement)
        self.known = tuple(p for p in self.known if p.key != placement.key)

    def queue(self, workers: Collection[str]) -> Queue:
        return Queue(())

    def offer(self, limits: Mapping[str, int]) -> None: ...

    def write_back(self, summaries: Sequence[RunSummary]) -> None: ...

    def close(self) -> None: ...

    def check(self, workers: Collection[str], agent_wait_s: float) -> Sequence[Finding]:
        return []


async def test_a_part_that_is_silent_hides_no_other_job() -> None:
    class Partly(CountingScheduler):
        def placements(
            self, workers: Collection[str], job_ids: Collection[str] = ()
        ) -> Sequence[Placement]:
            raise PartlyUnavailable("schedd s2 is down", ["1.0@s2"], self.known)

    desk = Desk(Partly(placement("1.0@s1")), ["w1"], gap_s=0)
    told = await asyncio.gather(desk.job("1.0@s1"), desk.job("1.0@s2"), return_exceptions=True)
    assert told[0] == [placement("1.0@s1")]
    assert isinstance(told[1], SchedulerUnavailable)
    assert desk.silent_since is None


async def test_jobs_that_start_together_share_one_call() -> None:
    scheduler = CountingScheduler(*(placement(str(n)) for n in range(21)))
    desk = Desk(scheduler, ["w1"], gap_s=0.05)
    answers = await asyncio.gather(*(desk.job(str(n)) for n in range(20)), desk.job("3"))
    assert [a[0].job_id for a in answers] == [*map(str, range(20)), "3"]
    assert len(scheduler.asked) == 1


async def test_look_ups_keep_their_distance_and_wait_for_no_other_question() -> None:
    desk = Desk(CountingScheduler(placement("1")), ["w1"], gap_s=0.1)
    clock = asyncio.get_running_loop().time
    began = clock()
    await desk.job("1")
    await desk.job("1")
    assert clock() - began >= 0.1
    others = [asyncio.create_task(desk.everyone()) for _ in range(5)]
    await asyncio.sleep(0.1)
    began = clock()
    await desk.job("1")
    assert clock() - began < 0.4
    await asyncio.gather(*others)


async def test_no_start_waits_for_figures_to_be_written() -> None:
    writing = threading.Event()

    class Slow(CountingScheduler):
        def write_back(self, summaries: Sequence[RunSummary]) -> None:
            writing.wait(10)

    desk = Desk(Slow(placement("1")), ["w1"], gap_s=0)
    task = asyncio.create_task(desk.write_back([], urgent=False))
    await asyncio.sleep(0)
    assert await desk.job("1") == [placement("1")]
    assert not task.done()
    writing.set()
    await task


async def test_an_unknown_job_has_no_placements() -> None:
    assert await Desk(CountingScheduler(), ["w1"], gap_s=0).job("7") == []


async def test_silence_is_told_to_all_who_asked_and_remembered() -> None:
    scheduler = CountingScheduler(placement("1"))
    scheduler.silent = True
    desk = Desk(scheduler, ["w1"], gap_s=0, wall=lambda: 1000.0)
    for told in await asyncio.gather(desk.job("1"), desk.job("2"), return_exceptions=True):
        assert isinstance(told, SchedulerUnavailable)
    assert desk.silent_since == 1000.0
    scheduler.silent = False
    assert await desk.job("1")
    assert desk.silent_since is None


async def test_one_who_gives_up_does_not_spoil_it_for_others() -> None:
    desk = Desk(CountingScheduler(placement("1")), ["w1"], gap_s=0.02)
    await desk.job("0")
    impatient = asyncio.create_task(desk.job("1"))
    patient = asyncio.create_task(desk.job("1"))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == [placement("1")]
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_a_run_is_put_back_in_its_turn() -> None:
    scheduler = CountingScheduler(placement("1"), placement("2"))
    desk = Desk(scheduler, ["w1"], gap_s=0)
    await desk.requeue(placement("1"))
    assert scheduler.requeued == [placement("1")]
    assert [one.job_id for one in await desk.everyone()] == ["2"]


async def test_limits_are_set_right_after_the_question_but_once_a_second() -> None:
    scheduler = CountingScheduler()
    desk = Desk(scheduler, ["w1"], gap_s=1.0)
    began = time.monotonic()
    await desk.queue()
    await desk.offer({"g": 1})
    assert time.monotonic() - began < 0.9
    await desk.offer({"g": 2})
    assert time.monotonic() - began >= 1.0
    await desk.queue()
    assert time.monotonic() - began >= 2.0
    await desk.close()
