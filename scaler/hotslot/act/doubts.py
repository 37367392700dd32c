"""Doubts: vCPUs of which the hypervisor's list may say other than what the guest has.

A plug may be lost: VirtualBox lists the CPU, the guest never starts it. And what a guest was asked
to give up in vain it may give up later, unseen by a hypervisor that still lists it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

LOST_S = 8.0
"""A plugged vCPU that is not started for so long is lost; a slow guest takes 1-3 s for it."""
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

    ``unseen``: plugged and not seen started. ``asked``: asked of the guest in vain. ``dead``:
    lost, and could not be taken back. Only a hypervisor that ``hides`` things has lost, quiet
    and dead ones: the list of another is the truth.
    """

    def __init__(self, *, hides: bool) -> None:
        self._hides = hides
        self._unseen: dict[int, float] = {}
        self._asked: dict[int, float] = {}
        self._dead: set[int] = set()

    @property
    def any(self) -> bool:
        """Whether anything is in doubt that time or a look may settle."""
        return bool(self._unseen or self._asked or self._dead)

    @property
    def unseen(self) -> frozenset[int]:
        """Plugged vCPUs that the guest was not seen to start yet."""
        return frozenset(self._unseen)

    @property
    def asked(self) -> frozenset[int]:
        """Attached vCPUs that the guest was asked for and may still give up."""
        return frozenset(self._asked)

    @property
    def dead(self) -> frozenset[int]:
        """Listed vCPUs that are of no use until the VM is started again."""
        return frozenset(self._dead)

    def lost(self, now: float) -> frozenset[int]:
        """Return listed vCPUs that the guest never started: to be taken back."""
        if not self._hides:
            return frozenset()
        late = {vcpu for vcpu, plugged in self._unseen.items() if now - plugged >= LOST_S}
        return frozenset(late - self._dead)

    def quiet(self, now: float) -> frozenset[int]:
        """Return listed vCPUs that the guest may have given up unseen."""
        if not self._hides:
            return frozenset()
        return frozenset(v for v, asked_at in self._asked.items() if now - asked_at >= QUIET_S)

    def hidden(self, now: float) -> frozenset[int]:
        """Return vCPUs that are listed as attached, and that the guest does not have."""
        return self.lost(now) | self.dead

    def plugged(self, vcpus: Collection[int], now: float) -> None:
        """Note vCPUs that have been plugged and must be seen running."""
        self._unseen |= dict.fromkeys(vcpus, now)
        for vcpu in vcpus:
            self._asked.pop(vcpu, None)
            self._dead.discard(vcpu)

    def asked_in_vain(self, vcpus: Collection[int], now: float) -> None:
        """Note vCPUs that the guest did not give up: lost ones are dead, others may go yet."""
        self._dead |= self.lost(now) & set(vcpus)
        self._asked |= dict.fromkeys(set(vcpus) - self._dead, now)

    def running(self, vcpus: Collection[int]) -> None:
        """Note vCPUs that the guest has started."""
        for vcpu in vcpus:
            self._unseen.pop(vcpu, None)
            self._dead.discard(vcpu)

    def only(self, listed: Collection[int]) -> None:
        """Forget what the hypervisor no longer lists."""
        for vcpu in (self._unseen.keys() | self._asked.keys() | self._dead) - set(listed):
            self._unseen.pop(vcpu, None)
            self._asked.pop(vcpu, None)
            self._dead.discard(vcpu)

    def clear(self) -> None:
        """Forget everything: the VM has been started again."""
        self.only(())
