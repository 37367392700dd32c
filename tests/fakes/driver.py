"""A hypervisor in memory, with faults to order."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

from hotslot.act.driver import VmState
from hotslot.errors import ActionRefused, ActionTimedOut, DriverError, VmGone
from hotslot.model import Finding, Level


class Fault(StrEnum):
    """What goes wrong with one plug or unplug."""

    REFUSE = "refuse: nothing changes, ActionRefused"
    TIME_OUT = "time out: nothing changes, ActionTimedOut after 2 s"
    LATE = "late: ActionTimedOut after 2 s, and the change comes 5 s later"
    LIE = "lie: returns, and nothing has changed"
    HALF = "half: returns, and only the first of the vCPUs has changed"
    SLOW = "slow: works, after 3 s"
    BRIEF = "brief: works, after 0.4 s"
    DEAF = "deaf: attached, but the guest never starts the vCPU"
    HANG = "hang: neither answers nor can be cancelled, until let_go()"
    LOSE = "lose: the VM's process ends"
    BREAK = "break: a bug in the driver"


@dataclass
class FakeVm:
    """One VM; vCPUs run ``online_s`` after they were plugged."""

    max_vcpus: int = 8
    attached: set[int] = field(default_factory=lambda: {0})
    pid: int = 4711
    online_s: float = 0.5
    running_at: dict[int, float] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    unreadable: bool = False
    mute: bool = False
    alive: bool = True


class FakeDriver:
    """A driver of VMs in memory; ``calls`` are the actions that reached it, and when."""

    name = "fake"
    hides = False
    thread_name = r"fake (\d+)"
    machines = None

    def __init__(self, **vms: FakeVm) -> None:
        self.vms = vms or {"w1": FakeVm()}
        self.calls: list[tuple[str, str, frozenset[int]]] = []
        self.called_at: list[float] = []
        self.cancellable = False
        self._let_go = asyncio.Event()
        self._late: set[asyncio.Task[None]] = set()

    def let_go(self) -> None:
        """End all calls that hang."""
        self._let_go.set()
        self._let_go = asyncio.Event()

    def mark(self, pid: int, vcpus: frozenset[int]) -> None:
        """Nothing to note: a vCPU that was unplugged starts anew."""

    def ran(self, pid: int, vcpus: frozenset[int]) -> frozenset[int]:
        """Say which vCPUs of this process run in the guest."""
        now = asyncio.get_running_loop().time()
        for vm in self.vms.values():
            if vm.pid == pid and vm.alive:
                return frozenset(v for v in vcpus if vm.running_at.get(v, now) <= now)
        return frozenset()

    async def state(self, vm: str) -> VmState:
        found = self._alive(vm)
        if found.mute:
            await self._hang()
        if found.unreadable:
            raise DriverError(vm, "its state cannot be read")
        return VmState(frozenset(found.attached), found.max_vcpus, found.pid)

    async def claim(self, vm: str) -> None:
        self._alive(vm)

    async def started(self, vm: str, vcpus: frozenset[int]) -> frozenset[int]:
        return self.ran(self._alive(vm).pid, vcpus)

    async def plug(self, vm: str, vcpus: Collection[int]) -> None:
        self._check(vm, vcpus)
        if missing := set(vcpus) - self.vms[vm].attached:
            await self._act("plug", vm, frozenset(missing))

    async def unplug(self, vm: str, vcpus: Collection[int]) -> None:
        self._check(vm, vcpus)
        if 0 in vcpus:
            raise ActionRefused(vm, "vCPU 0 can never be unplugged")
        if there := set(vcpus) & self.vms[vm].attached:
            await self._act("unplug", vm, frozenset(there))

    async def check(self, vms: Collection[str]) -> list[Finding]:
        alive = {vm: self.vms[vm].alive for vm in vms}
        gone = ("does not run", "start it")
        return [
            Finding(f"VM {vm}", Level.OK, "runs") if up else Finding(f"VM {vm}", Level.WRONG, *gone)
            for vm, up in alive.items()
        ]

    async def close(self) -> None:
        for task in self._late:
            task.cancel()

    def _alive(self, vm: str) -> FakeVm:
        found = self.vms.get(vm)
        if found is None or not found.alive:
            raise VmGone(vm, "does not run")
        return found

    def _check(self, vm: str, vcpus: Collection[int]) -> None:
        most = self._alive(vm).max_vcpus
        if wrong := [index for index in vcpus if not 0 <= index < most]:
            raise ActionRefused(vm, f"has vCPUs 0 to {most - 1}, not {wrong}")

    async def _act(self, what: str, name: str, vcpus: frozenset[int]) -> None:
        vm = self.vms[name]
        self.calls.append((what, name, vcpus))
        self.called_at.append(asyncio.get_running_loop().time())
        match vm.faults.pop(0) if vm.faults else None:
            case Fault.REFUSE:
                raise ActionRefused(name, "the guest said no")
            case Fault.TIME_OUT:
                await asyncio.sleep(2)
                raise ActionTimedOut(name, "the guest did not react")
            case Fault.LATE:
                self._late.add(asyncio.create_task(self._later(5, what, vm, vcpus)))
                await asyncio.sleep(2)
                raise ActionTimedOut(name, "the guest did not react")
            case Fault.LIE:
                return
            case Fault.HALF:
                vcpus = frozenset(sorted(vcpus)[:1])
            case Fault.SLOW:
                await asyncio.sleep(3)
            case Fault.BRIEF:
                await asyncio.sleep(0.4)
            case Fault.HANG:
                await self._hang()
            case Fault.LOSE:
                vm.alive = False
                raise VmGone(name, "its process has ended")
            case Fault.BREAK:
                raise ZeroDivisionError("a bug")
            case Fault.DEAF:
                vm.online_s, before = float("inf"), vm.online_s
                self._change(what, vm, vcpus)
                vm.online_s = before
                return
            case None:
                await asyncio.sleep(0)
        self._change(what, vm, vcpus)

    async def _later(self, delay_s: float, what: str, vm: FakeVm, vcpus: frozenset[int]) -> None:
        await asyncio.sleep(delay_s)
        self._change(what, vm, vcpus)

    async def _hang(self) -> None:
        let_go = self._let_go
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                if self.cancellable:
                    raise

    def _change(self, what: str, vm: FakeVm, vcpus: frozenset[int]) -> None:
        if what == "plug":
            vm.attached |= vcpus
            now = asyncio.get_running_loop().time()
            vm.running_at |= dict.fromkeys(vcpus, now + vm.online_s)
        else:
            vm.attached -= vcpus
