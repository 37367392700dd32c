"""The vCPU threads of one process: which there are, and an open descriptor for each."""

from __future__ import annotations

import errno
import os
import re

from hotslot.errors import MeterError
from hotslot.measure.procfs import text_at


class VcpuThreads:
    """Finds vCPU threads by name and holds the descriptor of each one's ``schedstat``.

    ``process`` is an open directory ``/proc/PID`` (stays the caller's). ``vcpus`` and
    ``descriptors`` belong together, in the order of the vCPUs. Calls raise OSError when the
    process has ended, MeterError when a file is missing that this kernel should have.
    """

    def __init__(self, process: int, name: re.Pattern[str]) -> None:
        self.vcpus: tuple[int, ...] = ()
        self.descriptors: tuple[int, ...] = ()
        self._name = name
        self._open: dict[int, tuple[int, int]] = {}  # thread id -> vCPU, descriptor
        self._young: set[int] = set()  # seen in the last scan for the first time
        self._settled: set[int] = set()  # seen in two scans
        self._links = -1
        self._tasks = os.open("task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=process)

    def changed(self) -> bool:
        """Tell whether to scan: another number of threads, or one whose name may still change.

        The link count of ``task`` follows the number of threads, at a tenth of a listing's cost.
        A thread bears its creator's name until it has given itself its own, so each is looked at
        in two scans.
        """
        return bool(self._young) or os.fstat(self._tasks).st_nlink != self._links

    def scan(self) -> None:
        """Bring vcpus and descriptors up to date; threads that stayed keep theirs."""
        links, self._links = os.fstat(self._tasks).st_nlink, -1
        try:
            self._find([int(tid) for tid in os.listdir(self._tasks)])  # noqa: PTH208 - no path
        finally:
            self._arrange()
        self._links = links

    def _find(self, tids: list[int]) -> None:
        if not tids:  # what the C library makes of the error that an ended process gives
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        there = set(tids)
        for tid in self._open.keys() - there:
            self._drop(tid)
        unsettled = [tid for tid in tids if tid not in self._settled]
        for tid in unsettled:
            self._meet(tid)
        self._settled = (self._settled | self._young) & there
        self._young = set(unsettled) - self._settled

    def forget(self) -> None:
        """Close the descriptors of all threads, so that the next scan finds them anew."""
        for tid in list(self._open):
            self._drop(tid)
        self._young, self._settled, self._links = set(), set(), -1
        self._arrange()

    def close(self) -> None:
        """Close everything; closing twice is no error."""
        self.forget()
        if self._tasks >= 0:
            os.close(self._tasks)
            self._tasks = -1

    def _meet(self, tid: int) -> None:
        """Open a thread if it is a vCPU's now, drop it if it no longer is."""
        vcpu = self._vcpu(tid)
        held = self._open.get(tid)
        if held and held[0] != vcpu:
            self._drop(tid)
        if vcpu is not None and tid not in self._open:
            self._add(tid, vcpu)

    def _vcpu(self, tid: int) -> int | None:
        """Read a thread's name for its vCPU's index; None if it is no vCPU's or has just ended."""
        try:
            match = self._name.match(text_at(self._tasks, f"{tid}/comm").rstrip("\n"))
        except (FileNotFoundError, ProcessLookupError):
            return None
        return int(match[1]) if match else None

    def _add(self, tid: int, vcpu: int) -> None:
        try:
            flags = os.O_RDONLY | os.O_CLOEXEC
            self._open[tid] = vcpu, os.open(f"{tid}/schedstat", flags, dir_fd=self._tasks)
        except FileNotFoundError as error:
            if os.access(str(tid), os.F_OK, dir_fd=self._tasks):  # else the thread has just ended
                raise MeterError(
                    f"task/{tid}/schedstat is missing: the host's kernel was built without "
                    "CONFIG_SCHED_INFO, so hotslot cannot measure here"
                ) from error

    def _drop(self, tid: int) -> None:
        os.close(self._open.pop(tid)[1])

    def _arrange(self) -> None:
        """Order by vCPU; of two threads that bear the same name, the older is the vCPU's."""
        oldest: dict[int, int] = {}
        for vcpu, descriptor in self._open.values():
            oldest.setdefault(vcpu, descriptor)
        self.vcpus = tuple(sorted(oldest))
        self.descriptors = tuple(oldest[vcpu] for vcpu in self.vcpus)
