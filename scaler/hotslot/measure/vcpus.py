"""CPU time of a worker's vCPU threads, as the host's kernel counts it.

``/proc/PID/task/TID/schedstat`` is one line of three numbers: ns run on a core, ns ready to run
without one, time slices; all since the thread began (kernel: scheduler/sched-stats.rst). Two limits
of that source: the run time of a thread on a core grows with the kernel's tick (1–10 ms), and a
wait is added when it ends.

A QEMU worker has a thread for each plugged vCPU (``CPU 3/KVM``), which ends with the unplug; a
VirtualBox worker one for each possible vCPU (``EMT-3``), and those of vCPUs that are not plugged
stay at 0.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Self

from hotslot.errors import MeterError
from hotslot.measure.procfs import PROC, open_process, unreadable
from hotslot.measure.threads import VcpuThreads
from hotslot.model import Reading, VcpuTimes

ONLINE_RUN_NS = 2_000_000
"""A vCPU whose thread ran longer than this since the plug has been started by the guest.

Before, the thread sets itself up and sleeps: 0.1–0.35 ms, measured with QEMU 10 under TCG. Starting
a vCPU takes a Linux guest 65–100 ms of that thread there, so it is online about 0.1 s later.
To be tuned where KVM or VirtualBox show other figures.
"""

RESCAN_S = 10.0
"""Seconds after which threads are listed again though their number is the same: one may have
begun as another ended."""

# Three numbers of at most 20 digits each: a line fits into 64 bytes.
_LINE_BYTES = repeat(64)
_FROM_START = repeat(0)


class VcpuClock:
    """Reads the times of one worker process's vCPU threads; holds a descriptor for each.

    ``thread_name`` is matched from the start of a thread's name, the vCPU's index is group 1;
    ValueError if it has no group. Every call raises MeterError when the process has ended, has no
    vCPU thread, or cannot be read; a later call tries again.
    """

    def __init__(self, pid: int, born_s: float, thread_name: str, proc_root: Path = PROC) -> None:
        name = re.compile(thread_name)
        if not name.groups:
            raise ValueError(f"thread name {thread_name!r} has no group for the vCPU's index")
        self._pid = pid
        self._born_s = born_s
        self._scanned_s = float("-inf")
        self._lines: list[bytes] = []
        self._counts = False  # whether this kernel was seen to count
        self._times: dict[int, VcpuTimes] = {}
        self._marks: dict[int, VcpuTimes] = {}
        self._threads = _open_threads(pid, born_s, name, proc_root)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all descriptors; closing twice is no error."""
        self._threads.close()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The open descriptors of the vCPU threads' schedstat files, in the order of the vCPUs."""
        return self._threads.descriptors

    def read(self, monotonic_s: float) -> Reading:
        """Read all vCPUs; ``monotonic_s`` is now, taken just before this call.

        Readings between which no thread ran share one ``vcpus``: never change it.
        """
        due = monotonic_s - self._scanned_s >= RESCAN_S
        if due:
            self._scanned_s = monotonic_s
        self._look(due)
        return Reading(monotonic_s, self._pid, self._born_s, self._times)

    def mark(self, vcpus: Collection[int]) -> None:
        """Let ``ran`` count from now on for these vCPUs: they are about to be plugged.

        Where a thread ends with an unplug that changes nothing; where it stays, as VirtualBox's
        do, it tells the run time of this plug from that of an earlier one.
        """
        self._look(scan=False)
        for vcpu in vcpus:
            self._marks.pop(vcpu, None)
            if vcpu in self._times:
                self._marks[vcpu] = self._times[vcpu]

    def ran(self, vcpus: Collection[int]) -> frozenset[int]:
        """Look again and return those of these vCPUs that are online in the guest.

        That is: ran more than ``ONLINE_RUN_NS`` since their mark, or since their thread began.
        """
        self._look(scan=not self._times.keys() >= set(vcpus))
        return frozenset(vcpu for vcpu in vcpus if self._ran_ns(vcpu) > ONLINE_RUN_NS)

    def _ran_ns(self, vcpu: int) -> int:
        now, before = self._times.get(vcpu), self._marks.get(vcpu)
        if now is None:
            return 0
        if before is None or before.run_ns > now.run_ns:  # the thread began since
            return now.run_ns
        return now.run_ns - before.run_ns

    def _look(self, scan: bool) -> None:
        """Bring the times up to date, looking for other threads first if need be."""
        try:
            if scan or self._threads.changed():
                self._scan()
            lines = self._read_lines()
        except OSError as error:
            raise unreadable(self._pid, error) from error
        if lines != self._lines:
            self._update(lines)
        if not lines:
            raise MeterError(f"process {self._pid} has no vCPU thread (yet)")

    def _read_lines(self) -> list[bytes]:
        try:
            return list(map(os.pread, self._threads.descriptors, _LINE_BYTES, _FROM_START))
        except ProcessLookupError:  # a thread was replaced: as many as before, not the same
            self._threads.forget()
            self._scan()
            return list(map(os.pread, self._threads.descriptors, _LINE_BYTES, _FROM_START))

    def _scan(self) -> None:
        self._lines, self._times = [], {}
        self._threads.scan()

    def _update(self, lines: list[bytes]) -> None:
        """Parse the lines that changed: a sleeping vCPU's line stays the same."""
        times = dict(self._times)
        known = self._lines or repeat(None)
        for vcpu, line, before in zip(self._threads.vcpus, lines, known, strict=False):
            if line != before:
                times[vcpu] = _times(line)
        if not self._counts and not any(time.run_ns for time in times.values()):
            raise MeterError(
                f"no vCPU of process {self._pid} ever ran, says the host's kernel; "
                "see whether /proc/self/schedstat stays at 0 0 0"
            )
        self._times, self._lines, self._counts = times, lines, True


def _times(line: bytes) -> VcpuTimes:
    try:
        run_ns, wait_ns, _ = line.split()
        return VcpuTimes(int(run_ns), int(wait_ns))
    except ValueError as error:
        raise MeterError(f"schedstat should be three numbers, is {line!r}") from error


def _open_threads(pid: int, born_s: float, name: re.Pattern[str], proc_root: Path) -> VcpuThreads:
    process = open_process(pid, born_s, proc_root)
    try:
        return VcpuThreads(process, name)
    except OSError as error:
        raise unreadable(pid, error) from error
    finally:
        os.close(process)
