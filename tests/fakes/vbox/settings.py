"""createvm, modifyvm, clonevm, unregistervm, discardstate, hostonlyif."""

from __future__ import annotations

import os

from fakes.vbox import disk, faults
from fakes.vbox.machine import Machine
from fakes.vbox.transcript import Answer, recorded, say
from fakes.vbox.world import World

MOST_CPUS = 64
FLAGS = {"--register", "--default"}
KNOWN = {
    "--memory", "--ioapic", "--acpi", "--apic", "--x86-pae", "--audio-enabled", "--vram",
    "--graphicscontroller", "--usb-ohci", "--usb-ehci", "--firmware-boot-menu",
    "--firmware-logo-display-time", "--firmware-logo-fade-in", "--firmware-logo-fade-out",
    "--paravirt-provider", "--autostart-delay", "--cpu-profile", "--rtc-use-utc", "--description",
}  # fmt: skip
NUMBERED = ("--nic", "--host-only-adapter", "--hostonlyadapter", "--boot", "--uart", "--cable")


def options(args: list[str]) -> list[tuple[str, str]]:
    """Read ``--key value`` and ``--key=value``, in their order."""
    words, found = list(args), []
    while words:
        key, equals, value = words.pop(0).partition("=")
        if not equals and key not in FLAGS and words:
            value = words.pop(0)
        found.append((key, value))
    return found


def createvm(world: World, args: list[str], befalling: set[str]) -> Answer:
    """Make a machine; the fake registers it in any case."""
    given = dict(options(args))
    name = given.get("--name", "")
    if not name:
        return recorded("createvm-no-name")
    path = f"{world.machines_folder}/{name}/{name}.vbox"
    if os.path.exists(path):
        return say("off-createvm-again", swap={"/root/VirtualBox VMs/w2/w2.vbox": path})
    machine = world.add(name)
    kind = "off-createvm" if "--register" in given else "createvm-unregistered"
    answer = recorded(kind)
    theirs = answer.argv[2]
    answer.stdout = answer.stdout.replace(f"'{theirs}'", f"'{name}'")
    answer.stdout = answer.stdout.replace(f"/root/VirtualBox VMs/{theirs}/{theirs}.vbox", path)
    return _with_uuid(answer, machine.uuid)


def modifyvm(world: World, args: list[str], befalling: set[str]) -> Answer:
    """Change a machine that is off: one option after the other; any mistake undoes them all."""
    name = args[0] if args else ""
    machine = world.machine(name)
    if machine is None:
        return say("modify-unknown-vm", swap={"'nosuch'": f"'{name}'"})
    if machine.up or faults.LOCKED in befalling:
        return say("modifyvm-plug-while-running", vm=machine.name)
    for key, value in options(args[1:]):
        wrong = _modify(machine, key, value)
        if wrong:
            return wrong
    world.save(machine)
    return recorded("off-hotplug-on")


def _modify(machine: Machine, key: str, value: str) -> Answer | None:
    match key:
        case "--cpus":
            return _set_cpus(machine, int(value))
        case "--cpu-hotplug" | "--cpuhotplug":
            return _set_hotplug(machine, value == "on")
        case "--plug-cpu" | "--plugcpu":
            return _plug(machine, int(value))
        case "--unplug-cpu" | "--unplugcpu":
            return _unplug(machine, int(value))
        case "--memory" if int(value) < 4:
            return say("modify-memory-1", swap={"size: 1 MB": f"size: {value} MB"})
        case "--memory":
            machine.memory = int(value)
        case "--cpu-execution-cap" | "--cpuexecutioncap":
            machine.cap = int(value)
        case "--autostart-enabled" if value == "on":
            return recorded("modify-autostart-no-database")
        case "--default-frontend" | "--defaultfrontend":
            machine.frontend = "" if value == "default" else value
        case "--vm-execution-engine":
            machine.engine = value.capitalize()
        case "--nic1" | "--host-only-adapter1":
            machine.nic[key.strip("-").replace("-", "")] = value
        case _ if key not in KNOWN and not key.startswith(NUMBERED):
            return say("modify-unknown-option", swap={"option: --bogus": f"option: {key}"})
    return None


def _set_cpus(machine: Machine, count: int) -> Answer | None:
    if not 1 <= count <= MOST_CPUS:
        return say("off-modify-cpus65", swap={"count: 65": f"count: {count}"})
    above = [index for index in machine.attached if index >= count]
    if machine.hotplug and above:
        return say("modify-cpus-below-attached", swap={"socket 2": f"socket {above[0]}"})
    machine.cpus = count
    if not machine.hotplug:
        machine.attached = list(range(count))
    return None


