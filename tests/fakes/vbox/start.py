"""startvm: a process of its own for the machine."""

from __future__ import annotations

import os
import sys

from fakes.vbox import disk, faults
from fakes.vbox.machine import Machine, began
from fakes.vbox.transcript import Answer, say
from fakes.vbox.world import World, new_uuid

PROGRAM = __file__.rpartition("/")[0] + "/headless.py"


def startvm(world: World, args: list[str], befalling: set[str]) -> Answer:
    """Start a machine, from its saved state if it has one."""
    name = next((word for word in args if not word.startswith("-")), "")
    machine = world.machine(name)
    if machine is None:
        return say("start-unknown-vm", swap={"'nosuch'": f"'{name}'"})
    if machine.up or faults.LOCKED in befalling:
        return say("lock-start-again", vm=machine.name)
    frontend = args[args.index("--type") + 1] if "--type" in args[:-1] else "headless"
    if frontend not in ("headless", "gui", "sdl", "separate"):
        return say("start-unknown-frontend", swap={"'nonsense'": f"'{frontend}'"})
    if faults.NO_DRIVER in befalling:
        return say("engine-default", vm=machine.name)
    machine.boot()
    if machine.state_file:
        machine.announced = False
    machine.become("running")
    machine.state_file = ""
    machine.pid, machine.began = launch(world, machine)
    world.save(machine)
    machine.wake()
    return say("startvm-k4", vm=machine.name)


def launch(world: World, machine: Machine) -> tuple[int, str]:
    """Start the process; return its id and when it began, once its threads are there."""
    folder = f"{world.fake}/run/{new_uuid()}"
    os.makedirs(folder)
    os.symlink(PROGRAM, f"{folder}/h")
    shown = [
        f"{world.path}/usr/lib/virtualbox/VBoxHeadless",
        *("--comment", machine.name, "--startvm", machine.uuid, "--vrde", "config"),
    ]
    argv = [sys.executable, "-ISE", "h"]
    pad = length(shown) - length(argv) - 1
    if pad < 0:
        raise SystemExit(f"the path of the world must be longer by {-pad} bytes")
    read, write = os.pipe()
    os.set_inheritable(write, True)
    record = world.record(machine.uuid)
    vm = {"record": record, "arguments": shown, "cpus": machine.cpus, "ready": write}
    disk.keep(f"{folder}/vm", vm)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.chdir(folder)
        out = os.open("out", os.O_WRONLY | os.O_CREAT)
        for descriptor in (0, 1, 2):
            os.dup2(out, descriptor)
        os.execv(sys.executable, [*argv, "p" * pad])
    os.close(write)
    if os.read(read, 1) != b"1":
        raise SystemExit(disk.read(f"{folder}/out"))
    return pid, began(pid)


def length(argv: list[str]) -> int:
    """Return the bytes a command line takes in memory."""
    return sum(len(word.encode()) + 1 for word in argv)
