"""The ledger counts all that workers were granted, by itself, and agrees with the leases."""

from __future__ import annotations

import asyncio
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import sample
from fakes.virtual_time import in_virtual_time
from hotslot.model import CloseReason
from hotslot.record.batch import LedgerMinute
from hotslot.record.ledger import HostLedger
from test_loop import World, now


def total(minutes: list[LedgerMinute], name: str) -> float:
    return fsum(getattr(one, name) for one in minutes)


def test_what_is_granted_is_held_or_idle() -> None:
    ledger = HostLedger(16)
    ledger.start("w1", 10.0, 2)
    ledger.see("w1", 12.0, 600.0, 3, 4)
    ledger.see("w1", 13.0, 601.0, 3, None)
    before, after = ledger.take()
    assert (before.held_core_s, before.requested_core_s, before.span_s) == (4, 8, 2)
    assert (after.idle_core_s, after.held_core_s, after.span_s) == (3, 0, 1)
    assert ledger.take() == ()


def test_what_was_taken_for_idle_is_put_right() -> None:
    ledger = HostLedger(16)
    ledger.start("w1", 10.0, 2)
    ledger.see("w1", 12.0, 630.0, 2, None)
    ledger.used(sample(630.0, interval_s=2.0, used=0.5))
    ledger.was_held(sample(630.0, interval_s=2.0, granted=2), request=4)
    (minute,) = ledger.take()
    assert minute == LedgerMinute(600, 2.0, 4.0, 1.0, 16, requested_core_s=8.0, idle_core_s=0.0)


def test_a_clock_that_stands_still_adds_nothing() -> None:
    ledger = HostLedger(16)
    ledger.start("w1", 10.0, 2)
    ledger.see("w1", 10.0, 600.0, 4, 4)
    ledger.see("w1", 9.0, 600.0, 4, 4)
    assert ledger.take() == ()
    ledger.see("w1", 11.0, 601.0, 4, 4)
    assert total(list(ledger.take()), "held_core_s") == 4


looks = st.lists(
    st.tuples(st.floats(0.01, 200), st.integers(0, 64), st.none() | st.integers(1, 64)), max_size=30
)


@given(looks)
def test_held_and_idle_are_all_that_was_granted(seen: list[tuple[float, int, int | None]]) -> None:
    ledger, mono, vcpus, granted = HostLedger(64), 5.0, 1, 0.0
    ledger.start("w1", mono, vcpus)
    for span_s, then, request in seen:
        mono += span_s
        granted += vcpus * span_s
        ledger.see("w1", mono, 1e9 + mono, then, request)
        vcpus = then
    minutes = list(ledger.take())
    both = total(minutes, "held_core_s") + total(minutes, "idle_core_s")
    assert both == pytest.approx(granted, rel=1e-6, abs=1e-3)
    assert total(minutes, "span_s") == pytest.approx(mono - 5.0, rel=1e-6, abs=1e-3)


def minutes_of(world: World) -> list[LedgerMinute]:
    return [minute for batch in world.recorder.batches for minute in batch.ledger]


@in_virtual_time
async def test_leases_and_ledger_agree_whatever_the_worker_did() -> None:
    world = World("w1", "w2")
    world.load = 1.0
    await world.start()
    await world.run(40)
    world.load = 4.0
    await world.run(10)
    lease = world.loop.lease_on("w1")
    assert lease is not None
    world.loop.close(lease, now(), CloseReason.ENDED)
    await world.run(10)
    (kept,) = world.ledger.leases.values()
    minutes = minutes_of(world)
    held = total(minutes, "held_core_s")
    assert held == pytest.approx(kept.totals.held_core_s, rel=1e-9)
    assert total(minutes, "requested_core_s") == pytest.approx(4 * kept.totals.life_s)
    assert total(minutes, "idle_core_s") > 60, "w2 all the time, w1 before and after its job"
    assert total(minutes, "used_core_s") >= kept.totals.used_core_s


@in_virtual_time
async def test_seconds_after_a_jobs_processes_have_ended_are_idle() -> None:
    world = World()
    await world.start()
    await world.run(5)
    lease = world.loop.lease_on("w1")
    assert lease is not None
    world.loop.leave(lease)
    await world.run(10)
    world.loop.close(lease, now(), CloseReason.ENDED)
    await asyncio.sleep(0)  # the ledger goes with the next batch
    (kept,) = world.ledger.leases.values()
    assert total(minutes_of(world), "held_core_s") == pytest.approx(kept.totals.held_core_s)


@in_virtual_time
async def test_seconds_held_back_from_a_job_that_goes_on_are_its_own() -> None:
    world = World()
    await world.start()
    lease = world.loop.lease_on("w1")
    assert lease is not None
    world.loop.leave(lease)
    await world.run(10)
    world.loop.stay(lease)
    await world.run(5)
    world.loop.close(lease, now(), CloseReason.ENDED)
    await asyncio.sleep(0)  # the ledger goes with the next batch
    (kept,) = world.ledger.leases.values()
    minutes = minutes_of(world)
    assert total(minutes, "held_core_s") == pytest.approx(kept.totals.held_core_s)
    assert total(minutes, "requested_core_s") == pytest.approx(kept.totals.requested_core_s)
