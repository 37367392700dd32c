"""snapshot take, list, restore, delete."""

from __future__ import annotations

import time

from fakes.vbox.machine import Machine
from fakes.vbox.transcript import Answer, recorded, say
from fakes.vbox.world import World, new_uuid


def snapshot(world: World, args: list[str], befalling: set[str]) -> Answer:
    """Keep, list, bring back or forget a machine's settings and state."""
    name, verb, *rest = [*args, "", ""][: max(len(args), 2)]
    machine = world.machine(name)
    if machine is None:
        return say("snapshot-unknown-vm", swap={"'nosuch'": f"'{name}'"})
    match verb:
        case "take":
            return _take(world, machine, rest[0])
        case "list":
            return _list(machine, "--machinereadable" in rest)
        case "restore" | "delete":
            return _find(world, machine, verb, rest[0])
    return recorded("unknown-command")


def _take(world: World, machine: Machine, name: str) -> Answer:
    machine.snapshots.append(
        {
            "name": name,
            "uuid": new_uuid(),
            "parent": machine.current,
            "taken": time.time(),
            "cpus": machine.cpus,
            "attached": list(machine.attached),
            "state_file": f"{machine.folder}/Snapshots/{name}.sav"
            if machine.up
            else machine.state_file,
        }
    )
    answer = recorded("off-snapshot")
    answer.stdout = answer.stdout.replace(answer.stdout.split()[-1], machine.snapshots[-1]["uuid"])
    machine.current = machine.snapshots[-1]["uuid"]
    world.save(machine)
    return answer


def _list(machine: Machine, machinereadable: bool) -> Answer:
    if not machine.snapshots:
        return recorded("snapshot-list-none")
    return Answer(0, listing(machine) if machinereadable else tree(machine, "", 3))


def listing(machine: Machine) -> str:
    """Return the lines that a program reads."""
    lines, nodes = [], dict[str, str]()
    for kept in machine.snapshots:
        node = f"{nodes.get(kept['parent'], '')}" + ("-1" if kept["parent"] else "")
        while node in nodes.values():
            node = f"{node[:-1]}{int(node[-1]) + 1}"
        nodes[kept["uuid"]] = node
        lines += [f'SnapshotName{node}="{kept["name"]}"', f'SnapshotUUID{node}="{kept["uuid"]}"']
    now = machine.snapshot(machine.current)
    if now is not None:
        lines += [
            f'CurrentSnapshotName="{now["name"]}"',
            f'CurrentSnapshotUUID="{now["uuid"]}"',
            f'CurrentSnapshotNode="SnapshotName{nodes[now["uuid"]]}"',
        ]
    return "".join(line + "\n" for line in lines)


def tree(machine: Machine, parent: str, depth: int) -> str:
    """Return the lines that a person reads."""
    lines = ""
    for kept in machine.snapshots:
        if kept["parent"] == parent:
            mark = " *" if kept["uuid"] == machine.current else ""
            lines += f"{' ' * depth}Name: {kept['name']} (UUID: {kept['uuid']}){mark}\n"
            lines += tree(machine, kept["uuid"], depth + 3)
    return lines


def _find(world: World, machine: Machine, verb: str, name: str) -> Answer:
    kept = machine.snapshot(name)
    if not machine.snapshots:
        return recorded("snapshot-restore-without-any")
    if kept is None:
        return say("snapshot-restore-unknown", swap={"'nosuch'": f"'{name}'"})
    word = "snapshot-restore" if verb == "restore" else "snapshot-delete"
    if verb == "restore" and machine.up:
        word = "snapshot-restore-running"
    answer = recorded(word)
    theirs, uuid = answer.stdout.split()[2:4]
    answer.stdout = answer.stdout.replace(theirs, f"'{kept['name']}'")
    answer.stdout = answer.stdout.replace(uuid, f"({kept['uuid']})")
    if answer.rc == 0 and verb == "restore":
        machine.cpus, machine.attached = kept["cpus"], list(kept["attached"])
        machine.current, machine.state_file = kept["uuid"], kept["state_file"]
        machine.become("saved" if kept["state_file"] else "poweroff")
    elif answer.rc == 0:
        machine.snapshots.remove(kept)
        for child in machine.snapshots:
            if child["parent"] == kept["uuid"]:
                child["parent"] = kept["parent"]
        if machine.current == kept["uuid"]:
            machine.current = kept["parent"]
    world.save(machine)
    return answer
