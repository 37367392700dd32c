"""What ``hotslot check`` looks at in VirtualBox and its VMs; changes nothing."""

from __future__ import annotations

import grp
import os
import re
from collections.abc import Awaitable, Callable, Collection, Iterator
from pathlib import Path

from hotslot.act.judge import words
from hotslot.act.virtualbox_answers import properties, trouble
from hotslot.act.virtualbox_command import VBoxManage
from hotslot.act.virtualbox_file import Settings
from hotslot.errors import DriverError, HotslotError, VmGone
from hotslot.model import Finding, Level

OLDEST = (6, 1)
"""Older ones were not tried with hotslot; 7.2 was."""
KERNEL_DRIVER = Path("/dev/vboxdrv")
GROUP = "vboxusers"
_ACTIVE = "50"
"""State of a facility of the Guest Additions that works (VBoxGuestTypes.h: Active)."""
_SERVICE = "GuestAdditionsFacility_VirtualBox System Service"

SettingsOf = Callable[[str], Awaitable[Settings]]


async def findings(
    manage: VBoxManage,
    vms: Collection[str],
    settings_of: SettingsOf,
    runs: Callable[[Settings], bool],
) -> list[Finding]:
    """Look at VirtualBox itself, then at each VM."""
    found = [await _version(manage)]
    if found[0].level is Level.WRONG:
        return found
    of_vms: list[Finding] = []
    any_runs = False
    for vm in vms:
        try:
            settings = await settings_of(vm)
            told = await _told(manage, vm)
        except HotslotError as error:
            of_vms.append(_unreadable(vm, error))
            continue
        running = runs(settings)
        any_runs = any_runs or running
        of_vms.extend(vm_findings(vm, settings, told, running))
    return [*found, *_host(any_runs), *of_vms]


async def _version(manage: VBoxManage) -> Finding:
    subject = "VirtualBox"
    try:
        answer = await manage.ask(subject, "--version")
    except DriverError as error:
        remedy = "install VirtualBox, or set driver.command to its VBoxManage"
        return Finding(subject, Level.WRONG, words(error), remedy)
    version = re.search(r"^(\d+)\.(\d+)\.\S+", answer.out, re.MULTILINE)
    if answer.code or version is None:
        what = answer.error or f"VBoxManage --version says {answer.out[:60]!r}"
        return Finding(subject, Level.WRONG, what, "run VBoxManage --version by hand")
    if (int(version[1]), int(version[2])) < OLDEST:
        return Finding(subject, Level.WARN, f"{version[0]}: hotslot was not tried with it", "use 7")
    return Finding(subject, Level.OK, version[0])


def _host(any_runs: bool) -> Iterator[Finding]:
    if KERNEL_DRIVER.exists() or any_runs:
        what = f"{KERNEL_DRIVER} is there" if KERNEL_DRIVER.exists() else "VMs run without it"
        yield Finding("VirtualBox kernel driver", Level.OK, what)
    else:
        remedy = "apt install virtualbox-dkms linux-headers-amd64 && modprobe vboxdrv"
        what = f"{KERNEL_DRIVER} is missing: no VM can start"
        yield Finding("VirtualBox kernel driver", Level.WRONG, what, remedy)
    if os.geteuid() != 0 and _lacks_group():
        what = f"this user is not in group {GROUP}"
        remedy = f"usermod -aG {GROUP} USER, and log in again"
        yield Finding("VirtualBox group", Level.WARN, what, remedy)


def _lacks_group() -> bool:
    try:
        return grp.getgrnam(GROUP).gr_gid not in os.getgroups()
    except KeyError:
        return False


def _unreadable(vm: str, error: HotslotError) -> Finding:
    known = isinstance(error, VmGone)
    remedy = f"hotslot workers add {vm} --template VM" if known else "see the message"
    return Finding(f"VM {vm}", Level.WRONG, words(error), remedy)


async def _told(manage: VBoxManage, vm: str) -> dict[str, str]:
    answer = await manage.ask(vm, "showvminfo", vm, "--machinereadable")
    if error := trouble(vm, answer):
        raise error
    return properties(answer.out)


def vm_findings(
    vm: str, settings: Settings, told: dict[str, str], running: bool
) -> Iterator[Finding]:
    """Judge a VM by its settings file and by ``showvminfo --machinereadable``; pure."""
    subject = f"VM {vm}"
    repair = f"hotslot workers stop {vm}; hotslot workers repair {vm}"
    if not settings.hotplug:
        yield Finding(subject, Level.WRONG, "CPU hot-plug is off", repair)
    else:
        most = settings.max_vcpus
        what = f"CPU hot-plug is on, {len(settings.attached)} of {most} vCPUs attached"
        yield Finding(subject, Level.OK if most > 1 else Level.WARN, what, repair)
    if told.get("ioapic") != "on":
        what = "the I/O APIC is off: a guest has one CPU at most"
        yield Finding(subject, Level.WRONG, what, repair)
    if told.get("effparavirtprovider", "kvm") != "kvm":
        what = "its guest sees no KVM interface: Linux 6.9 and newer take no CPUs later"
        yield Finding(subject, Level.WARN, what, repair)
    if settings.cap_pct < 100:
        what = f"its vCPUs may run {settings.cap_pct} % of the time only"
        remedy = f"VBoxManage controlvm {vm} cpuexecutioncap 100, unless hotslot caps it"
        yield Finding(subject, Level.WARN, what, remedy)
    if told.get("autostart-enabled") == "off":
        yield Finding(subject, Level.WARN, "does not start with the host", repair)
    state = told.get("VMState", "unknown")
    if not running:
        yield Finding(subject, Level.WRONG, f"is {state}", f"hotslot workers start {vm}")
    elif state != "running":
        what = f"is {state}: its guest cannot take or give up vCPUs"
        yield Finding(subject, Level.WARN, what, f"hotslot workers repair {vm}")
    else:
        yield _additions(subject, told)


def _additions(subject: str, told: dict[str, str]) -> Finding:
    version = told.get("GuestAdditionsVersion", "")
    if told.get(_SERVICE, "").partition(",")[0] == _ACTIVE:
        return Finding(subject, Level.OK, f"Guest Additions {version}, VBoxService works")
    what = f"Guest Additions {version}" if version else "no Guest Additions"
    return Finding(
        subject,
        Level.WRONG,
        f"{what}: without VBoxService its guest refuses to give up CPUs",
        "in the guest: install virtualbox-guest-utils (Debian) or the Guest Additions, and "
        "systemctl enable --now virtualbox-guest-utils (or vboxadd-service)",
    )
