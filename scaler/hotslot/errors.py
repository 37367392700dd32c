"""What can go wrong; each class says what the agent does about it.

Facts are attributes, the message is one sentence and what to do next.
"""

from __future__ import annotations

from dataclasses import dataclass


class HotslotError(Exception):
    """Base of all errors that hotslot raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in an input: where (a dotted path) and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class ConfigError(HotslotError):
    """The configuration cannot be used: refuse to start, with every problem at once."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems
        super().__init__("\n".join([f"{source}: {len(problems)} problem(s)", *map(str, problems)]))


class DriverError(HotslotError):
    """A hypervisor action failed: record the event, retry with back-off."""

    def __init__(self, vm: str, message: str) -> None:
        self.vm = vm
        super().__init__(f"VM {vm}: {message}")


class VmGone(DriverError):
    """The VM does not run or does not exist: stop acting on it, look again next cycle."""


class AlreadyClaimed(DriverError):
    """Another hotslot sizes this VM: refuse to start."""


class ActionRefused(DriverError):
    """The hypervisor said no: record as refused, retry with back-off."""


class GuestRefused(ActionRefused):
    """The guest said no, or nothing in it can say yes: record as guest refused, retry."""


class HotplugDisabled(ActionRefused):
    """The VM was made without CPU hot-plug: record it; `hotslot workers repair` mends it."""


class OverCeiling(ActionRefused):
    """The VM cannot have such a vCPU: record as over the ceiling, the hypervisor is not asked."""


class PlugLost(DriverError):
    """Plugged, but the guest did not start it: record as plug lost, take another vCPU."""


class ActionTimedOut(DriverError):
    """No answer within the deadline: record as timed out, read back, retry with back-off."""


class GuestSilent(ActionTimedOut):
    """The guest did not react, and still may: record it, look again every second, ask again."""


class MachineLocked(DriverError):
    """Another command or session holds the VM: record it, retry with back-off."""


class ServiceGone(DriverError):
    """The hypervisor's own service is away: record it, retry with back-off."""


class MeterError(HotslotError):
    """A worker could not be measured this cycle: skip this worker, the others go on."""


class SchedulerError(HotslotError):
    """The scheduler said something that cannot be used: guess nothing, ask again later."""


class SchedulerUnavailable(SchedulerError):
    """The scheduler did not answer in time: running leases go on, ask again later."""


class StoreError(HotslotError):
    """The record could not be written: keep it in memory up to the bound, warn, try again."""


class StoreCorrupt(StoreError):
    """The database is damaged, another program's or of a newer version: do not write into it."""


class StoreDamaged(StoreCorrupt):
    """The database is damaged: set it aside, go on with a new one."""


class AgentUnreachable(HotslotError):
    """A command cannot talk to the agent: say how to start it, exit 3."""


class AuditError(HotslotError):
    """The audit log could not be written: keep entries in memory up to the bound, try again.

    ``written`` entries of those that were to be written are in it all the same.
    """

    def __init__(self, message: str, written: int = 0) -> None:
        self.written = written
        super().__init__(message)
