"""Judge: what an attempt came to, from what was read back; pure.

Not what a command returned: one that failed may have worked, one that succeeded may have lied.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from hotslot.errors import (
    ActionRefused,
    ActionTimedOut,
    DriverError,
    GuestRefused,
    GuestSilent,
    HotplugDisabled,
    HotslotError,
    MachineLocked,
    OverCeiling,
    PlugLost,
    ServiceGone,
    VmGone,
)
from hotslot.model import EventResult, ResultKind

_CLASSES: dict[type[HotslotError], EventResult] = {
    VmGone: EventResult.VM_GONE,
    GuestRefused: EventResult.GUEST_REFUSED,
    HotplugDisabled: EventResult.HOTPLUG_DISABLED,
    OverCeiling: EventResult.OVER_CEILING,
    ActionRefused: EventResult.REFUSED,
    GuestSilent: EventResult.GUEST_SILENT,
    ActionTimedOut: EventResult.TIMED_OUT,
    MachineLocked: EventResult.MACHINE_LOCKED,
    ServiceGone: EventResult.SERVICE_GONE,
    PlugLost: EventResult.PLUG_LOST,
}
_OTHER = EventResult.FAILED


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to; the words of ``Event``."""

    from_vcpus: int
    got_vcpus: int
    result: EventResult
    detail: str
    command_s: float = 0.0
    online_s: float | None = None
    overtaken: bool = False

    @property
    def applied(self) -> bool:
        """Whether the VM has the target and its guest uses it."""
        return self.result.kind is ResultKind.APPLIED


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known at an attempt's end.

    ``aim`` is the target as far as the VM can have it, ``limit`` says why it is not the target.
    ``missing`` are attached vCPUs that were not seen running, ``lost`` those that are not in the
    guest at all, ``undo`` ones in doubt that were to be taken back, ``late`` unplugged ones that an
    earlier attempt had asked for in vain. ``overtaken``: a newer target came and the attempt was
    cut short.
    """

    target: int
    aim: int
    got: int
    trouble: HotslotError | None = None
    missing: Collection[int] = ()
    lost: Collection[int] = ()
    late: Collection[int] = ()
    undo: Collection[int] = ()
    limit: str = ""
    overtaken: bool = False


def judge(found: Findings) -> tuple[EventResult, str]:
    """Return the result and, in words, what an administrator should know about it."""
    trouble = words(found.trouble) if found.trouble else ""
    held = f"{vcpus(found.got)} attached"
    if found.undo and found.trouble:
        return _class_of(found.trouble), f"{trouble}; {named(found.undo)} left in doubt; {held}"
    if found.got == found.target and not found.missing:
        told = [
            f"an earlier attempt had asked for {named(found.late)} in vain" if found.late else "",
            f"{named(found.undo)} in doubt taken back" if found.undo else "",
            f"in spite of: {trouble}" if trouble else "",
        ]
        result = EventResult.EJECTED_LATE if found.late else EventResult.APPLIED
        return result, "; ".join(filter(None, told))
    if found.overtaken:
        unseen = f", {named(found.missing)} not yet seen running" if found.missing else ""
        return EventResult.TIMED_OUT, f"cut short by a newer target: {held}{unseen}"
    if found.lost:
        unstarted = f"{named(found.lost)} listed, but the guest never started it"
        return EventResult.PLUG_LOST, f"{trouble or unstarted}; {held}"
    if found.trouble and found.got != found.aim:
        return _class_of(found.trouble), f"{trouble}; {held}"
    if found.got != found.aim:
        return EventResult.FAILED, f"the hypervisor reported success, but has {held}"
    if found.missing:
        return EventResult.TIMED_OUT, f"{held}, but {named(found.missing)} not seen running in time"
    over = found.target > found.aim
    result = EventResult.OVER_CEILING if over else EventResult.REFUSED
    return result, f"{found.limit}; {held}"


def judge_unread(error: HotslotError, trouble: HotslotError | None) -> tuple[EventResult, str]:
    """Return result and words when the VM could not be read, before or after acting."""
    if isinstance(error, VmGone):
        return EventResult.VM_GONE, words(error)
    unread = f"the VM could not be read: {words(error)}"
    if trouble is None:
        return _class_of(error), unread
    return _class_of(trouble), f"{words(trouble)}; then {unread}"


def words(error: HotslotError) -> str:
    """Return what an error says, without the VM's name: an event names its worker."""
    text = str(error)
    return text.removeprefix(f"VM {error.vm}: ") if isinstance(error, DriverError) else text


def named(indexes: Collection[int]) -> str:
    """Name vCPUs in a sentence: ``vCPU 3``, ``vCPUs 1, 2, 3``."""
    listed = ", ".join(str(index) for index in sorted(indexes))
    return f"vCPU {listed}" if len(indexes) == 1 else f"vCPUs {listed}"


def vcpus(number: int) -> str:
    """Count vCPUs in a sentence: ``1 vCPU``, ``4 vCPUs``."""
    return f"{number} vCPU" if number == 1 else f"{number} vCPUs"


def _class_of(error: HotslotError) -> EventResult:
    return next((result for kind, result in _CLASSES.items() if isinstance(error, kind)), _OTHER)
