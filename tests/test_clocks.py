"""The host's clock is set while jobs run: decisions do not mind, and records stay in order."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.virtual_time import in_virtual_time
from hotslot.model import JobPhase, Lease, Sample
from hotslot.record.batch import LedgerMinute
from hotslot.steady import SteadyWall
from test_loop import World, now, placement

STEPS_S = [3600.0, 3.5, -0.4, -2.0, -60.0, -3600.0, -1e8]

steps = pytest.mark.parametrize("step_s", STEPS_S)


class HostClock:
    """The host's clock, some time ahead of the monotonic one."""

    def __init__(self) -> None:
        self.ahead_s = 1e9

    def __call__(self) -> float:
        return now() + self.ahead_s


class Site:
    """A worker with a job of four, and a clock to set."""

    def __init__(self) -> None:
        self.clock = HostClock()
        self.world = World(wall=self.clock)

    async def run_and_step(self, step_s: float, run_s: float = 20) -> None:
        """Run, set the clock, run as long again."""
        await self.world.start()
        await self.world.run(run_s)
        self.clock.ahead_s += step_s
        await self.world.run(run_s)

    def samples(self) -> list[Sample]:
        return [one.sample for batch in self.world.recorder.batches for one in batch.samples]

    def minutes(self) -> list[LedgerMinute]:
        return [one for batch in self.world.recorder.batches for one in batch.ledger]

    async def end(self) -> Lease:
        """End the job, and return its lease."""
        lease = self.world.loop.lease_on("w1")
        assert lease is not None
        ended = [placement(phase=JobPhase.ENDING)]
        assert await self.world.loop.finish(lease, ended, self.clock())
        self.world.loop.cycle()
        (kept,) = self.world.ledger.leases.values()
        return kept


@steps
@in_virtual_time
async def test_a_lease_lasts_as_long_as_it_did(step_s: float) -> None:
    site = Site()
    await site.run_and_step(step_s)
    lease = await site.end()
    assert lease.closed_at is not None
    assert isclose(lease.totals.life_s, 40, abs_tol=2)
    assert lease.closed_at - lease.opened_at >= lease.totals.life_s - 0.01
    assert lease.closed_at - lease.opened_at <= 42 + max(0.0, step_s)


@steps
@in_virtual_time
async def test_each_sample_has_its_own_second(step_s: float) -> None:
    site = Site()
    await site.run_and_step(step_s)
    samples = site.samples()
    assert len(samples) >= 39
    assert all(0.9 < one.interval_s < 1.1 for one in samples[1:])
    assert all(after.at - before.at > 0.5 for before, after in pairwise(samples))


@steps
@in_virtual_time
async def test_no_second_is_missing_or_twice_in_the_ledger(step_s: float) -> None:
    site = Site()
    await site.world.start()
    began = now()
    before_s = sum(one.span_s for one in site.minutes())
    await site.world.run(90)
    site.clock.ahead_s += step_s
    await site.world.run(90)
    minutes = site.minutes()
    assert isclose(sum(one.span_s for one in minutes) - before_s, now() - began, abs_tol=2)
    assert all(one.span_s >= 0 and one.held_core_s >= 0 for one in minutes)
    by_minute: dict[int, float] = {}
    for one in minutes:
        by_minute[one.minute_at] = by_minute.get(one.minute_at, 0.0) + one.span_s
    assert max(by_minute.values()) <= 60.01


@steps
@in_virtual_time
async def test_a_worker_shrinks_and_grows_as_if_nothing_had_been(step_s: float) -> None:
    site = Site()
    site.world.load = 4.0
    await site.world.start()
    await site.world.run(5)
    site.clock.ahead_s += step_s
    site.world.load = 1.0
    await site.world.run(14)
    assert site.world.granted() == 2
    site.clock.ahead_s += step_s
    site.world.load = 4.0
    await site.world.run(4)
    assert site.world.granted() == 4


@steps
@in_virtual_time
async def test_what_led_to_a_change_was_before_it(step_s: float) -> None:
    site = Site()
    site.world.load = 4.0
    await site.world.start()
    await site.world.run(5)
    site.world.load = 1.0
    await site.world.run(6)
    site.clock.ahead_s += step_s
    await site.world.run(14)
    batches = site.world.recorder.batches
    events = [one for batch in batches for one in batch.events]
    decisions = [one.decision for batch in batches for one in batch.decisions]
    assert len(events) >= 2
    assert all(one.detected_at is None or one.detected_at <= one.at for one in events)
    assert all(one.detected_at <= one.at for one in decisions)
    assert all(after.at >= before.at for before, after in pairwise(events))


@steps
@in_virtual_time
async def test_a_jobs_exit_is_waited_for_as_long_as_ever(step_s: float) -> None:
    site = Site()
    await site.world.start()
    await site.world.run(5)
    lease = site.world.loop.lease_on("w1")
    assert lease is not None
    assert site.world.loop.leave(lease) is not None
    site.clock.ahead_s += step_s
    await site.world.run(50)
    told = site.world.loop.lease_on("w1")
    assert told is not None
    assert told.totals.life_s < 10
    await site.world.run(20)
    told = site.world.loop.lease_on("w1")
    assert told is not None
    assert told.totals.life_s > 70


@steps
@in_virtual_time
async def test_the_next_job_has_the_clock_as_it_is(step_s: float) -> None:
    site = Site()
    await site.run_and_step(step_s, 5)
    await site.end()
    lease = await site.world.loop.begin(placement(job_id="13"))
    assert lease is not None
    assert isclose(lease.opened_at, site.clock(), abs_tol=2)


@steps
@in_virtual_time
async def test_a_lease_goes_on_in_its_time_with_a_new_agent(step_s: float) -> None:
    site = Site()
    await site.world.start()
    await site.world.run(20)
    site.clock.ahead_s += step_s
    await site.world.run(5)
    before = site.samples()
    await asyncio.sleep(14)  # as an agent does that is to end: what it has told is lowered first
    last = next(site.world.loop._worker_states(site.world.loop.tracks.values()))
    await asyncio.sleep(30)
    site.world = World(wall=site.clock, ledger=site.world.ledger)
    assert site.world.book.open(placement(), site.clock())
    track = site.world.loop.tracks["w1"]
    track.process = (last.reading.pid, last.reading.born_s)
    track.reading = last.reading
    site.world.loop.go_on("w1", last)
    await site.world.loop.look_at_all()
    await site.world.run(20)
    samples = [*before, *site.samples()]
    assert all(after.at - after.interval_s >= one.at - 0.05 for one, after in pairwise(samples))
    lease = await site.end()
    assert lease.closed_at is not None
    assert isclose(lease.closed_at - lease.opened_at, 91 + max(0.0, step_s), abs_tol=3)


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(-1e9, 1e9)), max_size=30))
def test_it_never_goes_back_and_follows_a_clock_that_does_not(
    moves: list[tuple[float, float]],
) -> None:
    mono, ahead = 0.0, 1e9
    steady = SteadyWall(lambda: mono + ahead, lambda: mono)
    last, was_set_back = steady(), False
    for passed_s, step_s in moves:
        mono += passed_s
        ahead += step_s
        was_set_back = was_set_back or step_s < 0
        assert steady() >= last
        assert was_set_back or steady() == mono + ahead
        last = steady()
    steady.follow()
    assert steady() == mono + ahead
