"""Who sizes a VM: at most one hotslot, known by a lock on the folder of the VM's settings.

VirtualBox replaces the settings file at each change, so the lock is on its folder, which
VirtualBox does not lock. It ends with the process that holds it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from hotslot.errors import AlreadyClaimed, DriverError

_LOCKS = Path("/proc/locks")


class Claims:
    """The VMs that this process has claimed, each with the open folder that is its lock."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}

    def take(self, vm: str, folder: Path) -> None:
        """Claim a VM; once more is no error. AlreadyClaimed when another process has it."""
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise DriverError(vm, f"{folder}: {error.strerror}") from error
        if vm in self._held and os.path.sameopenfile(self._held[vm], descriptor):
            os.close(descriptor)
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            words = f"another hotslot ({holder}) sizes it; two on one VM would undo each other"
            raise AlreadyClaimed(vm, words) from error
        if vm in self._held:  # of a VM that was removed and made again
            os.close(self._held[vm])
        self._held[vm] = descriptor

    def drop(self) -> None:
        """Give up all claims."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()


def _holder(descriptor: int) -> str:
    """Name the process that holds a lock, as far as the kernel tells."""
    stat = os.fstat(descriptor)
    device = f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"
    for line in _LOCKS.read_text().splitlines():
        fields = line.split()
        if len(fields) >= 6 and fields[1] == "FLOCK" and fields[5] == device:
            return f"process {fields[4]}"
    return "of another machine or namespace"
