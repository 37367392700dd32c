"""The fake's machines: what VirtualBox believes, and what the guest really has."""

from __future__ import annotations

import os
import time

from fakes.vbox import disk

SIGKILL, SIGUSR1 = 9, 10
"""The signal module takes long to import."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class Snapshot(TypedDict):
        """One snapshot; ``parent`` is a UUID or empty, ``taken`` epoch s."""

        name: str
        uuid: str
        parent: str
        taken: float
        cpus: int
        attached: list[int]
        state_file: str


class Machine:
    """A machine. ``attached`` is VirtualBox's set, ``online`` the guest's, which alone run.

    ``ejecting`` has the epoch s at which a slow guest lets go of a CPU that VirtualBox has given
    up on. ``state`` is VMState's word, ``changed`` when it became so (epoch s), ``cap`` in %,
    ``memory`` in MB. ``guest``: "" for none, "bare" for a Linux, "additions" for one with Guest
    Additions; ``announced``: it has told VirtualBox that it ejects CPUs when asked.
    ``stuck`` CPUs never came to the guest and cannot be unplugged.
    """

    def __init__(self, name: str, uuid: str, folder: str) -> None:
        self.name = name
        self.uuid = uuid
        self.folder = folder
        self.cpus = 1
        self.hotplug = False
        self.attached = [0]
        self.online: list[int] = []
        self.ejecting: dict[str, float] = {}
        self.memory = 1024
        self.cap = 100
        self.state = "poweroff"
        self.changed = time.time()
        self.pid = 0
        self.began = ""
        self.engine = "Default"
        self.guest = ""
        self.announced = False
        self.stuck: list[int] = []
        self.frontend = ""
        self.nic: dict[str, str] = {}
        self.state_file = ""
        self.current = ""
        self.snapshots: list[Snapshot] = []
        self.properties: dict[str, list[str]] = {}

    @property
    def file(self) -> str:
        """The .vbox file."""
        return f"{self.folder}/{self.name}.vbox"

    @property
    def up(self) -> bool:
        """Whether there is a session: the machine runs or is paused."""
        return self.state in ("running", "paused")

    @property
    def alive(self) -> bool:
        """Whether the process is there and no other one has its number."""
        return self.pid > 0 and began(self.pid) == self.began

    def boot(self) -> None:
        """Let the guest begin; without one only CPU 0 runs."""
        self.online = list(self.attached) if self.guest else [0]
        self.announced = self.guest == "additions"
        self.stuck = []

    def become(self, state: str) -> None:
        self.state, self.changed = state, time.time()
        if not self.up:
            self.online, self.ejecting = [], {}

    def wake(self) -> None:
        """Let the process read what the guest's CPUs are now."""
        if self.alive:
            os.kill(self.pid, SIGUSR1)

    def end(self) -> None:
        """End the process and wait until it is gone."""
        if self.alive:
            os.kill(self.pid, SIGKILL)
        while self.alive:
            time.sleep(0.002)

    def settle(self) -> None:
        """Let the guest eject what it was to eject by now."""
        for index, at in list(self.ejecting.items()):
            if at <= time.time():
                self.online = [i for i in self.online if i != int(index)]
                del self.ejecting[index]

    def snapshot(self, name: str) -> Snapshot | None:
        """Find a snapshot by name or UUID."""
        return next((s for s in self.snapshots if name in (s["name"], s["uuid"])), None)


def began(pid: int) -> str:
    """Return when a process began, in ticks; empty if it is gone or a zombie."""
    try:
        fields = disk.read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except ProcessLookupError:
        return ""
    return "" if not fields or fields[0] in "ZX" else fields[19]


def load(path: str) -> Machine:
    """Read a machine's record."""
    machine = Machine("", "", "")
    vars(machine).update(disk.load(path))
    return machine
