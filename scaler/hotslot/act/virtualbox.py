"""VirtualBox: CPU hot-plug by VBoxManage, read back from the VM's settings file.

Facts, tried with VirtualBox 7.2 and recorded in tests/transcripts/virtualbox:

- ``plugcpu`` returns 0 in 0.04-0.2 s, whatever the guest makes of it. A guest that has not started
  one vCPU when the next is plugged may never start it: so each is waited for.
- ``unplugcpu`` asks the guest (VBoxService) and returns in 0.3-2 s; a guest without it refuses in
  0.1-0.4 s, one that does not react ends in error after 10 s, with the same words.
- ``plugcpu 99`` and ``plugcpu abc`` act on vCPU 0: an index is checked before VBoxManage sees it.
- Nothing is asked of VirtualBox to read a VM: its settings file and its process tell.
- That a thread runs does not prove that its vCPU was started: while two vCPUs or more are plugged,
  the threads of all possible ones take some CPU time. The registers prove it, which
  ``debugvm getregisters`` tells in 0.1 s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from hotslot.act.driver import VmState
from hotslot.act.driver_settings import checked
from hotslot.act.judge import named
from hotslot.act.virtualbox_answers import properties, started, trouble
from hotslot.act.virtualbox_cap import cap_pct, shown
from hotslot.act.virtualbox_check import findings
from hotslot.act.virtualbox_claim import Claims
from hotslot.act.virtualbox_command import VBoxManage
from hotslot.act.virtualbox_file import Settings, SettingsFile
from hotslot.act.virtualbox_machines import VirtualBoxMachines
from hotslot.act.virtualbox_process import THREAD_NAME, VmProcesses
from hotslot.bounds import like
from hotslot.errors import (
    ActionRefused,
    DriverError,
    GuestRefused,
    HotplugDisabled,
    OverCeiling,
    PlugLost,
    VmGone,
)
from hotslot.model import Finding

_DEBIAN = Path("/usr/lib/virtualbox/VBoxManage")
"""Debian's ``VBoxManage`` in PATH is a wrapper that warns on stdout; this is what it calls."""


