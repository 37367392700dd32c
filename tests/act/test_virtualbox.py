"""The VirtualBox driver over a fake VBoxManage whose VMs are real processes."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from act.conformance import Bench, DriverConformance
from act.threads import Watched
from fakes.vbox.fake import FakeVirtualBox, FakeVm, Fault
from hotslot.act import virtualbox_answers
from hotslot.act.actuator import Actuator
from hotslot.act.virtualbox import VirtualBoxDriver, connect
from hotslot.errors import (
    ActionRefused,
    ActionTimedOut,
    DriverError,
    GuestRefused,
    GuestSilent,
    HotplugDisabled,
    OverCeiling,
    ServiceGone,
    VmGone,
)
from hotslot.measure.procfs import born_s
from hotslot.measure.vcpus import VcpuClock
from hotslot.model import Decision, Event, EventResult, Level

SCALE = 0.05
"""What takes VirtualBox 10 s takes the fake one 0.5 s."""
ACTIONS = ("plugcpu", "unplugcpu", "cpuexecutioncap")


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeVirtualBox]:
    monkeypatch.setattr(virtualbox_answers, "SILENT_S", virtualbox_answers.SILENT_S * SCALE)
    with FakeVirtualBox(tmp_path / "world", time_scale=SCALE) as box:
        yield box


@pytest.fixture
def vm(box: FakeVirtualBox) -> FakeVm:
    return box.add_vm("w1", 8)


@pytest.fixture
async def driver(box: FakeVirtualBox, vm: FakeVm) -> AsyncIterator[VirtualBoxDriver]:
    driver = connect({"command": list(box.command)})
    yield driver
    await driver.close()


def actions(box: FakeVirtualBox) -> list[tuple[str, ...]]:
    return [call.argv[2:] for call in box.calls if call.argv[2:3] and call.argv[2] in ACTIONS]


class TestTheVirtualBoxDriver(DriverConformance):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[Bench]:
        with FakeVirtualBox(tmp_path / "world", time_scale=0.005) as box:
            box.add_vm("w1", 4)
            driver = connect({"command": list(box.command)})

            async def kill() -> None:
                box.kill_vm("w1")

            yield Bench(driver, "w1", kill, lambda: len(actions(box)), cycles=3)
            await driver.close()


async def test_reading_a_vm_calls_virtualbox_once_and_never_again(
    box: FakeVirtualBox, driver: VirtualBoxDriver, vm: FakeVm
) -> None:
    before = len(box.calls)
    for _ in range(50):
        state = await driver.state("w1")
    assert (state.attached, state.max_vcpus, state.pid) == ({0}, 8, vm.pid)
    assert [call.argv for call in box.calls[before:]] == [("showvminfo", "w1", "--machinereadable")]


async def test_vcpus_are_plugged_one_at_a_time_upwards_and_unplugged_downwards(
    box: FakeVirtualBox, driver: VirtualBoxDriver
) -> None:
    await driver.plug("w1", {3, 1, 2})
    await driver.unplug("w1", {1, 3})
    told = [("plugcpu", "1"), ("plugcpu", "2"), ("plugcpu", "3")]
    assert actions(box) == [*told, ("unplugcpu", "3"), ("unplugcpu", "1")]


async def test_a_change_by_another_hand_is_seen_and_no_error(
    box: FakeVirtualBox, driver: VirtualBoxDriver
) -> None:
    await driver.state("w1")
    box.run("controlvm", "w1", "plugcpu", "2")
    assert (await driver.state("w1")).attached == {0, 2}


@pytest.mark.parametrize("fault", [Fault.WRAPPER, Fault.PROGRESS])
async def test_warnings_and_progress_are_no_errors(
    box: FakeVirtualBox, driver: VirtualBoxDriver, fault: Fault
) -> None:
    box.fault("w1", fault, times=-1)
    await driver.plug("w1", {1})
    assert (await driver.state("w1")).attached == {0, 1}


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault.NO_ADDITIONS, GuestRefused, "do its Guest Additions"),
        (Fault.DEAF, GuestSilent, "did not eject the CPU within"),
        (Fault.LATE_EJECT, GuestSilent, "it still may"),
        (Fault.SVC_GONE, ServiceGone, "VBoxSVC does not answer"),
    ],
)
async def test_an_unplug_that_fails_says_why(
    box: FakeVirtualBox,
    driver: VirtualBoxDriver,
    fault: Fault,
    error: type[DriverError],
    words: str,
) -> None:
    await driver.plug("w1", {1})
    box.fault("w1", fault, on="unplugcpu")
    with pytest.raises(error, match=words):
        await driver.unplug("w1", {1})


async def test_after_the_service_was_killed_the_vm_is_gone(
    box: FakeVirtualBox, driver: VirtualBoxDriver
) -> None:
    await driver.state("w1")
    box.fault("w1", Fault.SVC_GONE)
    with pytest.raises(ServiceGone):
        await driver.plug("w1", {1})
    with pytest.raises(VmGone, match="does not run"):
        await driver.state("w1")


@pytest.mark.parametrize("words", ["pause", "savestate", "poweroff"])
async def test_a_vm_that_someone_stops(
    box: FakeVirtualBox, driver: VirtualBoxDriver, words: str
) -> None:
    await driver.plug("w1", {1})
    box.run("controlvm", "w1", words)
    if words == "pause":
        assert (await driver.state("w1")).attached == {0, 1}
        with pytest.raises(ActionRefused, match="Invalid machine state: Paused"):
            await driver.plug("w1", {2})
    else:
        with pytest.raises(VmGone):
            await driver.state("w1")
        with pytest.raises(VmGone):
            await driver.plug("w1", {2})


async def test_a_restarted_vm_is_another_process(
    box: FakeVirtualBox, driver: VirtualBoxDriver, vm: FakeVm
) -> None:
    before = (await driver.state("w1")).pid
    box.kill_vm("w1")
    with pytest.raises(VmGone):
        await driver.state("w1")
    box.run("startvm", "w1", "--type", "headless")
    await asyncio.sleep(1.0)  # processes are listed once a second
    assert (await driver.state("w1")).pid == vm.pid != before


async def test_hot_plug_that_is_off_is_said_and_nothing_is_tried(
    box: FakeVirtualBox, driver: VirtualBoxDriver
) -> None:
    box.add_vm("w2", 4, hotplug=False)
    assert (await driver.state("w2")).attached == {0, 1, 2, 3}
    with pytest.raises(HotplugDisabled, match="hotslot workers repair"):
        await driver.unplug("w2", {3})
    assert actions(box) == []


async def test_a_vm_that_is_unknown_or_has_no_name(driver: VirtualBoxDriver) -> None:
    for name in ("nosuch", "", "-v", "a\nb", "--machinereadable"):
        with pytest.raises(VmGone):
            await driver.state(name)


async def test_a_settings_file_that_cannot_be_read_is_not_a_vm_that_is_gone(
    driver: VirtualBoxDriver, vm: FakeVm
) -> None:
    await driver.state("w1")
    text = vm.file.read_bytes()
    vm.file.write_bytes(text[: len(text) // 2])
    with pytest.raises(DriverError, match="no settings file of VirtualBox") as error:
        await driver.state("w1")
    assert not isinstance(error.value, VmGone)
    vm.file.write_bytes(text)
    assert (await driver.state("w1")).attached == {0}


async def test_a_call_that_hangs_is_killed_when_it_is_cancelled(
    box: FakeVirtualBox, driver: VirtualBoxDriver
) -> None:
    box.fault("w1", Fault.HANG, on="plugcpu")
    task = asyncio.create_task(driver.plug("w1", {1}))
    while not actions(box):
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    began = asyncio.get_running_loop().time()
    task.cancel()
    await asyncio.wait({task})
    assert asyncio.get_running_loop().time() - began < 0.2
    await driver.plug("w1", {1})
    assert (await driver.state("w1")).attached == {0, 1}


async def test_a_pipe_in_place_of_the_settings_file_stops_nothing(
    driver: VirtualBoxDriver, vm: FakeVm
) -> None:
    await driver.state("w1")
    vm.file.unlink()
    os.mkfifo(vm.file)
    with pytest.raises(DriverError, match="is no file"):
        await driver.state("w1")


async def test_garbage_is_not_believed(box: FakeVirtualBox, driver: VirtualBoxDriver) -> None:
    box.fault("w1", Fault.GARBAGE)
    with pytest.raises(DriverError, match="names no settings file"):
        await driver.state("w1")


async def test_of_two_on_one_vm_the_second_refuses(
    box: FakeVirtualBox, driver: VirtualBoxDriver
) -> None:
    await driver.claim("w1")
    second = connect({"command": list(box.command)})
    with pytest.raises(DriverError, match=f"another hotslot \\(process {os.getpid()}\\) sizes it"):
        await second.claim("w1")
    with pytest.raises(DriverError, match="another hotslot"):
        await second.plug("w1", {1})
    assert (await second.state("w1")).attached == {0}
    assert actions(box) == []
    await driver.close()
    await second.plug("w1", {1})
    await second.close()


async def test_a_guest_that_cannot_give_up_cpus_is_capped_if_the_site_wants_that(
    box: FakeVirtualBox,
) -> None:
    vm = box.add_vm("w3", 4, attached=(0, 1, 2, 3))
    driver = connect({"command": list(box.command), "execution_cap": True})
    box.fault("w3", Fault.NO_ADDITIONS, times=-1, on="unplugcpu")
    await driver.unplug("w3", {3})
    assert actions(box) == [("unplugcpu", "3"), ("cpuexecutioncap", "75")]
    state = await driver.state("w3")
    assert (state.attached, state.capped, vm.attached) == ({0, 1, 2}, True, {0, 1, 2, 3})
    await driver.unplug("w3", {1, 2})
    await driver.plug("w3", {1})
    assert actions(box)[2:] == [("cpuexecutioncap", "25"), ("cpuexecutioncap", "50")]
    await driver.plug("w3", {2, 3})
    state = await driver.state("w3")
    assert (state.attached, state.capped) == ({0, 1, 2, 3}, False)
    await driver.close()


async def test_a_check_says_what_to_do(box: FakeVirtualBox, driver: VirtualBoxDriver) -> None:
    box.add_vm("w2", 4, hotplug=False, running=False)
    found = await driver.check(["w1", "w2", "nosuch"])
    wrong = {(f.subject, f.found) for f in found if f.level is Level.WRONG}
    assert ("VM w2", "CPU hot-plug is off") in wrong
    assert any(subject == "VM nosuch" and "knows no such VM" in what for subject, what in wrong)
    assert all(f.remedy for f in found if f.level is not Level.OK)
    assert actions(box) == []


async def test_a_check_without_virtualbox() -> None:
    driver = connect({"command": ["/nonexistent/VBoxManage"]})
    (finding,) = await driver.check(["w1"])
    assert finding.level is Level.WRONG
    assert "/nonexistent/VBoxManage: No such file" in finding.found


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"comand": ["x"]}, "unknown key 'comand'; did you mean 'command'?"),
        ({"command": "sudo VBoxManage"}, "command should be a list of words"),
        ({"root": "chroot"}, "root should be the folder"),
        ({"execution_cap": "yes"}, "execution_cap should be true or false"),
    ],
)
def test_settings_that_are_wrong(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        connect(settings)


# --- with the actuator -------------------------------------------------------------------------


class Hand:
    """An actuator over the fake VM, that watches its threads."""

    def __init__(self, driver: VirtualBoxDriver, vm: FakeVm, deadline_s: float = 15.0) -> None:
        self.events: list[Event] = []
        self.clock = VcpuClock(vm.pid, born_s(vm.pid), driver.thread_name)
        self.actuator = Actuator(
            "w1",
            "w1",
            driver,
            threads=Watched(self.clock),
            on_event=self.events.append,
            slots=asyncio.Semaphore(4),
            deadline_s=deadline_s,
        )

    def want(self, to: int) -> None:
        held = self.actuator.granted or 1
        self.actuator.want(Decision("w1", 0.0, held, to, "test", 0.0), 1)

    async def reach(self, to: int, within_s: float = 20.0) -> Event:
        """Want this many vCPUs every 0.1 s until the VM has them and nothing is in doubt."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while True:
            self.want(to)
            await asyncio.sleep(0.1)
            last = self.events[-1] if self.events else None
            if last and self.actuator.granted == to and not self.actuator.busy:
                return last
            assert loop.time() < end, self.events


