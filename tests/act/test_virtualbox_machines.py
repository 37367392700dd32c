"""Making and keeping VirtualBox workers, over a fake VBoxManage."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fakes.vbox.fake import FakeVirtualBox, Fault
from hotslot.act.driver import NewMachine, Step, StepKind
from hotslot.act.machine_names import problem_of_known, problem_of_new
from hotslot.act.virtualbox import connect
from hotslot.act.virtualbox_machines import VirtualBoxMachines
from hotslot.errors import ActionRefused, ActionTimedOut, DriverError, MachineLocked, VmGone

DONE, ALREADY, ADVICE, LEFT = StepKind.DONE, StepKind.ALREADY, StepKind.ADVICE, StepKind.LEFT
CHANGES = {"modifyvm", "clonevm", "startvm", "unregistervm", "discardstate", "hostonlyif"}
W1 = NewMachine("w1", "tpl", 8, 4096)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[FakeVirtualBox]:
    with FakeVirtualBox(tmp_path / "world", time_scale=0.01) as box:
        yield box


@pytest.fixture
def machines(box: FakeVirtualBox) -> VirtualBoxMachines:
    return connect({"command": list(box.command)}).machines


async def taken(steps: AsyncIterator[Step]) -> list[tuple[StepKind, str]]:
    """Take all steps; those that only tell of a wait are left out."""
    return [(step.kind, step.words) async for step in steps if step.kind is not StepKind.WAITING]


def changes(box: FakeVirtualBox) -> list[str]:
    """Calls that change something, by their verb and what follows the VM's UUID."""
    return [" ".join(c.argv[:1] + c.argv[2:]) for c in box.calls if c.argv[0] in CHANGES]


async def test_a_worker_is_a_linked_clone_with_one_cpu_plugged(
    box: FakeVirtualBox, machines: VirtualBoxMachines
) -> None:
    box.add_vm("tpl", 2, hotplug=False, running=False)
    steps = await taken(machines.add(W1))
    assert (DONE, "is made, a linked clone of tpl") in steps
    assert (DONE, "made the host-only network vboxnet0; this host is 192.168.56.1") in steps
    vm = box.vm("w1")
    assert (vm.attached, vm.state) == ({0}, "poweroff")
    assert box.run("guestproperty", "get", "w1", "/hotslot/node").stdout == "Value: w1\n"
    shown = box.run("showvminfo", "w1", "--machinereadable").stdout
    for line in ("cpus=8", "memory=4096", 'nic1="hostonly"', 'defaultfrontend="headless"'):
        assert line in shown.splitlines()


async def test_a_worker_that_is_half_made_is_finished_and_then_left_alone(
    box: FakeVirtualBox, machines: VirtualBoxMachines
) -> None:
    box.add_vm("tpl", 2, running=False)
    box.fault("", Fault.LOCKED, on="modifyvm")
    with pytest.raises(MachineLocked):
        await taken(machines.add(W1))
    assert (ALREADY, "is there") in await taken(machines.add(W1))
    before = changes(box)
    assert {kind for kind, _ in await taken(machines.add(W1))} == {ALREADY, ADVICE}
    # The fake has no autostart database, and that is found out anew each time.
    assert changes(box)[len(before) :] == ["modifyvm --autostart-enabled on"]


async def test_a_vm_of_somebody_else_is_not_made_a_worker(
    box: FakeVirtualBox, machines: VirtualBoxMachines
) -> None:
    box.add_vm("w1", 2, running=False)
    with pytest.raises(ActionRefused, match="that hotslot has not made: take another name"):
        await taken(machines.add(W1))
    assert changes(box) == []


async def test_a_running_template_is_not_snapshotted(
    box: FakeVirtualBox, machines: VirtualBoxMachines
) -> None:
    box.add_vm("tpl")
    with pytest.raises(ActionRefused, match="tpl is running; its snapshot is taken while it is"):
        await taken(machines.add(W1))
    assert changes(box) == ["startvm --type headless"]


