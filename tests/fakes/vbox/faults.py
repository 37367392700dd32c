"""What can go wrong, and the order in which it will."""

from __future__ import annotations

from fakes.vbox import disk

NO_ADDITIONS = "no_additions"
DEAF = "deaf"
LATE_EJECT = "late_eject"
LOST_PLUG = "lost_plug"
STUCK_PLUG = "stuck_plug"
LOCKED = "locked"
STARTING = "starting"
NO_DRIVER = "no_driver"
SVC_GONE = "svc_gone"
STALL = "stall"
HANG = "hang"
GARBAGE = "garbage"
WRAPPER = "wrapper"
PROGRESS = "progress"
FILE_GONE = "file_gone"
FILE_HALF = "file_half"

VERBS = {
    NO_ADDITIONS: ("unplugcpu",),
    DEAF: ("unplugcpu",),
    LATE_EJECT: ("unplugcpu",),
    LOST_PLUG: ("plugcpu",),
    STUCK_PLUG: ("plugcpu",),
    STARTING: ("plugcpu",),
    NO_DRIVER: ("startvm", "hostonlyif"),
}
"""The words a call must have for the fault to befall it; others befall any call."""


class Due:
    """What is still to go wrong: ``times`` more calls, -1 for all, about a VM ("" for anything)
    that have the word ``on`` ("" for any)."""

    def __init__(self, vm: str, fault: str, times: int, on: str) -> None:
        self.vm = vm
        self.fault = fault
        self.times = times
        self.on = on

    def fits(self, argv: list[str]) -> bool:
        """Whether it befalls this call."""
        if (self.vm and self.vm not in argv) or (self.on and self.on not in argv):
            return False
        return self.fault not in VERBS or any(verb in argv for verb in VERBS[self.fault])


def add(path: str, due: Due) -> None:
    """Order a fault, after those that are ordered already."""
    _write(path, [*_read(path), due])


def take(path: str, argv: list[str]) -> set[str]:
    """Return what befalls this call: of each VM's faults the first that fits."""
    queue = _read(path)
    befalling: dict[str, Due] = {}
    for due in queue:
        if due.fits(argv):
            befalling.setdefault(due.vm, due)
    for due in befalling.values():
        due.times -= due.times > 0
    if befalling:
        _write(path, [due for due in queue if due.times])
    return {due.fault for due in befalling.values()}


def _read(path: str) -> list[Due]:
    return [Due(*due) for due in disk.load(path) or []]


def _write(path: str, queue: list[Due]) -> None:
    disk.keep(path, [(due.vm, due.fault, due.times, due.on) for due in queue])