@pytest.fixture
async def hand(driver: VirtualBoxDriver, vm: FakeVm) -> AsyncIterator[Hand]:
    hand = Hand(driver, vm)
    yield hand
    await hand.actuator.close()
    hand.clock.close()


async def test_an_actuator_grows_and_shrinks_it(hand: Hand, vm: FakeVm) -> None:
    for target in (4, 2, 3, 1):
        event = await hand.reach(target)
        assert (event.got_vcpus, event.result) == (target, EventResult.APPLIED)
        assert vm.attached == vm.online == set(range(target))


async def test_a_plug_that_was_lost_is_told_done_with_another_vcpu_and_undone(
    box: FakeVirtualBox, hand: Hand, vm: FakeVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotslot.act.doubts.LOST_S", 1.0)
    monkeypatch.setattr("hotslot.act.virtualbox.START_S", 1.0)
    box.fault("w1", Fault.LOST_PLUG)
    hand.actuator._deadline_s = 4.0
    await hand.reach(3)
    lost, again, *_ = hand.events
    assert (lost.result, lost.from_vcpus, lost.got_vcpus) == (EventResult.PLUG_LOST, 1, 1)
    assert "vCPU 1 is plugged, but the guest has not started it" in lost.detail
    assert (again.result, again.from_vcpus, again.got_vcpus) == (EventResult.APPLIED, 1, 3)
    while vm.attached != vm.online or hand.actuator.busy:
        await hand.reach(3)
    assert vm.attached == {0, 2, 3}
    assert hand.events[-1].detail == "vCPU 1 in doubt taken back"


async def test_of_several_plugs_only_the_lost_one_is_not_counted(
    box: FakeVirtualBox, hand: Hand, vm: FakeVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotslot.act.doubts.LOST_S", 0.5)
    monkeypatch.setattr("hotslot.act.virtualbox.START_S", 1.0)
    box.fault("w1", Fault.LOST_PLUG, on="2")
    hand.want(4)
    assert await hand.actuator.settled(20)
    lost = hand.events[-1]
    assert (lost.result, lost.from_vcpus, lost.got_vcpus) == (EventResult.PLUG_LOST, 1, 2)
    assert vm.online == hand.actuator.attached == {0, 1}
    await hand.reach(4)
    assert vm.online == {0, 1, 3, 4}


async def test_a_lost_plug_that_cannot_be_undone_is_given_up_until_the_vm_starts_again(
    box: FakeVirtualBox, hand: Hand, vm: FakeVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotslot.act.doubts.LOST_S", 0.5)
    monkeypatch.setattr("hotslot.act.virtualbox.START_S", 0.5)
    box.fault("w1", Fault.STUCK_PLUG)
    await hand.reach(3)
    for _ in range(30):
        await hand.reach(3)
        if hand.events[-1].result is EventResult.GUEST_SILENT:
            break
    else:
        pytest.fail(str(hand.events))
    assert (hand.actuator.attached, vm.attached) == ({0, 2, 3}, {0, 1, 2, 3})
    hand.want(8)
    assert await hand.actuator.settled(20)
    assert (hand.events[-1].result, hand.events[-1].got_vcpus) == (EventResult.OVER_CEILING, 7)
    assert hand.events[-1].detail.startswith("1 of its vCPUs are lost until the VM is started")


async def test_a_late_ejection_is_cleared_by_the_second_unplug(
    box: FakeVirtualBox, hand: Hand, vm: FakeVm
) -> None:
    await hand.reach(2)
    box.fault("w1", Fault.LATE_EJECT)
    late = await hand.reach(1)
    assert [event.result for event in hand.events] == [
        EventResult.APPLIED,
        EventResult.GUEST_SILENT,
        EventResult.EJECTED_LATE,
    ]
    assert (late.got_vcpus, late.detail) == (1, "an earlier attempt had asked for vCPU 1 in vain")
    assert vm.attached == {0}


async def test_a_late_ejection_of_what_is_wanted_again_is_found_and_mended(
    box: FakeVirtualBox, hand: Hand, vm: FakeVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotslot.act.doubts.QUIET_S", 1.0)
    await hand.reach(2)
    box.fault("w1", Fault.LATE_EJECT)
    hand.want(1)
    assert await hand.actuator.settled(10)
    assert hand.events[-1].result is EventResult.GUEST_SILENT
    while vm.online != {0, 1} or len(hand.events) < 3:  # VirtualBox lists {0, 1} all the time
        hand.want(2)
        await asyncio.sleep(0.1)
    assert hand.events[-1].result is EventResult.APPLIED


async def test_what_somebody_else_did_is_an_event_of_its_own(
    box: FakeVirtualBox, hand: Hand, vm: FakeVm
) -> None:
    await hand.reach(2)
    box.run("controlvm", "w1", "plugcpu", "2")
    event = await hand.reach(3)
    assert (event.from_vcpus, event.got_vcpus, event.result) == (2, 3, EventResult.ALREADY_SO)


async def test_one_vcpu_more_than_there_are(hand: Hand) -> None:
    hand.want(9)
    assert await hand.actuator.settled(20)
    assert (hand.events[-1].result, hand.events[-1].got_vcpus) == (EventResult.OVER_CEILING, 8)


async def test_a_call_that_hangs_ends_the_attempt_in_time(
    box: FakeVirtualBox, driver: VirtualBoxDriver, vm: FakeVm
) -> None:
    hand = Hand(driver, vm, deadline_s=2.0)
    box.fault("w1", Fault.HANG, on="plugcpu")
    hand.want(2)
    assert await hand.actuator.settled(5)
    assert hand.events[-1].result is EventResult.TIMED_OUT
    assert hand.events[-1].took_s <= 2.1
    event = await hand.reach(2)
    assert event.result is EventResult.APPLIED
    await hand.actuator.close()
    hand.clock.close()


def test_errors_have_the_class_that_is_documented() -> None:
    assert issubclass(OverCeiling, ActionRefused)
    assert issubclass(GuestSilent, ActionTimedOut)
