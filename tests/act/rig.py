"""An actuator with a fake VM, a recorder of events and virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from act.threads import Ran
from fakes.driver import FakeDriver, FakeVm, Fault
from hotslot.act.actuator import Actuator
from hotslot.model import Decision, Event


def now() -> float:
    """Virtual time."""
    return asyncio.get_running_loop().time()


def approx(seconds: float | tuple[float, ...]) -> Any:
    """Compare times; a turn of the loop takes a moment."""
    return pytest.approx(seconds, rel=0, abs=0.01)


def decision(to: int, worker: str = "w1", from_vcpus: int = 1) -> Decision:
    """The worker should have this many vCPUs."""
    return Decision(worker, now(), from_vcpus, to, f"wants {to}", detected_at=now() - 1)


@dataclass
class Rig:
    """One worker; ``hold`` does what the loop does: repeat the aim every second."""

    driver: FakeDriver
    actuator: Actuator
    events: list[Event] = field(default_factory=list)

    @property
    def vm(self) -> FakeVm:
        return self.driver.vms[self.actuator.worker]

    @property
    def last(self) -> Event:
        return self.events[-1]

    def want(self, to: int, lease_id: int | None = 7) -> None:
        self.actuator.want(decision(to, self.actuator.worker), lease_id)

    async def hold(self, to: int, seconds: int, lease_id: int | None = 7) -> None:
        """Want this many vCPUs every second for some seconds."""
        for _ in range(seconds):
            self.want(to, lease_id)
            await asyncio.sleep(1)

    async def reach(self, to: int) -> None:
        """Want this many vCPUs and wait for the end of the attempt."""
        self.want(to)
        assert await self.actuator.settled(60)


def rig(
    *faults: Fault,
    driver: FakeDriver | None = None,
    worker: str = "w1",
    slots: asyncio.Semaphore | None = None,
    deadline_s: float = 15.0,
    ran: Callable[[int, frozenset[int]], frozenset[int]] | None = None,
) -> Rig:
    """Build an actuator; the faults befall its VM's next actions, one each."""
    driver = driver or FakeDriver()
    driver.vms[worker].faults.extend(faults)
    events: list[Event] = []
    actuator = Actuator(
        worker,
        worker,
        driver,
        threads=driver if ran is None else Ran(ran),
        on_event=events.append,
        slots=slots or asyncio.Semaphore(4),
        deadline_s=deadline_s,
        monotonic=now,
        wall=now,
    )
    return Rig(driver, actuator, events)
