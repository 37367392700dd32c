"""VMs whose QEMU ends by itself while a campaign runs: told, started anew, counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from live.campaign_plan import FaultKind
from live.campaign_story import Injected
from testbed.errors import TestbedError, log_tail

BOOTS_WITHIN_S = 150.0

MOST_ENDS = 3
"""A VM that ends by itself more often than this has a fault of its own: the campaign ends."""


class Vm(Protocol):
    """A worker, as far as it can end and be started."""

    name: str
    log_dir: Path

    @property
    def died(self) -> bool: ...

    @property
    def exit_code(self) -> int | None: ...

    def start(self) -> None: ...

    def answers(self) -> bool: ...


@dataclass
class _End:
    began: float
    booting: bool = True


class Vms:
    """Looks after the workers' VMs; ``look`` is to be called about once a second."""

    def __init__(
        self,
        workers: Sequence[Vm],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.ended: list[Injected] = []
        """Those that are back, as faults which nobody injected."""
        self._workers = workers
        self._say = say
        self._clock = clock
        self._ends: dict[str, list[_End]] = {worker.name: [] for worker in workers}

    def look(self) -> None:
        """Start what has ended; TestbedError when a VM cannot be had back."""
        for worker in self._workers:
            ends = self._ends[worker.name]
            if worker.died:
                self._start(worker, ends)
            elif ends and ends[-1].booting:
                self._await_boot(worker, ends[-1])

    def _start(self, worker: Vm, ends: list[_End]) -> None:
        tail = log_tail(worker.log_dir / "qemu.log")
        how = f"QEMU of {worker.name} ended by itself, exit code {worker.exit_code}"
        self._say(f"{how}; it is started anew\n{tail}")
        ends.append(_End(self._clock()))
        if len(ends) > MOST_ENDS:
            raise TestbedError(f"{how}, {len(ends)} times\n{tail}")
        worker.start()

    def _await_boot(self, worker: Vm, end: _End) -> None:
        now = self._clock()
        if worker.answers():
            end.booting = False
            fault = Injected(FaultKind.VM_KILLED, worker.name, end.began, now, by_itself=True)
            self.ended.append(fault)
            self._say(f"{worker.name} is back after {now - end.began:.1f} s")
        elif now - end.began > BOOTS_WITHIN_S:
            raise TestbedError(
                f"QEMU of {worker.name} ended by itself, and it does not boot within "
                f"{BOOTS_WITHIN_S:g} s\n{log_tail(worker.log_dir / 'console.log')}"
            )
