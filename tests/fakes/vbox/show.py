"""list, showvminfo, guestproperty."""

from __future__ import annotations

import os
import time

from fakes.vbox import faults, snapshots
from fakes.vbox.machine import Machine
from fakes.vbox.transcript import Answer, recorded, say
from fakes.vbox.world import World

LISTS = {
    "hostinfo": "list-hostinfo",
    "hostonlynets": "list-hostonlynets",
    "systemproperties": "list-systemproperties",
    "extpacks": "list-extpacks",
}
SHOWN = {
    "poweroff": "showvminfo-poweroff",
    "running": "showvminfo-running",
    "paused": "paused-show",
    "saved": "showvminfo-saved",
    "aborted": "vmkill-2",
}
"""The transcript of each VMState."""


def lists(world: World, args: list[str], befalling: set[str]) -> Answer:
    """List machines, or what the host has."""
    what = next((word for word in args if not word.startswith("-")), "")
    if what in ("vms", "runningvms"):
        shown = [m for m in world.machines() if what == "vms" or m.up]
        return Answer(0, "".join(f'"{m.name}" {{{m.uuid}}}\n' for m in shown))
    if what == "hostonlyifs":
        there = os.path.exists(f"{world.fake}/vboxnet0")
        return recorded("list-hostonlyifs" if there else "list-hostonlyifs-none")
    if what in LISTS:
        return say(LISTS[what], swap={"/root/VirtualBox VMs": world.machines_folder})
    return say("list-unknown", swap={'"nonsense"': f'"{what}"'})


def showvminfo(world: World, args: list[str], befalling: set[str]) -> Answer:
    """Say what a machine is; only --machinereadable."""
    name = next((word for word in args if not word.startswith("-")), "")
    machine = world.machine(name)
    if machine is None:
        return say("unknown-showvminfo", swap={"'nosuch'": f"'{name}'"})
    if machine.up and faults.LOCKED in befalling:
        return say("starting-locked-show", vm=machine.name)
    helped = machine.state == "running" and machine.guest == "additions"
    answer = recorded("showvminfo-after-timeout" if helped else SHOWN[machine.state])
    theirs = answer.argv[1]
    swapped = answer.stdout.replace(
        f"/root/VirtualBox VMs/{theirs}/{theirs}", f"{machine.folder}/{machine.name}"
    )
    swapped = swapped.replace(f"/root/VirtualBox VMs/{theirs}", machine.folder)
    answer.stdout = "".join(_line(machine, line) for line in swapped.splitlines(keepends=True))
    return answer


def _line(machine: Machine, line: str) -> str:
    """Return a line of the transcript with this machine's value."""
    changed = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(machine.changed))
    key = line.partition("=")[0]
    values: dict[str, str | int] = {
        "name": f'"{machine.name}"',
        "UUID": f'"{machine.uuid}"',
        "hardwareuuid": f'"{machine.uuid}"',
        "memory": machine.memory,
        "cpus": machine.cpus,
        "cpuexecutioncap": machine.cap,
        "defaultfrontend": f'"{machine.frontend}"',
        "VMStateChangeTime": f'"{changed}.{int(machine.changed % 1 * 1000):03}000000"',
        "VMStateFile": f'"{machine.state_file}"',
    }
    if key == "GuestMemoryBalloon" and machine.snapshots:
        return snapshots.listing(machine) + line
    if key == "nic1" and machine.nic:
        return "".join(f'{name}="{value}"\n' for name, value in sorted(machine.nic.items()))
    return f"{key}={values[key]}\n" if key in values else line


def guestproperty(world: World, args: list[str], befalling: set[str]) -> Answer:
    """Get, set or enumerate what the guest and the host tell each other."""
    verb, name, *rest = [*args, "", ""][: max(len(args), 2)]
    machine = world.machine(name)
    if machine is None:
        return say(f"guestproperty-{verb}-unknown-vm", swap={"'nosuch'": f"'{name}'"})
    match verb:
        case "get" if rest[0] in machine.properties:
            return Answer(0, f"Value: {machine.properties[rest[0]][0]}\n")
        case "get":
            return recorded("guestproperty-get-none")
        case "set":
            now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
            machine.properties[rest[0]] = [rest[1], now]
            world.save(machine)
            return recorded("guestproperty-set")
    return _enumerate(machine)


def _enumerate(machine: Machine) -> Answer:
    rows = {key: [repr(value), at] for key, (value, at) in machine.properties.items()}
    if machine.up:
        additions = machine.guest == "additions"
        known = "guestprops-with-vboxservice" if additions else "guestproperty-enumerate"
        for line in recorded(known).stdout.splitlines():
            key, _, rest = line.partition("=")
            value, _, at = rest.partition("@")
            rows.setdefault(key.strip(), [value.strip(), at.strip()])
    if not rows:
        return recorded("guestproperty-enumerate-none")
    keys, values = max(map(len, rows)), max(len(value) for value, _ in rows.values())
    lines = (f"{k:{keys}} = {value:{values}} @ {at}\n" for k, (value, at) in sorted(rows.items()))
    return Answer(0, "".join(lines))
