"""A driver that hangs keeps its own worker, no other, and no attempt past its deadline."""

from __future__ import annotations

import asyncio

import pytest

from act.rig import Rig, approx, now, rig
from fakes.driver import FakeDriver, FakeVm, Fault
from fakes.virtual_time import in_virtual_time
from hotslot.act.slot import HELD_S
from hotslot.errors import ActionTimedOut
from hotslot.model import EventResult


def workers(number: int, slots: int) -> list[Rig]:
    """So many workers of one host with so many places for actions at once."""
    names = [f"w{i}" for i in range(1, number + 1)]
    driver = FakeDriver(**{name: FakeVm(pid=100 + i) for i, name in enumerate(names)})
    places = asyncio.Semaphore(slots)
    return [rig(driver=driver, worker=name, slots=places) for name in names]


@in_virtual_time
async def test_a_call_that_cannot_be_cancelled_ends_its_attempt_in_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = rig(Fault.HANG)
    begun = now()
    await it.hold(4, 16)
    assert [(e.result, e.got_vcpus) for e in it.events] == [(EventResult.TIMED_OUT, 1)]
    assert it.last.detail == "no answer to plug within 12.8 s; 1 vCPU attached"
    assert it.last.at + it.last.took_s <= begun + 15
    assert it.actuator.stuck
    it.driver.let_go()
    await asyncio.sleep(0.1)


@in_virtual_time
async def test_a_stuck_worker_is_left_alone_said_once_and_resumed_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = rig(Fault.HANG)
    await it.hold(4, 300)
    assert len(it.driver.calls) == 1
    assert len(it.events) == 1
    assert caplog.text.count("hangs") == 1
    it.driver.let_go()
    await it.hold(2, 5)
    assert not it.actuator.stuck
    assert it.vm.attached == {0, 1}
    assert it.last.result is EventResult.APPLIED


@in_virtual_time
async def test_what_a_hanging_call_does_in_the_end_is_noticed() -> None:
    it = rig(Fault.HANG)
    await it.hold(4, 20)
    await it.hold(1, 20)
    it.driver.let_go()
    await it.hold(1, 5)
    assert it.vm.attached == {0}
    assert (it.last.from_vcpus, it.last.to_vcpus, it.last.got_vcpus) == (4, 1, 1)


@in_virtual_time
async def test_a_look_that_hangs_ends_in_time_and_is_not_piled_up() -> None:
    it = rig(deadline_s=3.0)
    it.vm.mute = True
    with pytest.raises(ActionTimedOut, match=r"no answer to state within 3\.0 s"):
        await it.actuator.refresh()
    with pytest.raises(ActionTimedOut, match="an earlier look"):
        await it.actuator.refresh()
    it.want(4)
    assert not it.actuator.busy
    it.vm.mute = False
    it.driver.let_go()
    await asyncio.sleep(0.1)
    await it.reach(4)


@in_virtual_time
async def test_an_attempt_whose_looks_hang_ends_in_time() -> None:
    it = rig()
    await it.actuator.refresh()
    it.vm.mute = True
    await it.reach(4)
    assert it.last.result is EventResult.TIMED_OUT
    assert it.last.took_s <= 15
    it.driver.let_go()
    await asyncio.sleep(0.1)


@in_virtual_time
async def test_an_action_and_its_reading_back_that_both_hang_end_in_time() -> None:
    it = rig(Fault.HANG)
    it.want(4)
    await asyncio.sleep(1)
    it.vm.mute = True
    assert await it.actuator.settled(30)
    assert it.last.took_s <= 15
    assert it.last.got_vcpus == 1
    assert it.last.detail == (
        "no answer to plug within 12.8 s; then the VM could not be read: "
        "no answer to state within 2.0 s"
    )
    it.vm.mute = False
    it.driver.let_go()
    await asyncio.sleep(0.1)


@pytest.mark.parametrize("slots", [1, 4])
def test_one_hanging_worker_delays_no_other_by_more_than_a_second(slots: int) -> None:
    @in_virtual_time
    async def check() -> None:
        hanging, *others = workers(10, slots)
        hanging.vm.faults.append(Fault.HANG)
        begun = now()
        for each in (hanging, *others):
            each.want(4)
        for each in others:
            assert await each.actuator.settled(15)
            ended = each.last.at + each.last.took_s
            assert each.last.result is EventResult.APPLIED
            assert ended - begun <= each.vm.online_s + 0.1 + HELD_S
        hanging.driver.let_go()
        await hanging.actuator.close()

    check()


@in_virtual_time
async def test_places_limit_the_actions_at_once() -> None:
    them = workers(6, 2)
    for each in them:
        each.vm.faults.append(Fault.BRIEF)
        each.want(2)
    await asyncio.sleep(0.45)
    assert [len(each.vm.attached) for each in them] == [2, 2, 1, 1, 1, 1]
    for each in them:
        assert await each.actuator.settled(15)
        assert each.last.result is EventResult.APPLIED


@in_virtual_time
async def test_waiting_for_a_place_has_an_end_and_says_so() -> None:
    it = rig(slots=asyncio.Semaphore(0))
    await it.actuator.refresh()
    await it.reach(4)
    assert it.last.result is EventResult.TIMED_OUT
    assert it.last.detail == "no place for one more action on this host within 7.4 s"
    assert (it.last.got_vcpus, it.driver.calls) == (1, [])


@in_virtual_time
async def test_an_attempt_that_waited_for_a_place_serves_the_newest_target() -> None:
    places = asyncio.Semaphore(0)
    it = rig(slots=places)
    it.want(8, lease_id=1)
    await asyncio.sleep(2)
    it.want(2, lease_id=2)
    places.release()
    assert await it.actuator.settled(15)
    assert [(e.to_vcpus, e.lease_id, e.got_vcpus) for e in it.events] == [(2, 2, 2)]
    assert it.last.command_s == approx(2)


@in_virtual_time
async def test_every_place_is_given_back_however_an_attempt_ends() -> None:
    places = asyncio.Semaphore(2)
    faults = [fault for fault in Fault if fault is not Fault.LOSE]
    it = rig(*faults, slots=places)
    for target in range(40):
        await it.hold(2 + target % 5, 20)
        it.driver.let_go()
    assert not it.vm.faults
    assert places._value == 2
