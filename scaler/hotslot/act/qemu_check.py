"""What ``hotslot check`` looks at in a QEMU VM; changes nothing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from hotslot.act.judge import words
from hotslot.act.qemu_cpus import Cpu, attached, listed
from hotslot.act.qmp import CommandFailed, Monitor
from hotslot.errors import ActionTimedOut, DriverError, VmGone
from hotslot.model import Finding, Level

THREAD_NAME = r"CPU (\d+)/(?:KVM|TCG)$"
OLDEST = (8, 0)
"""7.2 crashes on a re-plug under TCG; older ones were not tried."""
ROOMY = 64
"""``maxcpus`` from which on a VM under TCG lives long enough for a test."""


async def findings(monitor: Monitor) -> list[Finding]:
    """Look at one VM."""
    try:
        return [finding async for finding in _findings(monitor)]
    except DriverError as error:
        return [_unreachable(monitor, error)]


async def _findings(monitor: Monitor) -> AsyncIterator[Finding]:
    subject = f"VM {monitor.vm}"
    possible = await listed(monitor)
    kvm = await monitor.ask("query-kvm")
    tcg = not (isinstance(kvm, dict) and kvm.get("enabled") is True)
    yield _version(subject, monitor.version)
    yield _accelerator(subject, tcg)
    yield _size(subject, possible, tcg)
    yield _threads(subject, monitor.pid, attached(possible))
    status = await monitor.ask("query-status")
    if not (isinstance(status, dict) and status.get("running") is True):
        what = "is paused: its guest cannot take or give up vCPUs"
        yield Finding(subject, Level.WARN, what, "let it go on (QMP cont), or restart it")


def _unreachable(monitor: Monitor, error: DriverError) -> Finding:
    socket = f"unix:{monitor.path},server=on,wait=off"
    match error:
        case VmGone():
            remedy = f"start the VM; its command line needs -qmp {socket}"
        case ActionTimedOut():
            remedy = f"if hotslotd runs it is the other client; else add -qmp {socket}"
        case CommandFailed():
            remedy = "use a machine type with CPU hot-plug: -machine q35"
        case _:
            remedy = f"ls -l {monitor.path}; run hotslot as its owner, or as root"
    level = Level.WARN if isinstance(error, ActionTimedOut) else Level.WRONG
    return Finding(f"VM {monitor.vm}", level, words(error), remedy)


def _version(subject: str, version: tuple[int, ...]) -> Finding:
    told = f"QEMU {'.'.join(map(str, version)) or 'of unknown version'}"
    if version >= OLDEST:
        return Finding(subject, Level.OK, told)
    return Finding(subject, Level.WARN, f"{told}: crashes on a re-plug under TCG", "use QEMU 10")


def _accelerator(subject: str, tcg: bool) -> Finding:
    if not tcg:
        return Finding(subject, Level.OK, "runs under KVM")
    what = "is emulated (TCG): some 20 times slower than KVM"
    return Finding(subject, Level.WARN, what, "-accel kvm, where the host's CPU can")


def _size(subject: str, possible: list[Cpu], tcg: bool) -> Finding:
    most = len(possible)
    if most == 1:
        return Finding(
            subject, Level.WRONG, "has room for 1 vCPU only", "start with -smp 1,maxcpus=N"
        )
    what = f"{len(attached(possible))} of {most} possible vCPUs plugged"
    if not tcg or most >= ROOMY:
        return Finding(subject, Level.OK, what)
    limit = f"{what}; under TCG QEMU aborts once {most} vCPUs were ever plugged, re-plugs included"
    return Finding(subject, Level.WARN, limit, "start with -smp 1,maxcpus=240")


def _threads(subject: str, pid: int, vcpus: frozenset[int]) -> Finding:
    try:
        named = set(_vcpus_of_threads(pid))
    except OSError as error:
        remedy = "run hotslot as root, on the host that runs the VM"
        return Finding(subject, Level.WRONG, f"process {pid} cannot be looked at: {error}", remedy)
    if named == vcpus:
        return Finding(subject, Level.OK, f"each vCPU has its thread in process {pid}")
    what = f"process {pid} has threads named for {len(named)} of {len(vcpus)} vCPUs"
    remedy = "start with -name NAME,debug-threads=on and -accel tcg,thread=multi"
    return Finding(subject, Level.WRONG, what, remedy)


def _vcpus_of_threads(pid: int) -> Iterator[int]:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        match = re.match(THREAD_NAME, (thread / "comm").read_text())
        if match:
            yield int(match[1])
