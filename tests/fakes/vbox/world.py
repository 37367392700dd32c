"""The directory in which a fake VirtualBox lives.

VirtualBox VMs/NAME/NAME.vbox   as VirtualBox writes it
config/VirtualBox.xml           which machines there are
fake/machines/UUID.json         what the fake knows of each
fake/faults.json                what goes wrong next
fake/calls.jsonl                each call's epoch s and arguments
fake/time_scale                 what the real thing's seconds are multiplied by
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path

from fakes.vbox import vbox_file
from fakes.vbox.machine import Machine, load, save

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SCALE = "HOTSLOT_FAKE_TIME_SCALE"


class World:
    """All machines; every change is made under ``locked``."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self.machines_folder = self.path / "VirtualBox VMs"
        self.fake = self.path / "fake"
        self._records = self.fake / "machines"
        self._records.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other calls out, as VBoxSVC does."""
        with (self.fake / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @property
    def time_scale(self) -> float:
        """1 is real time."""
        if SCALE in os.environ:
            return float(os.environ[SCALE])
        path = self.fake / "time_scale"
        return float(path.read_text()) if path.exists() else 1.0

    def wait(self, seconds: float) -> None:
        """Take as long as the real thing, scaled."""
        time.sleep(seconds * self.time_scale)

    def log(self, argv: list[str]) -> None:
        """Note a call."""
        line = json.dumps([time.time(), argv]) + "\n"
        calls = os.open(self.fake / "calls.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(calls, line.encode())
        os.close(calls)

    def machines(self) -> list[Machine]:
        """Return all machines, oldest first; one whose process is gone has aborted."""
        found = [load(path) for path in self._records.glob("*.json")]
        for machine in found:
            if machine.up and not machine.alive:
                machine.become("aborted")
                self.save(machine)
            machine.settle()
        order = self._order()
        return sorted(found, key=lambda m: order.index(m.uuid))

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
        folder = self.machines_folder / name
        folder.mkdir(parents=True)
        machine = Machine(name, new_uuid(), str(folder))
        with (self.fake / "order").open("a") as order:
            order.write(machine.uuid + "\n")
        self.save(machine)
        self._register()
        return machine

    def remove(self, machine: Machine, *, files: bool) -> None:
        """Unregister a machine."""
        self._record(machine).unlink()
        if files:
            for path in machine.file.parent.rglob("*"):
                if path.is_file():
                    path.unlink()
            for path in [*machine.file.parent.glob("*"), machine.file.parent]:
                path.rmdir()
        self._register()

    def save(self, machine: Machine, *, settings: bool = True) -> None:
        """Write a machine down; ``settings``: also its .vbox file."""
        save(machine, self._record(machine), settings=settings)

    def _record(self, machine: Machine) -> Path:
        return self._records / f"{machine.uuid}.json"

    def _order(self) -> list[str]:
        path = self.fake / "order"
        return path.read_text().split() if path.exists() else []

    def _register(self) -> None:
        config = self.path / "config"
        config.mkdir(exist_ok=True)
        (config / "VirtualBox.xml").write_text(vbox_file.registry(self.machines()))


def new_uuid() -> str:
    """Return a random UUID; the uuid module takes long to import."""
    digits = os.urandom(16).hex()
    parts = digits[:8], digits[8:12], "4" + digits[13:16], "8" + digits[17:20], digits[20:]
    return "-".join(parts)
