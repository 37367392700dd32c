"""The settings that a worker's VM must have, each with how it is read and how it is set.

Order matters to VirtualBox: CPUs above the new number must be unplugged before it is lowered, and
one mistake in a call undoes all of it, so each setting is a call of its own (20-50 ms).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from hotslot.act.driver import Step, StepKind
from hotslot.act.virtualbox_look import Asking, Look
from hotslot.errors import DriverError

_NO_DATABASE = "The path to the autostart database is not set"
_AUTOSTART_REMEDY = (
    "does not start with the host: VirtualBox has no autostart database. Once on this host: "
    "VBoxManage setproperty autostartdbpath FOLDER, see docs/virtualbox.md; then repair"
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its words when it is so, how to tell, and modifyvm's words that make it so."""

    words: str
    holds: Callable[[Look], bool]
    options: Callable[[Look], Sequence[str]]


def _told(words: str, option: str, value: str, **wanted: str) -> Setting:
    """Make a setting that showvminfo tells; ``_`` in a key stands for ``-``."""
    expected = {key.replace("_", "-"): shown for key, shown in wanted.items()}
    return Setting(
        words,
        lambda look: all(look.told.get(key) == shown for key, shown in expected.items()),
        lambda _: (option, *value.split()),
    )


HOTPLUG = Setting(
    "CPU hot-plug is on", lambda look: look.settings.hotplug, lambda _: ("--cpu-hotplug", "on")
)
IOAPIC = _told("the I/O APIC is on", "--ioapic", "on", ioapic="on")
PARAVIRT = _told(
    "its guest sees KVM's interface: without one Linux 6.9 and newer take no CPUs later",
    *("--paravirt-provider", "kvm"),
    effparavirtprovider="kvm",
)
ONE_CPU = Setting(
    "all vCPUs but CPU 0 are unplugged, as hotslot plugs them when a job asks",
    lambda look: look.settings.attached == {0},
    lambda look: [
        word
        for index in sorted(look.settings.attached - {0}, reverse=True)
        for word in ("--unplug-cpu", str(index))
    ],
)
NO_CAP = Setting(
    "its vCPUs may run all the time",
    lambda look: look.settings.cap_pct == 100,
    lambda _: ("--cpu-execution-cap", "100"),
)
HEADLESS = _told(
    "starts without a window", "--default-frontend", "headless", defaultfrontend="headless"
)
AUTOSTART = _told(
    "starts with the host", "--autostart-enabled", "on", autostart_enabled="on"
)  # fmt: skip

HOT_PLUGGED = (HOTPLUG, IOAPIC, PARAVIRT, ONE_CPU, NO_CAP)
"""What hot-plug needs, in the order in which VirtualBox takes it."""


def possible(vcpus: int) -> Setting:
    """How many vCPUs a VM can have at most."""
    return Setting(
        f"can have {vcpus} vCPUs",
        lambda look: look.settings.max_vcpus == vcpus,
        lambda _: ("--cpus", str(vcpus)),
    )


def memory(mib: int) -> Setting:
    """How much memory a VM has, in MiB."""
    return _told(f"has {mib} MiB of memory", "--memory", str(mib), memory=str(mib))


def connected(network: str) -> Setting:
    """The network that only the host and its workers share."""
    return Setting(
        f"its first network card is in {network}",
        lambda look: (
            look.told.get("nic1") == "hostonly" and look.told.get("hostonlyadapter1") == network
        ),
        lambda _: ("--nic1", "hostonly", "--host-only-adapter1", network),
    )


async def applied(asking: Asking, vm: str, settings: Sequence[Setting]) -> AsyncIterator[Step]:
    """Make a VM that is off have these settings, one after the other, each read back."""
    look = await asking.look(vm)
    for setting in settings:
        if setting.holds(look):
            yield Step(StepKind.ALREADY, setting.words)
            continue
        try:
            await asking.call(vm, "modifyvm", str(look.settings.uuid), *setting.options(look))
        except DriverError as error:
            if setting is AUTOSTART and _NO_DATABASE in str(error):
                yield Step(StepKind.ADVICE, _AUTOSTART_REMEDY)
                continue
            raise
        look = await asking.look(vm)
        if not setting.holds(look):
            options = " ".join(setting.options(look))
            what = f"VBoxManage modifyvm {options} named no error and changed nothing; not so"
            raise DriverError(vm, f"{what}: {setting.words}")
        yield Step(StepKind.DONE, setting.words)
