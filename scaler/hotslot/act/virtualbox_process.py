"""The process of a running VM on this host, found through psutil.

VBoxSVC starts it as ``VBoxHeadless --comment NAME --startvm UUID --vrde config``; a VM with a
window is ``VirtualBoxVM …``. The UUID names the VM, and the process must belong to the owner of
the VM's settings: anybody can start a process with such a command line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from uuid import UUID

import psutil

THREAD_NAME = r"EMT-(\d+)$"
"""A thread for each *possible* vCPU; those of detached ones do not run."""

SCAN_S = 1.0
"""Processes are listed at most this often, however many VMs do not run."""

_NAMES = ("VBoxHeadless", "VirtualBoxVM", "VirtualBox")


class VmProcesses:
    """Finds VMs' processes and remembers them; safe against a pid that is used again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[UUID, int], psutil.Process] = {}
        self._scanned_at = float("-inf")

    def pid(self, vm: UUID, owner: int) -> int | None:
        """Return the process that runs this VM for this user; None if there is none."""
        known = self._known.get((vm, owner))
        if known is not None and _lives(known):
            return known.pid
        if self._clock() - self._scanned_at >= SCAN_S:
            self._scan()
            known = self._known.get((vm, owner))
            return known.pid if known else None
        return None

    def _scan(self) -> None:
        self._scanned_at = self._clock()
        self._known = {name: process for name, process in self._known.items() if _lives(process)}
        for process in psutil.process_iter():
            name = _name(process)
            if name is not None and _lives(process):
                self._known.setdefault(name, process)


def _name(process: psutil.Process) -> tuple[UUID, int] | None:
    """Return the VM that a process runs, and its user; None if it runs none."""
    try:
        words = process.cmdline()
        if not words or words[0].rpartition("/")[2] not in _NAMES:
            return None
        vm, uids = started(words), process.uids()
    except psutil.Error:
        return None
    # A program that changes its user, as su does, has whatever words its caller gave it.
    return (vm, uids.real) if vm and len(set(uids)) == 1 else None


def started(words: Iterable[str]) -> UUID | None:
    """Return the VM that a command line starts.

    Worked: ``VBoxHeadless --comment w1 --startvm 32a2… --vrde config`` is VM 32a2….
    """
    rest = iter(words)
    for word in rest:
        if word in ("--startvm", "-startvm", "-s"):
            try:
                return UUID(next(rest, ""))
            except ValueError:
                return None
    return None


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
