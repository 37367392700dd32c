"""What hotslot asks of a hypervisor.

Found by entry point ``hotslot.drivers``: a callable ``connect(settings) -> Driver``.
A driver does exactly one thing a call and keeps no opinion: the actuator reads, acts once and
reads back. vCPU indexes are 0 … max_vcpus - 1; index 0 is never unplugged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from hotslot.errors import ConfigError, Problem
from hotslot.model import Finding
from hotslot.registry import one_entry_point


@dataclass(frozen=True, slots=True)
class VmState:
    """A running VM as its hypervisor says: attached vCPU indexes, how many are possible, and the
    process on this host that runs it.

    ``capped``: all its vCPUs are plugged and their time is limited; ``attached`` is what that is
    worth, and a change needs no guest. ``dead``: vCPUs that a hypervisor lists and the guest does
    not have; not ``attached``, and not to be plugged. A driver leaves that to ``Vm``.
    """

    attached: frozenset[int]
    max_vcpus: int
    pid: int
    capped: bool = False
    dead: frozenset[int] = frozenset()


class StepKind(StrEnum):
    """What became of a step.

    ``WAITING``: it is under way. ``ADVICE``: a person may want to do it. ``LEFT``: it must be done
    and was not.
    """

    DONE = "done"
    ALREADY = "already"
    WAITING = "waiting"
    ADVICE = "advice"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of making or keeping a VM: what is so now, or what to do, in words."""

    kind: StepKind
    words: str


@dataclass(frozen=True, slots=True)
class NewMachine:
    """A worker VM to be; ``network`` is a host-only one, '' means the only one that there is."""

    name: str
    template: str
    vcpus: int
    memory_mib: int
    network: str = ""


class Machines(Protocol):
    """Makes, keeps and removes VMs, for commands; each yields its steps as they come.

    Each may be repeated: what is so already is said and left alone. A result is what was read
    back. Any may raise VmGone (there is no such VM), ActionRefused (with what to do first) or
    another DriverError; the steps before it were done.
    """

    def add(self, wanted: NewMachine) -> AsyncIterator[Step]:
        """Clone a template, ready for hot-plug; the VM does not start."""
        ...

    def remove(self, vm: str, *, force: bool) -> AsyncIterator[Step]:
        """Delete a VM and its disks; with ``force`` also one that runs or was made by others."""
        ...

    def start(self, vm: str) -> AsyncIterator[Step]:
        """Start a VM and wait until it runs."""
        ...

    def stop(self, vm: str, *, timeout_s: float, force: bool) -> AsyncIterator[Step]:
        """Press the power button and wait, or with ``force`` switch it off."""
        ...

    def repair(self, vm: str) -> AsyncIterator[Step]:
        """Mend what stops hot-plug; of a running VM, what can be, and say what needs a stop."""
        ...


class Driver(Protocol):
    """One hypervisor; tests/act/conformance.py says the same in tests.

    Any call may raise VmGone, DriverError or ActionTimedOut, and is cancelled when its deadline
    passes or nobody needs it any more: then it should end within 0.2 s, or the VM counts as stuck
    until it does. At most one plug or unplug of a VM runs at a time; ``state`` may run beside it.
    """

    name: str
    hides: bool
    """Whether its list may say other than what the guest has; see act/doubts.py."""
    thread_name: str
    """Regular expression of a vCPU thread's name, its index in group 1."""

    @property
    def machines(self) -> Machines | None:
        """What makes and keeps VMs; None where hotslot leaves that to others."""
        ...

    async def state(self, vm: str) -> VmState:
        """Read the attached set; changes nothing.

        VmGone means that the VM does not run, never that it could not be asked: its job's lease
        is closed for it.
        """
        ...

    async def claim(self, vm: str) -> None:
        """Be the only hotslot that acts on this VM, until ``close``.

        AlreadyClaimed when another process has it, VmGone when there is no such VM; a driver
        whose hypervisor admits one client only has nothing to do.
        """
        ...

    async def started(self, vm: str, /, vcpus: frozenset[int]) -> frozenset[int]:
        """Return those of these attached vCPUs that the guest has started; changes nothing.

        Asked of a driver that ``hides`` only, of vCPUs whose threads have run: elsewhere that is
        enough.
        """
        ...

    async def plug(self, vm: str, vcpus: Collection[int]) -> None:
        """Attach these vCPUs and return once the hypervisor has answered.

        An index that is attached already is no error; one that the VM cannot have is refused
        before the hypervisor sees it. A driver that ``hides`` returns once the guest has started
        them, or raises PlugLost. Raises ActionRefused or DriverError.
        """
        ...

    async def unplug(self, vm: str, vcpus: Collection[int]) -> None:
        """Detach these vCPUs and return once the hypervisor says that they are gone.

        An index that is not attached is no error; index 0, or one that the VM cannot have, is
        refused before the hypervisor sees it. Raises ActionRefused when the guest says no,
        ActionTimedOut when it does not react within the driver's own limit, 10 s. What a guest
        was asked for it may still do later, also after a cancellation.
        """
        ...

    async def check(self, vms: Collection[str]) -> list[Finding]:
        """Look for what would stop hot-plug, each with what to do about it; changes nothing."""
        ...

    async def close(self) -> None:
        """Let go of connections; VMs go on, and a later call connects again."""
        ...


def connect(name: str, settings: Mapping[str, object]) -> Driver:
    """Connect to the hypervisor registered under this name; ConfigError if there is none."""
    factory: Callable[[Mapping[str, object]], Driver] = one_entry_point(
        "hotslot.drivers", name, "driver.name"
    )
    try:
        return factory(settings)
    except ValueError as error:
        raise ConfigError("configuration", [Problem("driver", str(error))]) from error
