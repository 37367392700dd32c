"""What VBoxManage's answers mean; pure.

Its exit code is 0 or 1 (2 for wrong usage), so the text of the error decides. Texts are those of
VirtualBox 7.2 (tests/transcripts/virtualbox) and the result codes that its API documents. Progress
goes to stderr, and Debian's wrapper writes warnings to stdout: neither is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hotslot.errors import (
    ActionRefused,
    DriverError,
    GuestRefused,
    GuestSilent,
    HotplugDisabled,
    MachineLocked,
    OverCeiling,
    ServiceGone,
    VmGone,
)

SILENT_S = 5.0
"""An unplug that a guest without Guest Additions refuses ends in 0.1-0.4 s, one that a guest does
not react to in 10.2-10.5 s, with the same words."""

_ERROR = re.compile(r"^VBoxManage(?:\.exe)?: error: (.+)$", re.MULTILINE)
_WORDS_AT_MOST = 300
_REGISTER = re.compile(r"^(rip|cs) = 0x([0-9a-f]{1,16})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answer:
    """One call of VBoxManage that ended by itself, and how long it took."""

    code: int
    out: str
    err: str
    took_s: float

    @property
    def error(self) -> str:
        """The first line that names an error, '' if there is none."""
        found = _ERROR.search(self.err)
        return found.group(1).strip()[:_WORDS_AT_MOST] if found else ""


_MEANINGS: tuple[tuple[re.Pattern[str], type[DriverError], str], ...] = tuple(
    (re.compile(pattern), kind, remark)
    for pattern, kind, remark in (
        (r"^Could not find a registered machine named ", VmGone, "VirtualBox knows no such VM"),
        (r"^Machine '.*' is not currently running", VmGone, "does not run"),
        (r"^CPU hotplug is not enabled", HotplugDisabled, "made without CPU hot-plug"),
        (r"^CPU id exceeds number of possible CPUs", OverCeiling, ""),
        (r"^It is not possible to detach CPU 0", ActionRefused, ""),
        (r"^Invalid machine state: (Saved|PoweredOff|Aborted)", VmGone, ""),
        (r"^Invalid machine state: ", ActionRefused, ""),
        (r"is already locked (by|for) a session", MachineLocked, ""),
        (r"^An unexpected process .* has tried to lock the machine", MachineLocked, ""),
        (r"^The machine is not mutable|^The object is in use", MachineLocked, ""),
        (r"^Failed to create the VirtualBox object", ServiceGone, "VBoxSVC does not answer"),
        (r"NS_ERROR_(CALL_FAILED|ABORT|FACTORY_NOT_REGISTERED)", ServiceGone, ""),
        (r"^The object is not ready", ServiceGone, ""),
    )
)
_NOT_EJECTED = "Hot-Remove was aborted because the CPU may still be used by the guest"


def trouble(vm: str, answer: Answer) -> DriverError | None:
    """Return what went wrong by an answer's own words; None if it says that nothing did."""
    if answer.code == 0:
        return None
    words = answer.error
    if not words:
        return DriverError(vm, f"VBoxManage ended with {answer.code} and no error that it named")
    if words.startswith(_NOT_EJECTED):
        return _not_ejected(vm, answer)
    for pattern, kind, remark in _MEANINGS:
        if pattern.search(words) or pattern.search(answer.err):
            return kind(vm, f"{remark} ({words})" if remark else words)
    return DriverError(vm, words)


def _not_ejected(vm: str, answer: Answer) -> DriverError:
    if answer.took_s < SILENT_S:
        return GuestRefused(
            vm, "nothing in the guest gives up CPUs: do its Guest Additions (VBoxService) run?"
        )
    return GuestSilent(
        vm, f"the guest did not eject the CPU within {answer.took_s:.0f} s; it still may"
    )


def started(registers: str) -> bool:
    """Whether a vCPU with these ``rip`` and ``cs`` has been started by its guest.

    Until then it stands where an x86 CPU stands after a reset: cs f000, rip fff0.
    """
    found = {name: int(value, 16) for name, value in _REGISTER.findall(registers)}
    if found.keys() != {"rip", "cs"}:
        return False
    return (found["cs"], found["rip"]) != (0xF000, 0xFFF0)


def properties(out: str) -> dict[str, str]:
    """Return what ``showvminfo --machinereadable`` and its like print as ``key="value"`` lines.

    Lines of another form, as warnings of a wrapper, are passed over.
    """
    found = (line.partition("=") for line in out.splitlines() if "=" in line)
    return {key.strip('"'): value.strip('"') for key, _, value in found if key}
