"""The actuator reaches what was wanted last, in time, and tells each attempt once."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from itertools import pairwise

import pytest

from act.rig import Rig, approx, decision, now, rig
from fakes.driver import FakeDriver, FakeVm, Fault
from fakes.virtual_time import in_virtual_time
from hotslot.act.actuator import Actuator
from hotslot.errors import ActionTimedOut, DriverError, VmGone
from hotslot.model import Event, EventResult


@in_virtual_time
async def test_a_worker_grows_by_the_lowest_free_vcpus() -> None:
    it = rig()
    it.vm.attached = {0, 2}
    await it.reach(4)
    assert it.vm.attached == {0, 1, 2, 3}
    assert (it.last.from_vcpus, it.last.to_vcpus, it.last.got_vcpus) == (2, 4, 4)
    assert it.last.result is EventResult.APPLIED
    assert it.last.detail == ""


@in_virtual_time
async def test_a_worker_shrinks_by_the_highest_vcpus_and_never_loses_vcpu_0() -> None:
    it = rig()
    it.vm.attached = {0, 1, 5}
    await it.reach(2)
    assert it.vm.attached == {0, 1}
    await it.reach(0)
    assert it.vm.attached == {0}
    assert it.last.result is EventResult.REFUSED
    assert it.last.detail == "a VM keeps at least one vCPU; 1 vCPU attached"


@in_virtual_time
async def test_an_equal_target_is_no_attempt() -> None:
    it = rig()
    await it.hold(1, 10)
    assert it.events == []
    assert it.driver.calls == []
    assert it.actuator.granted == 1


@in_virtual_time
async def test_before_the_first_look_nothing_is_known() -> None:
    it = rig()
    actuator = it.actuator
    assert (actuator.attached, actuator.granted, actuator.pid) == (None, None, None)
    assert (await actuator.refresh()).attached == {0}
    assert (actuator.attached, actuator.granted, actuator.pid) == ({0}, 1, 4711)
    assert actuator.changed_at is None


@in_virtual_time
async def test_an_event_carries_the_decision_the_lease_and_the_parts_of_the_time() -> None:
    it = rig(Fault.SLOW)
    it.vm.online_s = 0.5
    begun = now()
    await it.reach(4)
    event = it.last
    assert event == it.actuator.last_event
    assert (event.worker, event.lease_id, event.reason) == ("w1", 7, "wants 4")
    assert (event.at, event.detected_at) == approx((begun, begun - 1))
    assert event.command_s == approx(3.0)
    assert event.online_s == pytest.approx(0.5, abs=0.06)
    assert event.took_s == approx(event.command_s + (event.online_s or 0))


class Sluggish(FakeDriver):
    """Hides what its guests have, and each plug takes a second."""

    hides = True

    async def plug(self, vm: str, vcpus: Collection[int]) -> None:
        await asyncio.sleep(1)
        await super().plug(vm, vcpus)


@in_virtual_time
async def test_a_growth_that_takes_longer_than_an_attempt_loses_nothing_of_it() -> None:
    it = rig(driver=Sluggish(w1=FakeVm(max_vcpus=16)))
    seen: list[int] = []
    for _ in range(40):
        it.want(16)
        await asyncio.sleep(1)
        seen.append(it.actuator.granted or 0)
    assert it.vm.attached == set(range(16))
    assert seen == sorted(seen)
    assert seen[4] >= 4, "what is there counts at once"
    assert [event.result for event in it.events] == [EventResult.TIMED_OUT, EventResult.APPLIED]
    assert {what for what, _, _ in it.driver.calls} == {"plug"}


@in_virtual_time
async def test_a_shrink_has_no_time_to_online() -> None:
    it = rig()
    it.vm.attached = {0, 1}
    await it.reach(1)
    assert it.last.online_s is None


@in_virtual_time
async def test_more_than_the_vm_can_have_is_clipped_said_once_and_not_hammered() -> None:
    it = rig()
    it.vm.max_vcpus = 4
    await it.hold(9, 300)
    assert it.vm.attached == {0, 1, 2, 3}
    assert len(it.events) == 1
    assert it.last.result is EventResult.OVER_CEILING
    words = "the VM was built for at most 4 vCPUs, 9 were wanted; 4 vCPUs attached"
    assert it.last.detail == words


@pytest.mark.parametrize(
    ("fault", "result", "words"),
    [
        (Fault.REFUSE, EventResult.REFUSED, "the guest said no; 1 vCPU attached"),
        (Fault.TIME_OUT, EventResult.TIMED_OUT, "the guest did not react; 1 vCPU attached"),
        (
            Fault.LIE,
            EventResult.FAILED,
            "the hypervisor reported success, but has 1 vCPU attached",
        ),
        (
            Fault.HALF,
            EventResult.FAILED,
            "the hypervisor reported success, but has 2 vCPUs attached",
        ),
        (
            Fault.DEAF,
            EventResult.TIMED_OUT,
            "4 vCPUs attached, but vCPUs 1, 2, 3 not seen running in time",
        ),
        (
            Fault.BREAK,
            EventResult.FAILED,
            "driver fake failed: ZeroDivisionError: a bug; 1 vCPU attached",
        ),
        (Fault.LOSE, EventResult.VM_GONE, "does not run"),
    ],
)
def test_each_failure_has_its_result_and_words(
    fault: Fault, result: EventResult, words: str
) -> None:
    @in_virtual_time
    async def check() -> None:
        it = rig(fault)
        await it.reach(4)
        assert [(e.result, e.detail) for e in it.events] == [(result, words)]
        assert it.last.got_vcpus == (len(it.vm.attached) if it.vm.alive else 0)
        assert it.last.took_s <= 15

    check()


@in_virtual_time
async def test_a_command_that_failed_but_worked_is_applied_because_that_was_read_back() -> None:
    it = rig()
    it.vm.attached = {0, 1, 2, 3}
    unplug = it.driver.unplug

    async def complain(vm: str, vcpus: frozenset[int]) -> None:
        await unplug(vm, vcpus)
        raise ActionTimedOut(vm, "the guest did not react")

    it.driver.unplug = complain  # type: ignore[assignment, method-assign]
    await it.reach(2)
    assert it.last.result is EventResult.APPLIED
    assert it.last.detail == "in spite of: the guest did not react"


@in_virtual_time
async def test_after_failures_it_waits_1_2_4_up_to_60_seconds() -> None:
    it = rig(*[Fault.REFUSE] * 100)
    await it.hold(4, 400)
    starts = [event.at for event in it.events]
    pauses = [b - a for a, b in pairwise(starts)]
    waits = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]
    beat = 1.01
    assert all(wait <= pause <= wait + beat for wait, pause in zip(waits, pauses, strict=True))


@in_virtual_time
async def test_success_ends_the_back_off() -> None:
    it = rig(*[Fault.REFUSE] * 5)
    await it.hold(4, 60)
    assert it.last.result is EventResult.APPLIED
    it.vm.faults.append(Fault.REFUSE)
    await it.hold(6, 5)
    assert [e.result for e in it.events[-2:]] == [EventResult.REFUSED, EventResult.APPLIED]


@in_virtual_time
async def test_a_target_in_the_other_direction_does_not_wait_for_the_back_off() -> None:
    it = rig(*[Fault.REFUSE] * 6)
    it.vm.attached = {0, 1}
    await it.hold(4, 40)
    before = now()
    it.vm.faults.clear()
    await it.reach(1)
    assert (it.vm.attached, now() - before < 1) == ({0}, True)


@in_virtual_time
async def test_a_new_job_does_not_wait_for_what_failed_before_it() -> None:
    it = rig(*[Fault.REFUSE] * 6)
    await it.hold(4, 40, lease_id=7)
    it.vm.faults.clear()
    it.want(4, lease_id=8)
    await it.actuator.settled(5)
    assert len(it.vm.attached) == 4
    assert it.last.lease_id == 8


@in_virtual_time
async def test_a_restarted_vm_does_not_wait_for_what_failed_before_it() -> None:
    it = rig(*[Fault.REFUSE] * 6)
    await it.hold(4, 40)
    it.vm.faults.clear()
    it.vm.pid += 1
    await it.actuator.refresh()
    await it.reach(4)
    assert it.last.result is EventResult.APPLIED


@in_virtual_time
async def test_the_newest_target_is_taken_up_after_the_running_action() -> None:
    it = rig(Fault.SLOW)
    it.want(4)
    await asyncio.sleep(1)
    for target in (3, 5, 2):
        it.want(target)
    assert it.actuator.busy
    assert await it.actuator.settled(10)
    assert [(e.to_vcpus, e.got_vcpus) for e in it.events] == [(4, 4), (2, 2)]
    assert it.vm.attached == {0, 1}


@in_virtual_time
async def test_growth_does_not_wait_for_a_guest_that_is_slow_to_start_a_vcpu() -> None:
    it = rig()
    it.vm.online_s = 8
    it.want(2)
    await asyncio.sleep(1)
    it.want(4)
    await asyncio.sleep(0.2)
    assert it.vm.attached == {0, 1, 2, 3}
    assert it.last.result is EventResult.TIMED_OUT
    assert it.last.detail == (
        "cut short by a newer target: 2 vCPUs attached, vCPU 1 not yet seen running"
    )
    assert await it.actuator.settled(15)
    assert it.last.result is EventResult.APPLIED


@in_virtual_time
async def test_applied_means_that_also_vcpus_of_an_attempt_cut_short_run() -> None:
    it = rig(Fault.DEAF)
    it.want(2)
    await asyncio.sleep(1)
    await it.reach(3)
    assert it.last.result is EventResult.TIMED_OUT
    assert it.last.detail == "3 vCPUs attached, but vCPU 1 not seen running in time"


@in_virtual_time
async def test_a_shrink_that_became_a_growth_does_not_wait_for_an_unwilling_guest() -> None:
    it = rig(Fault.HANG)
    it.vm.attached = {0, 1, 2, 3}
    it.driver.cancellable = True
    await it.actuator.refresh()
    it.want(1)
    await asyncio.sleep(1)
    begun = now()
    await it.hold(6, 3)
    assert len(it.vm.attached) == 6
    assert it.events[0].result is EventResult.TIMED_OUT
    assert it.events[0].detail == "cut short by a newer target: 4 vCPUs attached"
    assert it.events[0].at + it.events[0].took_s < begun + 1.5
    assert it.last.result is EventResult.APPLIED


@in_virtual_time
async def test_a_shrink_that_should_go_further_is_left_to_end() -> None:
    it = rig(Fault.SLOW)
    it.vm.attached = {0, 1, 2, 3}
    await it.actuator.refresh()
    it.want(3)
    await asyncio.sleep(1)
    it.want(1)
    assert await it.actuator.settled(10)
    assert [(e.to_vcpus, e.result) for e in it.events] == [
        (3, EventResult.APPLIED),
        (1, EventResult.APPLIED),
    ]


@in_virtual_time
async def test_what_a_slow_guest_ejects_late_is_noticed_and_put_right() -> None:
    it = rig(Fault.LATE)
    it.vm.attached = {0, 1, 2, 3}
    await it.actuator.refresh()
    await it.hold(1, 1)
    await it.hold(4, 15)
    assert it.events[0].result is EventResult.TIMED_OUT
    assert it.events[0].got_vcpus == 4
    assert it.vm.attached == {0, 1, 2, 3}
    assert it.actuator.granted == 4
    assert (it.last.from_vcpus, it.last.result) == (1, EventResult.APPLIED)


@in_virtual_time
async def test_a_change_behind_its_back_is_noticed_by_a_refresh_and_put_right() -> None:
    it = rig()
    await it.reach(4)
    it.vm.attached = {0, 1}
    await asyncio.sleep(100)
    seen_at = now()
    await it.actuator.refresh()
    assert it.actuator.granted == 2
    assert it.actuator.changed_at == approx(seen_at)
    await it.reach(4)
    assert it.vm.attached == {0, 1, 2, 3}


@in_virtual_time
async def test_a_vm_that_is_gone_is_said_and_not_hammered_and_found_again() -> None:
    it = rig()
    await it.reach(4)
    it.vm.alive = False
    await it.hold(2, 30)
    assert {e.result for e in it.events[1:]} == {EventResult.VM_GONE}
    assert len(it.events) == 6
    assert (it.last.got_vcpus, it.actuator.granted, it.actuator.pid) == (0, None, None)
    with pytest.raises(VmGone):
        await it.actuator.refresh()
    it.vm.alive, it.vm.attached, it.vm.pid = True, {0}, 5000
    await it.actuator.refresh()
    await it.reach(2)
    assert it.vm.attached == {0, 1}


@in_virtual_time
async def test_an_unreadable_vm_is_left_as_it_is() -> None:
    it = rig()
    await it.reach(2)
    it.vm.unreadable = True
    await it.reach(4)
    assert it.driver.calls == [("plug", "w1", frozenset({1}))]
    assert it.last.result is EventResult.FAILED
    assert it.last.detail == "the VM could not be read: its state cannot be read"
    assert (it.last.from_vcpus, it.last.got_vcpus, it.actuator.granted) == (2, 2, 2)
    with pytest.raises(DriverError, match="cannot be read"):
        await it.actuator.refresh()


@in_virtual_time
async def test_settled_tells_an_end_from_no_end() -> None:
    it = rig(Fault.SLOW, Fault.REFUSE)
    assert await it.actuator.settled(0.1)
    it.want(4)
    assert not await it.actuator.settled(1)
    assert await it.actuator.settled(5)
    it.want(6)
    assert await it.actuator.settled(5)
    assert it.last.result is EventResult.REFUSED
    it.want(6)
    assert await it.actuator.settled(0.1)


@in_virtual_time
async def test_the_end_of_waiting_comes_with_the_end_of_the_attempt() -> None:
    it = rig(Fault.SLOW)
    it.vm.online_s = 0
    begun = now()
    await it.reach(4)
    assert now() - begun == approx(3)


@in_virtual_time
async def test_closing_in_the_middle_of_an_action_tells_its_event_and_leaves_no_task() -> None:
    it = rig(Fault.SLOW)
    it.want(4)
    await asyncio.sleep(1)
    await it.actuator.close()
    assert [(e.result, e.detail) for e in it.events] == [
        (EventResult.FAILED, "hotslot was stopped during it")
    ]
    assert asyncio.all_tasks() == {asyncio.current_task()}
    it.want(2)
    await asyncio.sleep(60)
    assert len(it.events) == 1


@in_virtual_time
async def test_closing_before_an_action_tells_nothing() -> None:
    it = rig(slots=asyncio.Semaphore(0))
    it.want(4)
    await asyncio.sleep(1)
    await it.actuator.close()
    assert it.events == []


@in_virtual_time
async def test_an_event_that_nobody_can_take_stops_no_later_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(event: Event) -> None:
        raise OSError("disk full")

    driver = FakeDriver(w1=FakeVm())
    actuator = Actuator(
        "w1", "w1", driver, threads=driver, on_event=full, slots=asyncio.Semaphore(1), monotonic=now
    )
    it = Rig(driver, actuator)
    await it.reach(2)
    await it.reach(3)
    assert it.vm.attached == {0, 1, 2}
    assert "disk full" in caplog.text


@in_virtual_time
async def test_a_broken_look_at_the_guest_ends_the_attempt_as_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(pid: int, vcpus: frozenset[int]) -> frozenset[int]:
        raise KeyError("no such pid")

    it = rig(ran=broken)
    await it.reach(2)
    assert it.last.result is EventResult.FAILED
    assert (it.last.got_vcpus, it.last.detail) == (2, "KeyError: 'no such pid'")


@in_virtual_time
async def test_wanting_never_waits() -> None:
    it = rig(Fault.HANG)
    begun = now()
    for target in range(1, 9):
        it.want(target)
    assert now() == begun
    assert decision(3).to_vcpus == 3
    it.driver.let_go()
    await it.actuator.close()
