"""Doubts: vCPUs of which the hypervisor's list may say other than what the guest has.

A plug may be lost: VirtualBox lists the CPU, the guest never starts it. And what a guest was asked
to give up in vain it may give up later, unseen by a hypervisor that still lists it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

LOST_S = 8.0
"""A plugged vCPU is started by then, or lost; a slow guest takes 1-3 s for it."""
QUIET_S = 5.0
"""So long after a guest was asked for a vCPU in vain, and it is wanted, it is asked once more."""


class Threads(Protocol):
    """The host's threads of a VM's vCPUs. Cheap; HotslotError when a process cannot be read."""

    def mark(self, pid: int, vcpus: frozenset[int]) -> None:
        """Count these vCPUs' run time from now on."""

    def ran(self, pid: int, vcpus: frozenset[int]) -> frozenset[int]:
        """Return those of the vCPUs that have run in the guest since their mark."""
        ...


class Doubts:
    """What is in doubt about one VM's vCPUs; times are the event loop's.

    ``unseen``: plugged and not seen started. ``lost``: listed, and the guest was found not to have
    started it. ``asked``: asked of the guest in vain. ``dead``: lost, and could not be taken back.
    Only a hypervisor that ``hides`` things has overdue, lost, quiet and dead ones: the list of
    another is the truth.
    """

    def __init__(self, *, hides: bool) -> None:
        self._hides = hides
        self._unseen: dict[int, float] = {}
        self._lost: set[int] = set()
        self._asked: dict[int, float] = {}
        self._dead: set[int] = set()

    @property
    def unseen(self) -> frozenset[int]:
        """Plugged vCPUs that the guest was not seen to start yet."""
        return frozenset(self._unseen)

    @property
    def lost(self) -> frozenset[int]:
        """Listed vCPUs that the guest does not have: to be taken back."""
        return frozenset(self._lost)

    @property
    def asked(self) -> frozenset[int]:
        """Attached vCPUs that the guest was asked for and may still give up."""
        return frozenset(self._asked)

    @property
    def dead(self) -> frozenset[int]:
        """Listed vCPUs that are of no use until the VM is started again."""
        return frozenset(self._dead)

    @property
    def hidden(self) -> frozenset[int]:
        """Listed vCPUs that the guest does not have."""
        return self.lost | self.dead

    def overdue(self, now: float) -> frozenset[int]:
        """Return vCPUs that should have been seen started by now: to be looked at."""
        if not self._hides:
            return frozenset()
        return frozenset(v for v, plugged in self._unseen.items() if now - plugged >= LOST_S)

    def quiet(self, now: float) -> frozenset[int]:
        """Return listed vCPUs that the guest may have given up unseen."""
        if not self._hides:
            return frozenset()
        return frozenset(v for v, asked_at in self._asked.items() if now - asked_at >= QUIET_S)

    def plugged(self, vcpus: Collection[int], now: float) -> None:
        """Note vCPUs that have been plugged and must be seen started."""
        self.running(vcpus)
        self._unseen |= dict.fromkeys(vcpus, now)
        for vcpu in vcpus:
            self._asked.pop(vcpu, None)

    def running(self, vcpus: Collection[int]) -> None:
        """Note vCPUs that the guest has started."""
        for vcpu in vcpus:
            self._unseen.pop(vcpu, None)
        self._lost.difference_update(vcpus)
        self._dead.difference_update(vcpus)

    def not_started(self, vcpus: Collection[int]) -> None:
        """Note vCPUs that were looked at, and that the guest has not started in time."""
        for vcpu in vcpus:
            self._unseen.pop(vcpu, None)
        self._lost |= set(vcpus) - self._dead

    def asked_in_vain(self, vcpus: Collection[int], now: float) -> None:
        """Note vCPUs that the guest did not give up: lost ones are dead, others may go yet."""
        self._dead |= self._lost & set(vcpus)
        self._lost -= self._dead
        self._asked |= dict.fromkeys(set(vcpus), now)
        for vcpu in self._dead:
            self._asked.pop(vcpu, None)

    def only(self, listed: Collection[int]) -> None:
        """Forget what the hypervisor no longer lists."""
        for vcpu in (self._unseen.keys() | self._asked.keys()) - set(listed):
            self._unseen.pop(vcpu, None)
            self._asked.pop(vcpu, None)
        self._lost.intersection_update(listed)
        self._dead.intersection_update(listed)

    def clear(self) -> None:
        """Forget everything: the VM has been started again."""
        self.only(())
