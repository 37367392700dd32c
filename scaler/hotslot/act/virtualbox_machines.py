"""Making, keeping and removing VirtualBox workers: linked clones of a template.

Each step reads, acts if it must, and reads back: VBoxManage's exit code is 0 also when nothing came
of a call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import PurePosixPath

from hotslot.act.driver import NewMachine, Step, StepKind
from hotslot.act.judge import words
from hotslot.act.machine_names import problem_of_new
from hotslot.act.virtualbox_command import VBoxManage
from hotslot.act.virtualbox_look import NODE_PROPERTY, OFF, SAVED, Asking, Look, PidOf, SettingsOf
from hotslot.act.virtualbox_power import start, stop
from hotslot.act.virtualbox_setup import (
    AUTOSTART,
    HEADLESS,
    HOT_PLUGGED,
    HOTPLUG,
    IOAPIC,
    NO_CAP,
    ONE_CPU,
    PARAVIRT,
    applied,
    connected,
    memory,
    possible,
)
from hotslot.errors import ActionRefused, DriverError

SNAPSHOT = "hotslot-base"
MOST_VCPUS = 33
"""``controlvm plugcpu`` takes indexes 1 to 32 and acts on CPU 0 for others (7.2)."""
CLONE_S = 300.0
"""Clones and snapshots take 0.1 s where they are linked; a host busy with disks takes longer."""
DELETE_S = 120.0


class VirtualBoxMachines:
    """VMs of one user of VirtualBox."""

    def __init__(self, manage: VBoxManage, settings_of: SettingsOf, pid_of: PidOf) -> None:
        self._asking = Asking(manage, settings_of, pid_of)

    async def add(self, wanted: NewMachine) -> AsyncIterator[Step]:
        """Clone a template, ready for hot-plug; a worker that is there is made to fit."""
        vm = wanted.name
        if problem := problem_of_new(vm):
            raise ActionRefused(vm[:80], problem)
        if not 1 <= wanted.vcpus <= MOST_VCPUS:
            what = f"VirtualBox can plug 1 to {MOST_VCPUS} vCPUs while a VM runs"
            raise ActionRefused(vm, f"{what}, not {wanted.vcpus}")
        if vm == wanted.template:
            raise ActionRefused(vm, "is the template itself: a worker is a clone of it")
        if await self._asking.exists(vm):
            if await self._asking.node_of(vm) != vm:
                what = "a VM of this name is there that hotslot has not made: take another name"
                raise ActionRefused(vm, f"{what}, or make it fit: hotslot workers repair {vm}")
            yield Step(StepKind.ALREADY, "is there")
        else:
            async for step in self._cloned(vm, wanted.template):
                yield step
        look = await self._asking.look(vm)
        if not look.off:
            what = f"is {look.state}: its settings can be changed only when it is off"
            raise ActionRefused(vm, f"{what}: hotslot workers stop {vm}")
        yield await self._named(vm)
        network, steps = await self._network(wanted)
        for step in steps:
            yield step
        settings = (
            *(HOTPLUG, ONE_CPU, possible(wanted.vcpus), IOAPIC, PARAVIRT, NO_CAP),
            *(memory(wanted.memory_mib), connected(network), HEADLESS, AUTOSTART),
        )
        async for step in applied(self._asking, vm, settings):
            yield step

    async def remove(self, vm: str, *, force: bool) -> AsyncIterator[Step]:
        """Delete a VM with its disks; a running one, or one that hotslot has not made, by force."""
        if not await self._asking.exists(vm):
            yield Step(StepKind.ALREADY, "VirtualBox knows no such VM")
            return
        told = await self._asking.told(vm)
        state = told.get("VMState", "unknown")
        if SNAPSHOT in await self._asking.snapshots(vm):
            what = f"is a template (snapshot {SNAPSHOT}): its clones are lost without its disk"
            raise ActionRefused(vm, f"{what}; VBoxManage unregistervm, if you are sure")
        if not force and await self._asking.node_of(vm) != vm:
            what = "was not made by hotslot (guest property /hotslot/node): --force deletes it"
            raise ActionRefused(vm, what)
        if state not in OFF | SAVED:
            if not force:
                raise ActionRefused(vm, f"is {state}: hotslot workers stop {vm}, or --force")
            async for step in stop(self._asking, vm, 0, force=True):
                yield step
        yield Step(StepKind.WAITING, "deleting it")
        uuid = told.get("UUID", vm)
        await self._asking.call(vm, "unregistervm", uuid, "--delete", limit_s=DELETE_S)
        if await self._asking.exists(vm):
            raise DriverError(vm, "VBoxManage unregistervm named no error, and the VM is there")
        yield Step(StepKind.DONE, f"is deleted: {_what_was(told)}")

    def start(self, vm: str) -> AsyncIterator[Step]:
        """Start a VM and wait until its process is there and it runs."""
        return start(self._asking, vm)

    def stop(self, vm: str, *, timeout_s: float, force: bool) -> AsyncIterator[Step]:
        """Press the power button and wait, or switch it off."""
        return stop(self._asking, vm, timeout_s, force)

    async def repair(self, vm: str) -> AsyncIterator[Step]:
        """Mend what stops hot-plug, or say what needs a stop."""
        look = await self._asking.look(vm)
        uuid = str(look.settings.uuid)
        if look.state in SAVED:
            await self._asking.call(vm, "discardstate", uuid)
            look = await self._asking.look(vm)
            if look.state in SAVED:
                raise DriverError(vm, "VBoxManage discardstate named no error; the state is there")
            yield Step(StepKind.DONE, "its saved state is discarded: it will boot afresh")
        elif look.state == "aborted":
            yield Step(StepKind.ALREADY, "is off; its process had crashed or was killed")
        elif look.state == "paused":
            await self._asking.call(vm, "controlvm", uuid, "resume")
            look = await self._asking.look(vm)
            if look.state == "paused":
                raise DriverError(vm, "VBoxManage controlvm resume named no error; it is paused")
            yield Step(StepKind.DONE, "is resumed: it was paused")
        if look.off:
            async for step in applied(self._asking, vm, (*HOT_PLUGGED, AUTOSTART)):
                yield step
        else:
            for step in _left(vm, look):
                yield step

    async def _cloned(self, vm: str, template: str) -> AsyncIterator[Step]:
        base = await self._asking.told(template)
        if SNAPSHOT in await self._asking.snapshots(template):
            yield Step(StepKind.ALREADY, f"{template} has the snapshot {SNAPSHOT}")
        else:
            state = base.get("VMState", "unknown")
            if state not in OFF:
                what = f"the template {template} is {state}; its snapshot is taken while it is off"
                raise ActionRefused(vm, f"{what}: VBoxManage controlvm {template} acpipowerbutton")
            yield Step(StepKind.WAITING, f"taking the snapshot {SNAPSHOT} of {template}")
            take = ("snapshot", base.get("UUID", template), "take", SNAPSHOT)
            await self._asking.call(template, *take, limit_s=CLONE_S)
            if SNAPSHOT not in await self._asking.snapshots(template):
                raise DriverError(template, f"VBoxManage took no snapshot {SNAPSHOT}")
            yield Step(StepKind.DONE, f"{template} has the snapshot {SNAPSHOT}")
        yield Step(StepKind.WAITING, f"cloning {template}")
        clone = ("clonevm", base.get("UUID", template), "--snapshot", SNAPSHOT)
        options = ("--options", "link", "--name", vm, "--register")
        await self._asking.call(vm, *clone, *options, limit_s=CLONE_S)
        if not await self._asking.exists(vm):
            raise DriverError(
                vm, f"VBoxManage clonevm of {template} named no error; no VM is there"
            )
        yield Step(StepKind.DONE, f"is made, a linked clone of {template}")

    async def _network(self, wanted: NewMachine) -> tuple[str, list[Step]]:
        """Return the host-only network to use, and what was done for it."""
        there = await self._asking.networks(wanted.name)
        if wanted.network:
            if wanted.network not in there:
                known = ", ".join(there) or "none; without --network one is made"
                what = f"there is no host-only network {wanted.network[:80]!r}; there is: {known}"
                raise ActionRefused(wanted.name, what)
            return wanted.network, []
        if len(there) > 1:
            what = f"which host-only network? give --network, one of {', '.join(there)}"
            raise ActionRefused(wanted.name, what)
        if there:
            return next(iter(there)), []
        try:
            await self._asking.call(wanted.name, "hostonlyif", "create")
        except DriverError as error:
            what = f"there is no host-only network, and none can be made: {words(error)}"
            raise DriverError(wanted.name, f"{what}; see `hotslot check`") from error
        made = await self._asking.networks(wanted.name)
        if not made:
            raise DriverError(wanted.name, "VBoxManage hostonlyif create made no network")
        name, address = next(iter(made.items()))
        done = f"made the host-only network {name}; this host is {address or 'without address'}"
        advice = f"agent.listen of hotslot.yaml is to be {address or 'ADDRESS'}:8765"
        return name, [Step(StepKind.DONE, done), Step(StepKind.ADVICE, advice)]

    async def _named(self, vm: str) -> Step:
        named = f"its image will call itself {vm} (guest property {NODE_PROPERTY})"
        if await self._asking.node_of(vm) == vm:
            return Step(StepKind.ALREADY, named)
        # The guest reads it; a job in it, even as root, does not change it.
        flags = ("--flags", "RDONLYGUEST")
        await self._asking.call(vm, "guestproperty", "set", vm, NODE_PROPERTY, vm, *flags)
        if await self._asking.node_of(vm) != vm:
            raise DriverError(vm, f"VBoxManage guestproperty set {NODE_PROPERTY} set nothing")
        return Step(StepKind.DONE, named)


def _left(vm: str, look: Look) -> list[Step]:
    """What is not well with a VM that is not off, and cannot be changed now."""
    again = f"hotslot workers stop {vm}; hotslot workers repair {vm}; hotslot workers start {vm}"
    if look.state != "running":
        return [Step(StepKind.LEFT, f"is {look.state}; if it stays so: {again} (stop --force)")]
    # How many vCPUs are plugged, and a cap, are the agent's to change while the VM runs.
    needed = [one for one in (HOTPLUG, IOAPIC, PARAVIRT) if not one.holds(look)]
    if needed:
        return [
            Step(StepKind.LEFT, f"not so: {one.words}; needs a stop: {again}") for one in needed
        ]
    steps = [Step(StepKind.ALREADY, "runs, and nothing that hot-plug needs is missing")]
    if not AUTOSTART.holds(look):
        steps.append(Step(StepKind.ADVICE, f"not so: {AUTOSTART.words}; needs a stop: {again}"))
    return steps


def _what_was(told: dict[str, str]) -> str:
    """Say which files a VM had: its folder, and disks in it."""
    folder = PurePosixPath(told.get("CfgFile", "/")).parent
    images = [
        value
        for key, value in told.items()
        if value.startswith(f"{folder}/") and value.endswith((".vdi", ".vmdk", ".vhd"))
    ]
    disks = f", with {', '.join(image.rpartition('/')[2] for image in images)}" if images else ""
    return f"{folder}{disks}"