MOST_VCPUS = 33
"""``plugcpu`` takes 1 to 32 and acts on vCPU 0 for more, though a VM can have 64."""
REPLACED_WITHIN_S = 0.2
"""VirtualBox replaces a settings file by two renames: for a moment there is none."""
START_S = 8.0
"""A guest starts a plugged vCPU in 0.1 s, in VirtualBox's interpreter in 1-3 s, or not at all."""
LOOK_S = 0.05
LONGEST_LOOK_S = 0.4
"""Pauses between looks at whether it has, each twice the one before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DriverSettings:
    """The keys of ``driver`` in the configuration."""

    command: Annotated[
        tuple[str, ...],
        "a list of words like [sudo, -n, -u, vbox, /usr/lib/virtualbox/VBoxManage]",
    ] = ()
    root: Annotated[str, like(r"^/[^\x00]*$"), "the folder in which the command sees its files"] = (
        "/"
    )
    execution_cap: Annotated[bool, "true or false"] = False

    @property
    def command_line(self) -> Sequence[str]:
        """The command, or VBoxManage where this machine has it."""
        return self.command or [str(_DEBIAN) if _DEBIAN.exists() else "VBoxManage"]


class VirtualBoxDriver:
    """The VirtualBox driver.

    ``root`` is the directory on this host in which the command sees its files, ``/`` unless it
    runs in a chroot. ``execution_cap``: limit the CPU time of VMs whose guest cannot give up CPUs.
    """

    name = "virtualbox"
    hides = True
    thread_name = THREAD_NAME

    def __init__(
        self, command: Sequence[str], *, root: str = "/", execution_cap: bool = False
    ) -> None:
        self.manage = VBoxManage(command)
        self._root = root.rstrip("/")
        self._may_cap = execution_cap
        self._files: dict[str, SettingsFile] = {}
        self._processes = VmProcesses()
        self._claims = Claims()
        self.machines = VirtualBoxMachines(self.manage, self._settings, self._running)

    async def state(self, vm: str) -> VmState:
        """Read the attached set; asks VirtualBox only where the VM's settings are, once."""
        settings = await self._settings(vm)
        pid = self._pid(vm, settings)
        most = min(settings.max_vcpus, MOST_VCPUS)
        if not self._may_cap or settings.cap_pct == 100:
            return VmState(settings.attached, most, pid)
        return VmState(shown(settings), most, pid, capped=True)

    async def claim(self, vm: str) -> None:
        """Be the only one that sizes this VM, until ``close``; DriverError when another does."""
        await self._settings(vm)
        self._claims.take(vm, self._files[vm].path.parent)

    async def started(self, vm: str, vcpus: frozenset[int]) -> frozenset[int]:
        """Look at the registers of these vCPUs, one call each: do they still stand at reset?"""
        return frozenset([vcpu for vcpu in sorted(vcpus) if await self._has_started(vm, vcpu)])

    async def plug(self, vm: str, vcpus: Collection[int]) -> None:
        """Attach these vCPUs, one after the other."""
        settings = await self._checked(vm, vcpus)
        now = await self.state(vm)
        aim = now.attached | set(vcpus)
        if aim == now.attached:
            return
        await self.claim(vm)
        if now.capped and len(aim) <= len(settings.attached):
            await self._cap(vm, settings, len(aim))
            return
        missing = sorted(set(vcpus) - settings.attached)
        if missing and not settings.hotplug:
            raise _disabled(vm)
        for index in missing:
            await self._control(vm, "plugcpu", index, f"CPU {index} is already attached")
            await self._until_started(vm, index)
        if now.capped:
            await self._cap(vm, settings, 1, of=1)

    async def unplug(self, vm: str, vcpus: Collection[int]) -> None:
        """Detach these vCPUs, the highest first, one after the other, until one cannot be."""
        if 0 in vcpus:
            raise ActionRefused(vm, "vCPU 0 boots the VM and can never be unplugged")
        settings = await self._checked(vm, vcpus)
        now = await self.state(vm)
        leaving = now.attached & set(vcpus)
        if not leaving:
            return
        await self.claim(vm)
        if not now.capped:
            try:
                await self._detach(vm, settings, leaving)
            except (GuestRefused, HotplugDisabled):
                if not self._may_cap:
                    raise
            else:
                return
        await self._cap(vm, await self._settings(vm), len(now.attached - leaving))

    async def check(self, vms: Collection[str]) -> list[Finding]:
        """Look at VirtualBox, and at each VM's settings that would stop hot-plug."""
        return await findings(
            self.manage, vms, self._settings, lambda settings: self._running(settings) is not None
        )

    async def close(self) -> None:
        """Let go of what was claimed; VMs go on."""
        self._claims.drop()
        self._files.clear()

    async def _settings(self, vm: str) -> Settings:
        file = self._files.get(vm)
        settings = await _read(file) if file else None
        if settings is None:
            file = self._files[vm] = SettingsFile(vm, await self._path(vm))
            settings = await _read(file)
            if settings is None:
                raise DriverError(vm, f"{file.path} is missing; is driver.root right?")
        return settings

    def _running(self, settings: Settings) -> int | None:
        return self._processes.pid(settings.uuid, settings.owner)

    def _pid(self, vm: str, settings: Settings) -> int:
        pid = self._running(settings)
        if pid is None:
            raise VmGone(vm, "does not run")
        return pid

    async def _path(self, vm: str) -> Path:
        if not vm or vm.startswith("-") or not vm.isprintable():
            raise VmGone(vm, "this is no name of a VM")
        answer = await self.manage.ask(vm, "showvminfo", vm, "--machinereadable")
        if error := trouble(vm, answer):
            raise error
        path = properties(answer.out).get("CfgFile", "")
        if not path.startswith("/"):
            raise DriverError(vm, "VBoxManage showvminfo names no settings file (CfgFile)")
        return Path(f"{self._root}{path}")

    async def _checked(self, vm: str, vcpus: Collection[int]) -> Settings:
        settings = await self._settings(vm)
        self._pid(vm, settings)
        most = min(settings.max_vcpus, MOST_VCPUS)
        if wrong := [index for index in set(vcpus) if not 0 <= index < most]:
            what = f"the VM has vCPUs 0 to {most - 1} to plug; there is no {named(wrong)}"
            raise OverCeiling(vm, what)
        return settings

    async def _until_started(self, vm: str, vcpu: int) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_S
        pause_s = LOOK_S
        while not await self._has_started(vm, vcpu):
            if loop.time() > deadline:
                words = f"vCPU {vcpu} is plugged, but the guest has not started it in {START_S:g} s"
                raise PlugLost(vm, words)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_LOOK_S)

    async def _has_started(self, vm: str, vcpu: int) -> bool:
        answer = await self.manage.ask(
            vm, "debugvm", vm, "getregisters", f"--cpu={vcpu}", "rip", "cs"
        )
        if error := trouble(vm, answer):
            raise error
        return started(answer.out)

    async def _detach(self, vm: str, settings: Settings, leaving: Collection[int]) -> None:
        if not settings.hotplug:
            raise _disabled(vm)
        for index in sorted(leaving, reverse=True):
            await self._control(vm, "unplugcpu", index, f"CPU {index} is not attached")

    async def _control(self, vm: str, verb: str, value: int, harmless: str = "") -> None:
        answer = await self.manage.ask(vm, "controlvm", vm, verb, str(value))
        error = trouble(vm, answer)
        if error is not None and answer.error != harmless:
            raise error

    async def _cap(self, vm: str, settings: Settings, vcpus: int, *, of: int = 0) -> None:
        pct = cap_pct(vcpus, of or len(settings.attached))
        await self._control(vm, "cpuexecutioncap", pct)


async def _read(file: SettingsFile) -> Settings | None:
    """Read a settings file, waiting out the moment in which VirtualBox replaces it."""
    for _ in range(round(REPLACED_WITHIN_S / 0.01)):
        if settings := file.read():
            return settings
        await asyncio.sleep(0.01)
    return None


def _disabled(vm: str) -> HotplugDisabled:
    return HotplugDisabled(vm, "made without CPU hot-plug: hotslot workers repair switches it on")


def connect(settings: Mapping[str, object]) -> VirtualBoxDriver:
    """Make the driver from ``driver`` in the configuration; ValueError says what is wrong."""
    known = checked(DriverSettings, settings)
    return VirtualBoxDriver(known.command_line, root=known.root, execution_cap=known.execution_cap)
