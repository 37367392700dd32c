"""What VirtualBox says of one VM now: its state, and the settings that hotslot needs."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hotslot.act.machine_names import problem_of_known
from hotslot.act.virtualbox_answers import Answer, properties, trouble
from hotslot.act.virtualbox_command import CALL_S, VBoxManage
from hotslot.act.virtualbox_file import Settings
from hotslot.errors import VmGone

OFF = frozenset({"poweroff", "aborted", "teleported"})
SAVED = frozenset({"saved", "aborted-saved"})
"""VMState's words, as VBoxManage writes them; all others mean that a process has the VM."""

NODE_PROPERTY = "/hotslot/node"
"""The guest property by which an image knows its worker's name, and hotslot its own VMs."""

SettingsOf = Callable[[str], Awaitable[Settings]]
PidOf = Callable[[Settings], int | None]


@dataclass(frozen=True, slots=True)
class Look:
    """One VM at one moment; ``told`` is ``showvminfo --machinereadable``."""

    told: dict[str, str]
    settings: Settings

    @property
    def state(self) -> str:
        """VMState's word."""
        return self.told.get("VMState", "unknown")

    @property
    def off(self) -> bool:
        """Whether it is switched off and keeps no saved state: its settings can be changed."""
        return self.state in OFF


class Asking:
    """Asks VBoxManage about VMs; every answer of it that names an error is raised."""

    def __init__(self, manage: VBoxManage, settings_of: SettingsOf, pid_of: PidOf) -> None:
        self._manage = manage
        self._settings_of = settings_of
        self.pid_of = pid_of

    async def call(self, vm: str, *arguments: str, limit_s: float = CALL_S) -> Answer:
        """Run one call about a VM."""
        answer = await self._manage.ask(vm, *arguments, limit_s=limit_s)
        if error := trouble(vm, answer):
            raise error
        return answer

    async def told(self, vm: str) -> dict[str, str]:
        """Return what showvminfo tells; VmGone when there is no such VM."""
        if problem := problem_of_known(vm):
            raise VmGone(vm[:80], problem)
        answer = await self.call(vm, "showvminfo", vm, "--machinereadable")
        return properties(answer.out)

    async def exists(self, vm: str) -> bool:
        """Tell whether VirtualBox knows a VM of this name."""
        try:
            await self.told(vm)
        except VmGone:
            return False
        return True

    async def look(self, vm: str) -> Look:
        """Read a VM anew."""
        told = await self.told(vm)
        return Look(told, await self._settings_of(vm))

    async def node_of(self, vm: str) -> str:
        """Return the worker's name that its image will find, '' if hotslot gave it none."""
        answer = await self.call(vm, "guestproperty", "get", vm, NODE_PROPERTY)
        found = re.search(r"^Value: (.*)$", answer.out, re.MULTILINE)
        return found[1].strip() if found else ""

    async def snapshots(self, vm: str) -> frozenset[str]:
        """Return the names of a VM's snapshots."""
        # A VM without any is an error to VBoxManage, which it says on stdout.
        answer = await self._manage.ask(vm, "snapshot", vm, "list", "--machinereadable")
        if answer.error and (error := trouble(vm, answer)):
            raise error
        listed = properties(answer.out)
        return frozenset(value for key, value in listed.items() if key.startswith("SnapshotName"))

    async def networks(self, vm: str) -> dict[str, str]:
        """Return the host-only networks with the host's address on each."""
        answer = await self.call(vm, "list", "hostonlyifs")
        found: dict[str, str] = {}
        name = ""
        for line in answer.out.splitlines():
            key, _, value = line.partition(":")
            if key == "Name":
                name = value.strip()
                found[name] = ""
            elif key == "IPAddress" and name:
                found[name] = value.strip()
        return found
