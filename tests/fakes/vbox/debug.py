"""debugvm getregisters: where a vCPU stands, in the form that VirtualBox 7.2.22 prints."""

from __future__ import annotations

from fakes.vbox.transcript import Answer, say
from fakes.vbox.world import World

AT_RESET = "rip = 0x000000000000fff0\ncs = 0xf000\n"
IN_LINUX = "rip = 0xffffffff816bf867\ncs = 0x0010\n"


def debugvm(world: World, args: list[str], befalling: set[str]) -> Answer:
    """Say rip and cs of one vCPU; those of others than a running VM's are not asked for."""
    machine = world.machine(args[0])
    if machine is None:
        return say("unknown-vm", swap={"'nosuchvm'": f"'{args[0]}'"})
    if not machine.up:
        return say("controlvm-not-running", swap={"'w1'": f"'{machine.name}'"})
    vcpu = int(next(word for word in args if word.startswith("--cpu=")).removeprefix("--cpu="))
    return Answer(0, IN_LINUX if vcpu in machine.online else AT_RESET)
