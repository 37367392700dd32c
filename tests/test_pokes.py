"""A hook is a hint: what it may cause, and what it is told."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import placement
from hotslot.desk import Desk
from hotslot.model import JobPhase, Lease, Placement
from hotslot.pokes import LOOK_UPS, Pokes, Say
from hotslot.rates import KEPT, Bucket, Rates
from test_desk import CountingScheduler


class OneWorker:
    """Two workers that are sized at once, unless told otherwise."""

    def __init__(self) -> None:
        self.leases: dict[str, Lease] = {}
        self.is_sized = True
        self.closed_before = False
        self.finished: list[list[Placement]] = []

    def manages(self, worker: str) -> bool:
        return worker in ("w1", "w2")

    def lease_on(self, worker: str) -> Lease | None:
        return self.leases.get(worker)

    async def begin(self, placement: Placement) -> Lease | None:
        if self.closed_before:
            return None
        self.leases[placement.worker] = Lease(1, placement, 100.0)
        return self.leases[placement.worker]

    async def sized(self, worker: str, timeout_s: float) -> bool:
        return self.is_sized

    async def finish(self, lease: Lease, found: list[Placement], at: float) -> bool:
        self.finished.append(found)
        return True


class Written:
    """Writes figures at once."""

    async def exiting(self, lease: Lease) -> bool:
        return True


def pokes(floor: OneWorker, scheduler: CountingScheduler, rate: float = 1000) -> Pokes:
    desk = Desk(scheduler, ["w1", "w2"], gap_s=0)
    desks = {"w1": desk, "w2": desk}
    return Pokes(floor, desks, exits=Written(), pokes_per_s=rate, hold_s=1)


async def told(*known: Placement, job: str = "12", worker: str = "w1", event: str = "start") -> Say:
    return (await pokes(OneWorker(), CountingScheduler(*known)).answer(event, job, worker)).say


async def test_a_job_that_the_scheduler_confirms_is_ready() -> None:
    assert await told(placement()) is Say.READY


async def test_a_worker_that_is_being_sized_says_wait() -> None:
    floor = OneWorker()
    floor.is_sized = False
    answer = await pokes(floor, CountingScheduler(placement())).answer("start", "12", "w1")
    assert answer.say is Say.WAIT


@pytest.mark.parametrize(
    ("known", "say"),
    [
        ([], Say.NO_SUCH_JOB),
        ([placement(worker="w2")], Say.ELSEWHERE),
        ([placement(phase=JobPhase.ENDING)], Say.OVER),
        ([placement(worker="", phase=JobPhase.PENDING)], Say.OVER),
    ],
)
async def test_a_job_that_is_not_here_gets_nothing(known: list[Placement], say: Say) -> None:
    floor = OneWorker()
    answer = await pokes(floor, CountingScheduler(*known)).answer("start", "12", "w1")
    assert answer.say is say
    assert floor.leases == {}


async def test_every_part_of_a_job_on_two_workers_begins_at_the_first_poke() -> None:
    floor = OneWorker()
    scheduler = CountingScheduler(placement(worker="w1"), placement(worker="w2"))
    await pokes(floor, scheduler).answer("start", "12", "w1")
    assert sorted(floor.leases) == ["w1", "w2"]


async def test_a_second_poke_asks_nobody_again() -> None:
    scheduler = CountingScheduler(placement())
    answers = pokes(OneWorker(), scheduler)
    await answers.answer("start", "12", "w1")
    await answers.answer("start", "12", "w1")
    assert len(scheduler.asked) == 1


async def test_a_job_whose_end_was_lost_is_asked_of_in_the_same_call() -> None:
    floor = OneWorker()
    floor.leases["w1"] = Lease(1, placement("11"), 100.0)
    last = placement("11", phase=JobPhase.ENDED, outcome="COMPLETED")
    scheduler = CountingScheduler(placement(), last)
    assert (await pokes(floor, scheduler).answer("start", "12", "w1")).say is Say.READY
    assert scheduler.asked == [("11", "12")]
    assert floor.finished == [[last]]


async def test_a_run_that_was_closed_before_is_over() -> None:
    floor = OneWorker()
    floor.closed_before = True
    answer = await pokes(floor, CountingScheduler(placement())).answer("start", "12", "w1")
    assert answer.say is Say.OVER


async def test_a_silent_scheduler_means_ask_later_and_is_remembered() -> None:
    scheduler = CountingScheduler(placement())
    scheduler.silent = True
    answers = pokes(OneWorker(), scheduler)
    assert (await answers.answer("start", "12", "w1")).say is Say.ASK_LATER
    assert [worker for worker, _ in answers.unanswered] == ["w1"]


async def test_a_worker_of_another_host_is_refused() -> None:
    assert await told(placement(), worker="w9") is Say.UNKNOWN_WORKER


async def test_an_end_is_noted_at_once_and_checked_behind() -> None:
    floor = OneWorker()
    floor.leases["w1"] = Lease(1, placement(), 100.0)
    ended = placement(phase=JobPhase.ENDING)
    answers = pokes(floor, CountingScheduler(ended))
    assert (await answers.answer("end", "12", "w1")).say is Say.READY
    while not floor.finished:
        await asyncio.sleep(0.001)
    assert floor.finished == [[ended]]


async def test_an_end_of_a_job_that_is_not_here_asks_nobody() -> None:
    scheduler = CountingScheduler()
    answers = pokes(OneWorker(), scheduler)
    await answers.answer("end", "12", "w1")
    await answers.close()
    assert scheduler.asked == []


async def test_a_flood_of_pokes_costs_a_bounded_number_of_look_ups() -> None:
    scheduler = CountingScheduler()
    answers = pokes(OneWorker(), scheduler, rate=5)
    said = [(await answers.answer("start", "7", "w1")).say for _ in range(200)]
    assert said.count(Say.SLOW_DOWN) >= 170
    assert len(scheduler.asked) <= 30


async def test_a_flood_uses_up_nobody_elses_pokes() -> None:
    """Whatever worker it names: those that come from another address are answered."""
    answers = pokes(OneWorker(), CountingScheduler(placement()), rate=5)
    for worker in ("w1", "w2"):
        said = [(await answers.answer("start", "7", worker, "10.0.0.2")).say for _ in range(99)]
        assert said[-1] is Say.SLOW_DOWN
    assert (await answers.answer("start", "12", "w1", "10.0.0.1")).say is Say.READY


async def test_one_address_has_so_many_look_ups_at_once_and_no_more() -> None:
    scheduler = CountingScheduler()
    answers = pokes(OneWorker(), scheduler)
    asked = [answers.answer("start", str(job), "w1", "10.0.0.2") for job in range(2 * LOOK_UPS)]
    said = [answer.say for answer in await asyncio.gather(*asked)]
    assert said.count(Say.SLOW_DOWN) == LOOK_UPS
    assert sum(map(len, scheduler.asked)) == LOOK_UPS
    assert (await answers.answer("start", "7", "w1", "10.0.0.2")).say is Say.NO_SUCH_JOB


async def test_an_exit_is_answered_when_the_figures_are_written() -> None:
    floor = OneWorker()
    answers = pokes(floor, CountingScheduler(placement("12.0@s1")))
    assert (await answers.answer("start", "12.0@s1", "w1")).say is Say.READY
    assert (await answers.answer("exit", "12.0@s1", "w1")).words == "written"
    assert (await answers.answer("exit", "13.0@s1", "w1")).words == "noted"
    assert (await answers.answer("exit", "12.0@s1", "w2")).words == "noted"


@pytest.mark.parametrize("job", ["12.0", "12@s", "12.0@", "12.0@-x", "1.0@s s", "a.0@s", "1.0@é"])
async def test_what_is_no_job_of_any_scheduler_is_refused(job: str) -> None:
    assert await told(job=job) is Say.BAD


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_hostile_fields_are_refused_by_name(event: str, job: str, worker: str) -> None:
    answers = Pokes(OneWorker(), {}, exits=Written(), pokes_per_s=1e6)
    answer = asyncio.run(answers.answer("start" + event, "x" + job, worker))
    assert answer.say in (Say.BAD, Say.UNKNOWN_WORKER)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200))
def test_a_bucket_gives_no_more_than_its_rate(times: list[float]) -> None:
    bucket = Bucket(2.0, 10.0)
    taken = sum(bucket.take(at) for at in sorted(times))
    assert taken <= 10 + 2 * (max(times) - min(times)) + 1e-6


def test_askers_who_come_and_go_are_forgotten() -> None:
    now = [0.0]
    rates = Rates(5.0, lambda: now[0])
    assert [rates.take("here") for _ in range(30)].count(True) == 20
    for stranger in range(KEPT - 1):
        assert rates.take(stranger)
    now[0] = 1.0
    assert rates.take("new")
    assert [rates.take("here") for _ in range(30)].count(True) == 5, "who floods is not forgotten"
    for stranger in range(3 * KEPT):
        rates.take(stranger)
    assert len(rates._buckets) <= KEPT
