"""A fake VirtualBox for tests: a world of machines, and what goes wrong in it."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from fakes.vbox import disk, faults
from fakes.vbox.command import carry_out
from fakes.vbox.machine import Machine, began
from fakes.vbox.transcript import Answer
from fakes.vbox.world import World

COMMAND = Path(__file__).with_name("vboxmanage.py")


class Fault(StrEnum):
    """What can befall a call about a VM. Times are the real thing's, before scaling."""

    NO_ADDITIONS = faults.NO_ADDITIONS
    """unplugcpu: the guest has no Guest Additions; refused after 0.4 s."""
    DEAF = faults.DEAF
    """unplugcpu: the guest does not react; refused after 10.4 s with the same words."""
    LATE_EJECT = faults.LATE_EJECT
    """As DEAF, and 2 s later the guest ejects: the .vbox file has the CPU until it is unplugged
    once more, which works at once."""
    LOST_PLUG = faults.LOST_PLUG
    """plugcpu: exit code 0, the .vbox file has the CPU, the guest does not. Unplugging it works
    at once; no real guest was seen to do that, see STUCK_PLUG."""
    STUCK_PLUG = faults.STUCK_PLUG
    """As LOST_PLUG, and every unplug of that CPU is refused after 10 s until the guest boots anew.
    So did real guests after three plugs at once, and after a plug right after an unplug."""
    LOCKED = faults.LOCKED
    """Another session has the machine, as it is for a moment while a VM starts; showvminfo and
    controlvm of a running VM are refused, too."""
    STARTING = faults.STARTING
    """plugcpu: refused, the VM is still starting."""
    NO_DRIVER = faults.NO_DRIVER
    """startvm: the host has no vboxdrv."""
    SVC_GONE = faults.SVC_GONE
    """VBoxSVC was killed: every VM ends, the call fails after 20 s."""
    STALL = faults.STALL
    """The call takes 10 s more and is answered then."""
    HANG = faults.HANG
    """The call never ends."""
    GARBAGE = faults.GARBAGE
    """Exit code 0 and bytes that are no text; nothing is done."""
    WRAPPER = faults.WRAPPER
    """Debian's wrapper warns on stdout first."""
    PROGRESS = faults.PROGRESS
    """A progress bar on stderr first."""
    FILE_GONE = faults.FILE_GONE
    """After the call the .vbox file is not there for 0.5 s."""
    FILE_HALF = faults.FILE_HALF
    """After the call the .vbox file is half written for 0.5 s."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was made; ``at`` is epoch s."""

    at: float
    argv: tuple[str, ...]


class FakeVm:
    """What is true of one machine now; each look reads anew."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self._world = world

    @property
    def attached(self) -> frozenset[int]:
        """The CPUs that VirtualBox says are plugged; the .vbox file has the same."""
        return frozenset(self._machine.attached)

    @property
    def online(self) -> frozenset[int]:
        """The CPUs that the guest has; their threads run."""
        return frozenset(self._machine.online)

    @property
    def pid(self) -> int:
        """The process; 0 if it never ran."""
        return self._machine.pid

    @property
    def state(self) -> str:
        """VMState's word: poweroff, running, paused, saved, aborted."""
        return self._machine.state

    @property
    def uuid(self) -> str:
        return self._machine.uuid

    @property
    def file(self) -> Path:
        """The .vbox file."""
        return Path(self._machine.file)

    @property
    def ran_s(self) -> dict[int, float]:
        """How long each vCPU's thread has run (s), by index."""
        ran = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            kind, _, index = (task / "comm").read_text().strip().partition("-")
            if kind == "EMT":
                ran[int(index)] = int((task / "schedstat").read_text().split()[0]) / 1e9
        return ran

    @property
    def _machine(self) -> Machine:
        with self._world.locked():
            return self._world.existing(self.name)


class FakeVirtualBox:
    """A world in a directory; as a context, its VMs end with it.

    ``time_scale``: what the real thing's seconds are multiplied by; HOTSLOT_FAKE_TIME_SCALE in a
    call's environment comes first.
    """

    def __init__(self, path: Path, time_scale: float = 0.02) -> None:
        self._world = World(str(path))
        Path(self._world.fake, "time_scale").write_text(str(time_scale))
        self.path = Path(self._world.path)
        self.command: tuple[str, ...] = (sys.executable, "-SEI", str(COMMAND), str(self.path))

    def add_vm(
        self,
        name: str,
        max_vcpus: int = 8,
        *,
        hotplug: bool = True,
        running: bool = True,
        attached: Sequence[int] = (0,),
        additions: bool = True,
        engine: str = "Default",
    ) -> FakeVm:
        """Make a machine with a Linux guest that uses what is plugged.

        Without ``additions`` it ejects nothing. With ``engine`` "Recompiler" its .vbox file has
        the form 1.20. Once restored from a saved state a guest ejects nothing until it has
        announced itself again, as the real one."""
        with self._world.locked():
            machine = self._world.add(name)
            machine.cpus, machine.hotplug, machine.engine = max_vcpus, hotplug, engine
            machine.attached = list(attached) if hotplug else list(range(max_vcpus))
            machine.guest = "additions" if additions else "bare"
            self._world.save(machine)
        if running:
            self.run("startvm", name, "--type", "headless").check_returncode()
        return self.vm(name)

    def vm(self, name: str) -> FakeVm:
        """Look at a machine; KeyError when a look finds it gone."""
        return FakeVm(self._world, name)

    def announce(self, name: str) -> None:
        """Let the guest of a restored machine say again that it ejects CPUs when asked."""
        with self._world.locked():
            machine = self._world.existing(name)
            machine.announced = True
            self._world.save(machine, settings=False)

    def ask(self, *argv: str) -> Answer:
        """Make a call without a process for it, in a millisecond; it counts among ``calls``."""
        if argv[0] != "startvm":
            return carry_out(self._world, list(argv))
        done = self.run(*argv)
        return Answer(done.returncode, done.stdout, done.stderr)

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Make a call; it counts among ``calls``."""
        return subprocess.run(
            [*self.command, *argv], capture_output=True, text=True, timeout=60, check=False
        )

    def kill_vm(self, name: str) -> None:
        """Kill a VM's process, as the kernel does when memory is short."""
        vm = self.vm(name)
        pid, at = vm.pid, began(vm.pid)
        os.kill(pid, signal.SIGKILL)
        while began(pid) == at != "":
            time.sleep(0.002)

    def fault(self, name: str, fault: Fault, times: int = 1, on: str = "") -> None:
        """Let the next ``times`` calls about a VM go wrong; -1: all from now on.

        A name of "" means calls about anything; ``on``: only calls that have this word.
        """
        with self._world.locked():
            due = faults.Due(name, fault.value, times, on)
            faults.add(self._world.faults, due)

    def forget_faults(self) -> None:
        """Let nothing more go wrong."""
        with self._world.locked():
            Path(self._world.faults).unlink(missing_ok=True)

    @property
    def calls(self) -> list[Call]:
        """All calls so far, in their order."""
        calls = map(ast.literal_eval, disk.read(self._world.calls).splitlines())
        return [Call(at, tuple(argv)) for at, *argv in calls]

    def close(self) -> None:
        """End all VMs and remove the world; calls that hang end, too."""
        with self._world.locked():
            for machine in self._world.machines():
                machine.end()
        shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