async def test_no_template_and_no_such_network_are_said(
    box: FakeVirtualBox, machines: VirtualBoxMachines
) -> None:
    with pytest.raises(VmGone, match="VM tpl: VirtualBox knows no such VM"):
        await taken(machines.add(W1))
    box.add_vm("tpl", 2, running=False)
    with pytest.raises(ActionRefused, match="no host-only network 'vboxnet7'; there is: none"):
        await taken(machines.add(NewMachine("w1", "tpl", 8, 4096, "vboxnet7")))
    box.fault("", Fault.NO_DRIVER, on="create")
    with pytest.raises(DriverError, match="none can be made: Failed to create the host-only"):
        await taken(machines.add(W1))


@pytest.mark.parametrize(
    "wanted", [NewMachine("w1", "w1", 4, 512), NewMachine("w1", "tpl", 34, 512)]
)
async def test_a_wish_that_cannot_be_is_refused_before_anything_is_done(
    box: FakeVirtualBox, machines: VirtualBoxMachines, wanted: NewMachine
) -> None:
    with pytest.raises(ActionRefused):
        await taken(machines.add(wanted))
    assert box.calls == []


@pytest.mark.parametrize(
    "name",
    ["", "-w", "--force", "a b", "w1\n", "../w1", "a/b", "a..b", "w.", "é", "w\x00", "w" * 64, "."],
)
async def test_a_hostile_name_never_reaches_vboxmanage(
    box: FakeVirtualBox, machines: VirtualBoxMachines, name: str
) -> None:
    assert problem_of_new(name)
    with pytest.raises(ActionRefused):
        await taken(machines.add(NewMachine(name, "tpl", 4, 512)))
    assert box.calls == []


@pytest.mark.parametrize("name", ["", "-w", "w1\n", "../w1", "..", "w\x00", "w" * 256])
async def test_what_is_no_name_is_no_vm(
    box: FakeVirtualBox, machines: VirtualBoxMachines, name: str
) -> None:
    assert problem_of_known(name)
    for steps in (machines.start(name), machines.repair(name)):
        with pytest.raises(VmGone):
            await taken(steps)
    assert box.calls == []


def test_names_that_are_fine() -> None:
    for name in ("w1", "h1-w01", "node.example.org", "A_b", "w" * 63):
        assert not problem_of_new(name)
    assert not problem_of_known("Debian 13 (template)")


async def test_a_worker_starts_once(box: FakeVirtualBox, machines: VirtualBoxMachines) -> None:
    box.add_vm("w1", running=False)
    ((kind, words),) = await taken(machines.start("w1"))
    assert kind is DONE
    assert words.startswith("runs, ")
    assert box.vm("w1").state == "running"
    assert await taken(machines.start("w1")) == [(ALREADY, "runs")]


async def test_a_host_without_the_kernel_driver_says_so(
    box: FakeVirtualBox, machines: VirtualBoxMachines
) -> None:
    box.add_vm("w1", running=False)
    box.fault("", Fault.NO_DRIVER)
    with pytest.raises(DriverError, match="modprobe vboxdrv"):
        await taken(machines.start("w1"))


async def test_a_start_that_nothing_came_of_is_no_success(
    box: FakeVirtualBox, machines: VirtualBoxMachines
) -> None:
    box.add_vm("w1", running=False)
    box.fault("", Fault.GARBAGE, on="startvm")
    with pytest.raises(DriverError, match="named no error, and the VM is poweroff"):
        await taken(machines.start("w1"))


async def test_a_guest_that_shuts_down_is_waited_for(
    box: FakeVirtualBox, machines: VirtualBoxMachines
) -> None:
    box.add_vm("w1")

    async def guest() -> None:
        while not any("acpipowerbutton" in call.argv for call in box.calls):
            await asyncio.sleep(0.02)
        await asyncio.to_thread(box.run, "controlvm", "w1", "poweroff")

    shutting = asyncio.create_task(guest())
    steps = await taken(machines.stop("w1", timeout_s=20, force=False))
    await shutting
    assert [kind for kind, _ in steps] == [DONE]
    assert steps[0][1].startswith("its guest has shut down in ")
    assert await taken(machines.stop("w1", timeout_s=20, force=False)) == [
        (ALREADY, "is off (poweroff)")
    ]


