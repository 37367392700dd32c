"""The directory in which a fake VirtualBox lives.

VirtualBox VMs/NAME/NAME.vbox   as VirtualBox writes it
config/VirtualBox.xml           which machines there are
fake/machines/UUID              what the fake knows of each
fake/faults.json                what goes wrong next
fake/calls.jsonl                each call's epoch s and arguments
fake/time_scale                 what the real thing's seconds are multiplied by
"""

from __future__ import annotations

import fcntl
import os
import time

from fakes.vbox import disk, vbox_file
from fakes.vbox.machine import Machine, load

SCALE = "HOTSLOT_FAKE_TIME_SCALE"


class Lock:
    """Keeps other calls out, as VBoxSVC does."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *error: object) -> None:
        os.close(self._file)


class World:
    """All machines; every change is made under ``locked``."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.machines_folder = f"{self.path}/VirtualBox VMs"
        self.fake = f"{self.path}/fake"
        self.faults = f"{self.fake}/faults"
        self.calls = f"{self.fake}/calls"
        self._records = f"{self.fake}/machines"
        os.makedirs(self._records, exist_ok=True)

    def locked(self) -> Lock:
        """Return what to hold while something is changed."""
        return Lock(f"{self.fake}/lock")

    @property
    def time_scale(self) -> float:
        """1 is real time."""
        return float(os.environ.get(SCALE) or disk.read(f"{self.fake}/time_scale") or 1)

    def wait(self, seconds: float) -> None:
        """Take as long as the real thing, scaled."""
        time.sleep(seconds * self.time_scale)

    def log(self, argv: list[str]) -> None:
        """Note a call."""
        disk.append(self.calls, f"{[time.time(), *argv]!r}\n")

    def machines(self) -> list[Machine]:
        """Return all machines, oldest first; one whose process is gone has aborted."""
        uuids = disk.read(f"{self.fake}/order").split()
        found = [load(path) for path in map(self.record, uuids) if os.path.exists(path)]
        for machine in found:
            if machine.up and not machine.alive:
                machine.become("aborted")
                self.save(machine)
            machine.settle()
        return found

    def machine(self, name: str) -> Machine | None:
        """Find a machine by name or UUID."""
        return next((m for m in self.machines() if name.strip("{}") in (m.name, m.uuid)), None)

    def existing(self, name: str) -> Machine:
        """Find a machine that is there; KeyError."""
        machine = self.machine(name)
        if machine is None:
            raise KeyError(name)
        return machine

    def add(self, name: str) -> Machine:
        """Make and register a machine; its settings are not written yet."""
        folder = f"{self.machines_folder}/{name}"
        os.makedirs(folder)
        machine = Machine(name, new_uuid(), folder)
        disk.append(f"{self.fake}/order", f"{machine.uuid}\n")
        self.save(machine)
        self._register()
        return machine

    def remove(self, machine: Machine, *, files: bool) -> None:
        """Unregister a machine."""
        os.unlink(self.record(machine.uuid))
        if files:
            for folder, _, names in os.walk(machine.folder, topdown=False):
                for name in names:
                    os.unlink(f"{folder}/{name}")
                os.rmdir(folder)
        self._register()

    def save(self, machine: Machine, *, settings: bool = True) -> None:
        """Write a machine down; ``settings``: also its .vbox file."""
        disk.keep(self.record(machine.uuid), vars(machine))
        if settings:
            vbox_file.write(machine)

    def record(self, uuid: str) -> str:
        """Return the file of what the fake knows of a machine."""
        return f"{self._records}/{uuid}"

    def _register(self) -> None:
        os.makedirs(f"{self.path}/config", exist_ok=True)
        disk.write(f"{self.path}/config/VirtualBox.xml", vbox_file.registry(self.machines()))


def new_uuid() -> str:
    """Return a random UUID; the uuid module takes long to import."""
    digits = os.urandom(16).hex()
    parts = digits[:8], digits[8:12], "4" + digits[13:16], "8" + digits[17:20], digits[20:]
    return "-".join(parts)
