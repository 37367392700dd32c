"""What the host's kernel says about a process, read from ``/proc`` or a tree of its shape.

psutil tells the start of a process in seconds since the epoch, which moves when the clock is set;
here it is seconds since boot (field 22 of ``/proc/PID/stat`` in clock ticks), which never does.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from hotslot.errors import MeterError

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_TEXT_BYTES = 4096


def text_at(directory: int, name: str) -> str:
    """Return the text of a small file in an open directory of /proc; raises OSError."""
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.read(descriptor, _TEXT_BYTES).decode(errors="replace")
    finally:
        os.close(descriptor)


def open_process(pid: int, born_s: float, proc_root: Path = PROC) -> int:
    """Open the directory of the process that was born then; the caller closes it.

    What is opened below it belongs to this process for ever: once it has ended, reading fails
    with ESRCH, even if another process has got its pid. Raises MeterError.
    """
    try:
        directory = os.open(proc_root / str(pid), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(pid, error) from error
    try:
        _check_birth(directory, pid, born_s)
    except BaseException:
        os.close(directory)
        raise
    return directory


def _check_birth(directory: int, pid: int, born_s: float) -> None:
    try:
        found_s = _born_s(text_at(directory, "stat"))
    except OSError as error:
        raise unreadable(pid, error) from error
    if found_s != born_s:
        raise MeterError(
            f"process {pid} is another one now: born {found_s} s after boot, "
            f"not {born_s} s; look up the worker's process again"
        )


def born_s(pid: int, proc_root: Path = PROC) -> float:
    """Return when a process was started, in s since boot; with the pid, it names it for ever."""
    try:
        return _born_s((proc_root / str(pid) / "stat").read_text(errors="replace"))
    except OSError as error:
        raise unreadable(pid, error) from error


def supported(proc_root: Path = PROC) -> bool:
    """Tell whether this kernel counts run time and run-queue wait of each thread.

    False when ``schedstat`` is missing (no CONFIG_SCHED_INFO) or says ``0 0 0`` of a process
    that runs, as kernels do that were built with it but do not count.
    """
    try:
        numbers = (proc_root / "self" / "schedstat").read_text().split()
        return int(numbers[0]) > 0 and int(numbers[1]) >= 0
    except (OSError, ValueError, IndexError):
        return False


def unreadable(pid: int, error: OSError) -> MeterError:
    """Say why a process cannot be measured, and what to do about it."""
    if error.errno in (errno.ENOENT, errno.ESRCH):
        return MeterError(f"process {pid} has ended")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return MeterError(
            f"process {pid}: no file descriptor is left ({error.strerror}); "
            "raise LimitNOFILE of the agent: one for each vCPU thread of this host"
        )
    return MeterError(f"process {pid} cannot be read: {error.strerror}")


def _born_s(stat: str) -> float:
    """Take field 22 of ``stat``; field 2, the name, may hold spaces and parentheses.

    Worked: ``7 (a) b) S 1 …`` with 250 in field 22 and 100 ticks a second: 2.5 s.
    """
    try:
        return int(stat.rpartition(")")[2].split()[19]) / TICKS_PER_S
    except (ValueError, IndexError) as error:
        raise MeterError(f"/proc/PID/stat has no start time: {stat[:80]!r}") from error
