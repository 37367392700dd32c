"""controlvm. Its acpipowerbutton moves no guest."""

from __future__ import annotations

import os
import time

from fakes.vbox import disk, faults
from fakes.vbox.machine import Machine
from fakes.vbox.transcript import Answer, recorded, say
from fakes.vbox.world import World

EJECT_S = 0.85
"""How long a guest with Guest Additions takes to eject."""
LATE_S = 2.0
"""How long after VirtualBox has given up a slow guest ejects."""
TOP_INDEX = 32
"""VBoxManage takes no greater CPU number, however many CPUs there are."""


def controlvm(world: World, args: list[str], befalling: set[str]) -> Answer:
    """Change a running machine."""
    if len(args) < 2:
        return recorded("controlvm-no-subcommand")
    name, verb, *rest = args
    machine = world.machine(name)
    if machine is None:
        return say("unknown-vm", swap={"'nosuchvm'": f"'{name}'"})
    if not machine.up:
        return say("controlvm-not-running", vm=name)
    if faults.LOCKED in befalling:
        return say("starting-locked", vm=machine.name)
    match verb:
        case "plugcpu" | "unplugcpu" if not rest:
            return recorded("plug-noarg" if verb == "plugcpu" else "unplug-noarg")
        case "plugcpu":
            return _plug(world, machine, rest[0], befalling)
        case "unplugcpu":
            return _unplug(world, machine, rest[0], befalling)
        case "cpuexecutioncap":
            return _cap(world, machine, (rest or ["0"])[0])
        case "pause" | "resume":
            return _pause(world, machine, verb == "pause")
        case "poweroff":
            machine.end()
            machine.become("poweroff")
            world.save(machine)
            return recorded("poweroff5")
        case "savestate":
            return _savestate(world, machine)
        case "reset":
            machine.boot()
            world.save(machine, settings=False)
            machine.wake()
            return recorded("reset")
        case "acpipowerbutton":
            return recorded("acpipowerbutton")
    return say("controlvm-unknown-subcommand", swap={"'frobnicate'": f"'{verb}'"})


def _index(word: str) -> tuple[int, str]:
    """Read an index as VBoxManage does: what it finds wrong is said and becomes 0."""
    if word.isascii() and word.isdigit() and 1 <= int(word) <= TOP_INDEX:
        return int(word), ""
    return 0, f"VBoxManage: error: Invalid CPU number '{word}'.\n"


def _plug(world: World, machine: Machine, word: str, befalling: set[str]) -> Answer:
    index, words = _index(word)
    if not machine.hotplug:
        answer = recorded("nohotplug-plug")
    elif index >= machine.cpus:
        answer = say("plug-beyond-max", swap={"[0:3]": f"[0:{machine.cpus - 1}]"})
    elif index in machine.attached:
        answer = say("plug-already-attached", swap={"CPU 1": f"CPU {index}"})
    elif machine.state == "paused":
        answer = recorded("paused-plug")
    elif faults.STARTING in befalling:
        answer = recorded("starting-invalid-state")
    else:
        machine.attached = sorted([*machine.attached, index])
        if faults.STUCK_PLUG in befalling:
            machine.stuck.append(index)
        elif machine.guest and faults.LOST_PLUG not in befalling:
            machine.online = sorted({*machine.online, index})
        world.save(machine)
        machine.wake()
        answer = recorded("plug1")
    answer.stderr = words + answer.stderr
    return answer


def _unplug(world: World, machine: Machine, word: str, befalling: set[str]) -> Answer:
    index, words = _index(word)
    if not machine.hotplug:
        answer = recorded("nohotplug-unplug")
    elif index == 0:
        answer = recorded("unplug-garbage")
        answer.stderr = words + answer.stderr.partition("\n")[2]
        return answer
    elif index not in machine.attached:
        answer = say("unplug-not-attached", swap={"CPU 3": f"CPU {index}"})
    elif machine.state == "paused":
        answer = recorded("paused-unplug-attached")
    elif not machine.announced or faults.NO_ADDITIONS in befalling:
        answer = recorded("unplug-no-guest-additions")
        answer.after(answer.seconds)
    elif index in machine.stuck:
        answer = recorded("unplug2-lost-event")
        answer.after(answer.seconds)
    elif index not in machine.online:
        answer = recorded("unplug-after-late-eject")
        _detach(world, machine, index)
    else:
        answer = _ask_guest(world, machine, index, befalling)
    answer.stderr = words + answer.stderr
    return answer


def _ask_guest(world: World, machine: Machine, index: int, befalling: set[str]) -> Answer:
    if befalling & {faults.DEAF, faults.LATE_EJECT}:
        answer = recorded("unplug-guest-not-ejecting")
        if faults.LATE_EJECT in befalling:
            late_s = (answer.seconds + LATE_S) * world.time_scale
            machine.ejecting[str(index)] = time.time() + late_s
            world.save(machine, settings=False)
            machine.wake()
        return answer.after(answer.seconds)

    def eject() -> None:
        now = world.machine(machine.uuid)
        if now is not None and now.up:
            _detach(world, now, index)

    return recorded("unplug-with-additions").after(EJECT_S, eject)


def _detach(world: World, machine: Machine, index: int) -> None:
    machine.attached = [i for i in machine.attached if i != index]
    machine.online = [i for i in machine.online if i != index]
    machine.ejecting.pop(str(index), None)
    world.save(machine)
    machine.wake()


def _cap(world: World, machine: Machine, word: str) -> Answer:
    cap = int(word) if word.isascii() and word.isdigit() and int(word) <= 100 else 0
    if cap == 0:
        return say("cpuexecutioncap-0", swap={"number '0'": f"number '{word}'"})
    if machine.state == "paused":
        return recorded("paused-cpuexecutioncap")
    machine.cap = cap
    world.save(machine)
    return recorded("cpuexecutioncap-50")


def _pause(world: World, machine: Machine, paused: bool) -> Answer:
    if paused == (machine.state == "paused"):
        return recorded("pause-again" if paused else "resume-running")
    machine.become("paused" if paused else "running")
    world.save(machine, settings=False)
    machine.wake()
    return recorded("pause" if paused else "resume-k4")


def _savestate(world: World, machine: Machine) -> Answer:
    machine.end()
    machine.become("saved")
    stamp = time.strftime("%Y-%m-%dT%H-%M-%S-000000000Z", time.gmtime(machine.changed))
    machine.state_file = f"{machine.folder}/Snapshots/{stamp}.sav"
    os.makedirs(f"{machine.folder}/Snapshots", exist_ok=True)
    disk.write(machine.state_file, "")
    world.save(machine)
    return recorded("savestate")
