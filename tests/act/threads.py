"""Threads for an actuator that a test drives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hotslot.measure.vcpus import VcpuClock


@dataclass(frozen=True)
class Ran:
    """Threads that have run as a function says."""

    ran: Callable[[int, frozenset[int]], frozenset[int]]

    def mark(self, pid: int, vcpus: frozenset[int]) -> None:
        """Nothing to note."""


@dataclass(frozen=True)
class Watched:
    """The threads of one process, by its clock."""

    clock: VcpuClock

    def mark(self, pid: int, vcpus: frozenset[int]) -> None:
        self.clock.mark(vcpus)

    def ran(self, pid: int, vcpus: frozenset[int]) -> frozenset[int]:
        return self.clock.ran(vcpus)