async def test_a_guest_that_does_not_shut_down_is_not_killed_unasked(
    box: FakeVirtualBox, machines: VirtualBoxMachines
) -> None:
    box.add_vm("w1")
    with pytest.raises(ActionTimedOut, match=r"within 0\.1 s of the power button; --force"):
        await taken(machines.stop("w1", timeout_s=0.1, force=False))
    assert box.vm("w1").state == "running"
    assert (await taken(machines.stop("w1", timeout_s=9, force=True)))[0][0] is DONE
    assert box.vm("w1").state == "poweroff"


async def test_a_paused_worker_is_resumed_to_be_stopped(
    box: FakeVirtualBox, machines: VirtualBoxMachines
) -> None:
    box.add_vm("w1")
    box.run("controlvm", "w1", "pause")
    with pytest.raises(ActionRefused, match="hotslot workers repair w1 resumes it"):
        await taken(machines.start("w1"))
    steps: list[Step] = []
    with contextlib.suppress(ActionTimedOut):
        async for step in machines.stop("w1", timeout_s=0.1, force=False):
            steps.append(step)
    assert steps[0].kind is DONE
    assert steps[0].words.startswith("resumed")


async def test_remove_takes_what_is_off_and_ours(
    box: FakeVirtualBox, machines: VirtualBoxMachines
) -> None:
    box.add_vm("tpl", 2, running=False)
    box.add_vm("other", running=False)
    await taken(machines.add(W1))
    with pytest.raises(ActionRefused, match="was not made by hotslot"):
        await taken(machines.remove("other", force=False))
    with pytest.raises(ActionRefused, match="is a template"):
        await taken(machines.remove("tpl", force=True))
    await taken(machines.start("w1"))
    with pytest.raises(ActionRefused, match="is running: hotslot workers stop w1, or --force"):
        await taken(machines.remove("w1", force=False))
    folder = box.vm("w1").file.parent
    assert (DONE, f"is deleted: {folder}") in await taken(machines.remove("w1", force=True))
    assert not folder.exists()
    assert await taken(machines.remove("w1", force=False)) == [
        (ALREADY, "VirtualBox knows no such VM")
    ]


async def test_a_worker_that_is_off_is_repaired(
    box: FakeVirtualBox, machines: VirtualBoxMachines
) -> None:
    box.add_vm("w1", 4, hotplug=False, running=False)
    box.run("modifyvm", "w1", "--cpu-execution-cap", "25")
    steps = await taken(machines.repair("w1"))
    assert [kind for kind, _ in steps] == [DONE, ALREADY, ALREADY, DONE, DONE, ADVICE]
    assert box.vm("w1").attached == {0}
    again = await taken(machines.repair("w1"))
    assert [kind for kind, _ in again] == [ALREADY] * 5 + [ADVICE]


async def test_a_saved_state_is_discarded_and_a_crash_is_told(
    box: FakeVirtualBox, machines: VirtualBoxMachines
) -> None:
    box.add_vm("w1")
    box.run("controlvm", "w1", "savestate")
    with pytest.raises(ActionRefused, match="hotslot workers repair w1 discards it"):
        await taken(machines.start("w1"))
    steps = await taken(machines.repair("w1"))
    assert steps[0] == (DONE, "its saved state is discarded: it will boot afresh")
    await taken(machines.start("w1"))
    box.kill_vm("w1")
    steps = await taken(machines.repair("w1"))
    assert steps[0] == (ALREADY, "is off; its process had crashed or was killed")


async def test_a_running_worker_is_resumed_and_the_rest_needs_a_stop(
    box: FakeVirtualBox, machines: VirtualBoxMachines
) -> None:
    box.add_vm("w1", 4, hotplug=False)
    box.run("controlvm", "w1", "pause")
    steps = await taken(machines.repair("w1"))
    assert steps[0] == (DONE, "is resumed: it was paused")
    assert steps[1][0] is LEFT
    assert "not so: CPU hot-plug is on; needs a stop: hotslot workers stop w1;" in steps[1][1]
    assert box.vm("w1").attached == {0, 1, 2, 3}


async def test_a_change_that_was_not_made_is_an_error(
    box: FakeVirtualBox, machines: VirtualBoxMachines
) -> None:
    box.add_vm("w1", 4, hotplug=False, running=False)
    box.fault("", Fault.GARBAGE, on="modifyvm")
    with pytest.raises(DriverError, match="--cpu-hotplug on named no error and changed nothing"):
        await taken(machines.repair("w1"))