def _set_hotplug(machine: Machine, on: bool) -> Answer | None:
    if machine.hotplug and not on and len(machine.attached) < machine.cpus:
        return recorded("off-hotplug-off")
    machine.hotplug = on
    return None


def _plug(machine: Machine, index: int) -> Answer | None:
    if not machine.hotplug:
        return recorded("off-plug-hotplug-off")
    if index >= machine.cpus:
        return say("off-modify-plug-cpu4", swap={"[0:3]": f"[0:{machine.cpus - 1}]"})
    if index in machine.attached:
        return say("off-modify-plug-cpu1-again", swap={"CPU 1": f"CPU {index}"})
    machine.attached = sorted([*machine.attached, index])
    return None


def _unplug(machine: Machine, index: int) -> Answer | None:
    if not machine.hotplug:
        return recorded("off-unplug-hotplug-off")
    if index == 0:
        return recorded("off-modify-unplug-cpu0")
    if index not in machine.attached:
        return say("off-modify-unplug-cpu1", swap={"CPU 1": f"CPU {index}"})
    machine.attached = [i for i in machine.attached if i != index]
    return None


def clonevm(world: World, args: list[str], befalling: set[str]) -> Answer:
    """Make a machine like a snapshot of another."""
    name, given = (args or [""])[0], dict(options(args[1:]))
    machine = world.machine(name)
    if machine is None:
        return say("clone-unknown-vm", swap={"'nosuch'": f"'{name}'"})
    wanted = given.get("--snapshot", "")
    snapshot = machine.snapshot(wanted)
    if not machine.snapshots:
        return recorded("clone-without-snapshots")
    if snapshot is None:
        return say("clone-unknown-snapshot", swap={"'nosuch'": f"'{wanted}'"})
    new = given.get("--name", f"{name} Clone")
    path = f"{world.machines_folder}/{new}/{new}.vbox"
    if os.path.exists(path):
        return say("clone-exists", swap={"/root/VirtualBox VMs/d2/d2.vbox": path})
    clone = world.add(new)
    clone.cpus, clone.attached = snapshot["cpus"], list(snapshot["attached"])
    clone.hotplug, clone.engine, clone.memory = machine.hotplug, machine.engine, machine.memory
    clone.guest = machine.guest
    world.save(clone)
    return say("off-clone-linked", swap={'"w1c"': f'"{new}"'})


def unregistervm(world: World, args: list[str], befalling: set[str]) -> Answer:
    """Forget a machine, with its files if asked."""
    names = [word for word in args if not word.startswith("--")]
    machine = world.machine(names[0]) if names else None
    if machine is None:
        return say("unknown-unregister", swap={"'nosuch'": f"'{''.join(names)}'"})
    if machine.up or faults.LOCKED in befalling:
        return say("unregister-running", vm=machine.name)
    deleting = "--delete" in args or "--delete-all" in args
    world.remove(machine, files=deleting)
    return recorded("off-unregister-w2") if deleting else Answer(0)


def discardstate(world: World, args: list[str], befalling: set[str]) -> Answer:
    """Throw a saved state away."""
    name = args[0] if args else ""
    machine = world.machine(name)
    if machine is None:
        return say("discardstate-unknown-vm", swap={"'nosuch'": f"'{name}'"})
    if machine.up or faults.LOCKED in befalling:
        return say("discardstate-running", vm=machine.name)
    if machine.state != "saved":
        return recorded("discardstate-off")
    machine.become("poweroff")
    machine.state_file = ""
    world.save(machine)
    return recorded("discardstate-k4")


def hostonlyif(world: World, args: list[str], befalling: set[str]) -> Answer:
    """Make or set up the one host-only interface."""
    there = f"{world.fake}/vboxnet0"
    if faults.NO_DRIVER in befalling:
        return recorded("hostonlyif-create-no-driver")
    if args[:1] == ["create"]:
        disk.write(there, "")
        return recorded("hostonlyif-create")
    if os.path.exists(there) and args[1:2] == ["vboxnet0"]:
        return recorded("hostonlyif-ipconfig")
    name = args[1] if len(args) > 1 else ""
    return say("hostonlyif-ipconfig-unknown", swap={"'vboxnet0'": f"'{name}'"})


def _with_uuid(answer: Answer, uuid: str) -> Answer:
    before, _, after = answer.stdout.partition("UUID: ")
    answer.stdout = f"{before}UUID: {uuid}{after[36:]}"
    return answer
