"""QEMU: CPU hot-plug over QMP, of machines whose possible CPUs are single vCPUs (x86: q35, pc).

Facts, tried with QEMU 10.0 under TCG and recorded in tests/transcripts:

- ``device_add`` returns once the vCPU is attached (5–60 ms); the guest onlines it later.
- ``device_del`` returns at once and is a request: the guest ejects the CPU, 0.1 s later or never.
  Asking again is harmless. A paused guest ejects when it goes on.
- A vCPU of the VM's start has no id but a path, by which it can be removed, except the first.
- Under TCG each vCPU thread ever created takes one of ``maxcpus`` contexts for good; the plug
  after the last one aborts QEMU.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from hotslot.act.driver import VmState
from hotslot.act.driver_settings import checked
from hotslot.act.judge import named, words
from hotslot.act.qemu_check import THREAD_NAME, findings
from hotslot.act.qemu_cpus import Cpu, attached, listed
from hotslot.act.qemu_eject import EVENTS, ejected
from hotslot.act.qmp import CommandFailed, Monitor
from hotslot.bounds import like
from hotslot.errors import ActionRefused, GuestRefused, OverCeiling
from hotslot.model import Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class DriverSettings:
    """The keys of ``driver`` in the configuration."""

    qmp_socket: Annotated[
        str,
        like(r"^/[^\x00{}]*(\{vm\}[^\x00{}]*)+$"),
        "a path like /run/hotslot/qmp/{vm}.sock, with {vm} for the VM's name",
    ]


class QemuDriver:
    """The QEMU driver; ``{vm}`` in ``qmp_socket`` stands for a VM's name."""

    name = "qemu"
    hides = False
    thread_name = THREAD_NAME
    machines = None

    def __init__(self, qmp_socket: str) -> None:
        self._template = qmp_socket
        self._monitors: dict[str, Monitor] = {}

    async def state(self, vm: str) -> VmState:
        """Read the attached set; changes nothing."""
        monitor = self._monitor(vm)
        possible = await listed(monitor)
        return VmState(attached(possible), len(possible), monitor.pid)

    async def claim(self, vm: str) -> None:
        """Nothing to do: a QMP socket admits one client."""

    async def started(self, _vm: str, /, vcpus: frozenset[int]) -> frozenset[int]:
        """Nothing to ask: a thread of QEMU's runs once the guest starts its vCPU."""
        return vcpus

    async def plug(self, vm: str, vcpus: Collection[int]) -> None:
        """Attach these vCPUs, all at once."""
        monitor = self._monitor(vm)
        missing = [cpu for cpu in await _chosen(monitor, vcpus) if cpu.path is None]
        refused = await _tell_each(monitor, "device_add", {c.index: _added(c) for c in missing})
        if refused and refused.keys() - attached(await listed(monitor)):
            raise ActionRefused(vm, _joined(map(words, refused.values())))

    async def unplug(self, vm: str, vcpus: Collection[int]) -> None:
        """Ask the guest for these vCPUs, all at once, and wait until it has ejected them."""
        if 0 in vcpus:
            raise ActionRefused(vm, "vCPU 0 boots the VM and can never be unplugged")
        monitor = self._monitor(vm)
        leaving = {cpu.index: cpu.path for cpu in await _chosen(monitor, vcpus) if cpu.path}
        if not leaving:
            return
        with monitor.events(*EVENTS) as events:
            asked = {index: {"id": path} for index, path in leaving.items()}
            answers = await _tell_each(monitor, "device_del", asked)
            refused = {index: words(no) for index, no in answers.items() if not _harmless(no)}
            refused |= await ejected(monitor, events, leaving, refused)
        if refused:
            raise GuestRefused(vm, _joined(refused.values()))

    async def check(self, vms: Collection[str]) -> list[Finding]:
        """Look at each VM's socket, QEMU, accelerator and CPUs."""
        found = await asyncio.gather(*(findings(self._monitor(vm)) for vm in vms))
        return [finding for of_one in found for finding in of_one]

    async def close(self) -> None:
        """Let go of the QMP sockets; VMs go on."""
        await asyncio.gather(*(monitor.close() for monitor in self._monitors.values()))
        self._monitors.clear()

    def _monitor(self, vm: str) -> Monitor:
        if vm not in self._monitors:
            self._monitors[vm] = Monitor(vm, self._template.replace("{vm}", vm))
        return self._monitors[vm]


def connect(settings: Mapping[str, object]) -> QemuDriver:
    """Make the driver from ``driver`` in the configuration; ValueError names the wrong key."""
    return QemuDriver(checked(DriverSettings, settings).qmp_socket)


async def _chosen(monitor: Monitor, vcpus: Collection[int]) -> list[Cpu]:
    possible = await listed(monitor)
    if wrong := [index for index in set(vcpus) if not 0 <= index < len(possible)]:
        what = f"the VM has vCPUs 0 to {len(possible) - 1}; there is no {named(wrong)}"
        raise OverCeiling(monitor.vm, what)
    return [possible[index] for index in sorted(set(vcpus))]


async def _tell_each(
    monitor: Monitor, command: str, arguments: Mapping[int, Mapping[str, object]]
) -> dict[int, CommandFailed]:
    """Give a command for each vCPU without waiting between; return QEMU's refusals."""
    told = (monitor.tell(command, of_one) for of_one in arguments.values())
    answers = await asyncio.gather(*told, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, CommandFailed):
            raise answer
    pairs = zip(arguments, answers, strict=True)
    return {index: answer for index, answer in pairs if isinstance(answer, CommandFailed)}


def _added(cpu: Cpu) -> dict[str, object]:
    return {**cpu.props, "driver": cpu.type, "id": f"hotslot-cpu{cpu.index}"}


def _harmless(error: CommandFailed) -> bool:
    """Whether a vCPU is gone already, or on its way."""
    return error.kind == "DeviceNotFound" or "already in the process of unplug" in str(error)


def _joined(sentences: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(sentences))
