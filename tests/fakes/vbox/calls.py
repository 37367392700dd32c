"""Calls in an order in which any VirtualBox 7.2, fake or real, answers as the transcripts say.

Each sequence makes the machines it needs; a line is a call, and after ``=`` the transcript that
it must match (none: exit code 0 is enough). ``!`` provokes what no call can: the caller does it.
"""

from __future__ import annotations

from dataclasses import dataclass

MAKE = """
createvm --name {vm} --ostype Linux_64 --register
modifyvm {vm} --memory 64 --audio-enabled off --graphicscontroller none --nic1 none
modifyvm {vm} --paravirt-provider kvm --vm-execution-engine recompiler
"""
SMALL = """
modifyvm {vm} --cpus 4 --cpu-hotplug on
modifyvm {vm} --unplug-cpu 1
modifyvm {vm} --unplug-cpu 2
modifyvm {vm} --unplug-cpu 3
"""
END = """
unregistervm {vm} --delete
"""


@dataclass(frozen=True, slots=True)
class Sequence:
    """Calls about machines that begin with ``{vm}``; ``{guest}`` is a running Linux with
    Guest Additions that has CPU 0 only and can have four."""

    name: str
    lines: str

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Each call or provocation, and the transcript it must match or ""."""
        lines = [line.partition(" = ") for line in self.lines.split("\n") if line]
        return [(call, transcript) for call, _, transcript in lines]

    @property
    def provoked(self) -> set[str]:
        """What the caller must be able to do."""
        return {call[1:].split()[0] for call, _ in self.steps if call.startswith("!")}

    @property
    def needs_guest(self) -> bool:
        return "{guest}" in self.lines

    @property
    def starts(self) -> bool:
        """Whether a machine is started."""
        return "startvm {vm} --type headless" in self.lines or self.needs_guest


SEQUENCES = (
    Sequence(
        "a machine is made and forgotten",
        """
createvm --name {vm} --ostype Linux_64 --register = off-createvm
createvm --name {vm} --ostype Linux_64 --register = off-createvm-again
createvm --register = createvm-no-name
modifyvm {vm} --cpus 33 --cpu-hotplug on = off-modify-cpus33
modifyvm {vm} --cpus 64 --cpu-hotplug on = off-modify-cpus64
modifyvm {vm} --cpus 65 --cpu-hotplug on = off-modify-cpus65
modifyvm {vm} --cpus 0 = modify-cpus0
modifyvm {vm} --memory 1 = modify-memory-1
modifyvm {vm} --bogus 1 = modify-unknown-option
modifyvm {vm} --cpuhotplug on --defaultfrontend headless --cpu-execution-cap 50
unregistervm {vm} --delete = off-unregister-w2
""",
    ),
    Sequence(
        "CPUs of a machine that is off",
        MAKE
        + """
modifyvm {vm} --cpus 2 = off-modify-cpus-2-hotplug-on
modifyvm {vm} --plug-cpu 1 = off-plug-hotplug-off
modifyvm {vm} --unplug-cpu 1 = off-unplug-hotplug-off
modifyvm {vm} --cpus 4
modifyvm {vm} --cpu-hotplug on = off-hotplug-on
modifyvm {vm} --plug-cpu 1 = off-plug-nohotplug
modifyvm {vm} --plug-cpu 1 = off-modify-plug-cpu1-again
modifyvm {vm} --plug-cpu 0 = off-modify-plug-cpu0
modifyvm {vm} --plug-cpu 4 = off-modify-plug-cpu4
modifyvm {vm} --unplug-cpu 0 = off-modify-unplug-cpu0
modifyvm {vm} --unplug-cpu 3
modifyvm {vm} --unplug-cpu 3 = off-modify-unplug-cpu3
modifyvm {vm} --cpu-hotplug off = off-hotplug-off
modifyvm {vm} --cpus 2 = modify-cpus-below-attached
modifyvm {vm} --unplug-cpu 1 = off-modify-unplug-cpu1b
modifyvm {vm} --unplug-cpu 1 = off-modify-unplug-cpu1
modifyvm {vm} --plug-cpu 1 = off-modify-plug-cpu1
modifyvm {vm} --cpus 4
showvminfo {vm} --machinereadable = showvminfo-poweroff
list vms = list-vms
list runningvms = vmkill-5
controlvm {vm} plugcpu 2 = controlvm-not-running
controlvm {vm} unplugcpu 1 = controlvm-not-running-unplug
controlvm {vm} frobnicate = bogus-sub
controlvm {vm} poweroff = engine-default-off
controlvm {vm} = controlvm-no-subcommand
discardstate {vm} = discardstate-off
startvm {vm} --type nonsense = start-unknown-frontend
guestproperty get {vm} /a = guestproperty-get-none
guestproperty enumerate {vm} = guestproperty-enumerate-none
"""
        + END,
    ),
    Sequence(
        "snapshots and a linked clone",
        MAKE
        + """
modifyvm {vm} --cpus 2 --cpu-hotplug on
snapshot {vm} list = snapshot-list-none
snapshot {vm} restore nosuch = snapshot-restore-without-any
clonevm {vm} --snapshot nosuch --options link --name {vm}c --register = clone-without-snapshots
snapshot {vm} take base = off-snapshot
modifyvm {vm} --unplug-cpu 1
snapshot {vm} take s2
snapshot {vm} list = snapshots-two
snapshot {vm} list --machinereadable = snapshots-two-machinereadable
snapshot {vm} restore base = snapshot-restore
modifyvm {vm} --plug-cpu 1 = off-modify-plug-cpu1-again
snapshot {vm} restore nosuch = snapshot-restore-unknown
snapshot {vm} delete nosuch = snapshot-delete-unknown
snapshot {vm} delete s2 = snapshot-delete
snapshot {vm} list --machinereadable = snapshots-one-machinereadable
clonevm {vm} --snapshot nosuch --options link --name {vm}c --register = clone-unknown-snapshot
clonevm {vm} --snapshot base --options link --name {vm} --register = clone-exists
clonevm {vm} --snapshot base --options link --name {vm}c --register = off-clone-linked
showvminfo {vm}c --machinereadable = off-clone-linked-cpus
unregistervm {vm}c --delete = off-unregister-w1c
unregistervm {vm} --delete-all = unregister-delete-all
""",
    ),
    Sequence(
        "machines that do not exist, words that are not known",
        """
controlvm nosuchvm plugcpu 1 = unknown-vm
showvminfo nosuch --machinereadable = unknown-showvminfo
unregistervm nosuch --delete = unknown-unregister
modifyvm nosuch --cpus 2 = modify-unknown-vm
snapshot nosuch list = snapshot-unknown-vm
clonevm nosuch --snapshot nosuch --options link --name d3 --register = clone-unknown-vm
startvm nosuch --type headless = start-unknown-vm
discardstate nosuch = discardstate-unknown-vm
guestproperty get nosuch /a = guestproperty-get-unknown-vm
guestproperty set nosuch /a b = guestproperty-set-unknown-vm
guestproperty enumerate nosuch = guestproperty-enumerate-unknown-vm
hostonlyif ipconfig vboxnet99 --ip 192.168.56.1 = hostonlyif-ipconfig-unknown
frobnicate = unknown-command
list nonsense = list-unknown
list hostonlynets = list-hostonlynets
list hostinfo = list-hostinfo
list systemproperties = list-systemproperties
--version = version
-v = version
""",
    ),
    Sequence(
        "a running machine without a guest",
        MAKE
        + SMALL
        + """
snapshot {vm} take base
startvm {vm} --type headless = startvm-tiny
startvm {vm} --type headless = lock-start-again
list runningvms = list-runningvms
showvminfo {vm} --machinereadable = showvminfo-running
controlvm {vm} plugcpu 1 = plug1
controlvm {vm} plugcpu 1 = plug-already-attached
controlvm {vm} plugcpu 4 = plug-beyond-max
controlvm {vm} plugcpu abc = plug-garbage
controlvm {vm} plugcpu 99 = plug-huge
controlvm {vm} plugcpu -- -1 = plug-negative
controlvm {vm} plugcpu 0 = plug-0
controlvm {vm} plugcpu = plug-noarg
controlvm {vm} unplugcpu 1 = unplug-no-guest-additions
controlvm {vm} plugcpu 1 = plug-after-failed-unplug
controlvm {vm} unplugcpu 3 = unplug-not-attached
controlvm {vm} unplugcpu 7 = unplug-beyond-max
controlvm {vm} unplugcpu 0 = unplug-cpu0
controlvm {vm} unplugcpu abc = unplug-garbage
controlvm {vm} unplugcpu = unplug-noarg
controlvm {vm} frobnicate = controlvm-unknown-subcommand
modifyvm {vm} --cpu-hotplug off = modifyvm-hotplug-off-while-running
modifyvm {vm} --plug-cpu 2 = modifyvm-plug-while-running
discardstate {vm} = discardstate-running
unregistervm {vm} --delete = unregister-running
snapshot {vm} restore base = snapshot-restore-running
controlvm {vm} cpuexecutioncap 0 = cpuexecutioncap-0
controlvm {vm} cpuexecutioncap 101 = cpuexecutioncap-101
controlvm {vm} cpuexecutioncap 50 = cpuexecutioncap-50
showvminfo {vm} --machinereadable = showvminfo-after-cap
controlvm {vm} cpuexecutioncap 100 = cpuexecutioncap-100
guestproperty set {vm} /test/a b = guestproperty-set
guestproperty get {vm} /test/a = guestproperty-get
guestproperty enumerate {vm} = guestproperty-enumerate-set
controlvm {vm} acpipowerbutton = acpipowerbutton
controlvm {vm} pause = pause
controlvm {vm} pause = pause-again
controlvm {vm} plugcpu 3 = paused-plug
controlvm {vm} unplugcpu 3 = paused-unplug
controlvm {vm} unplugcpu 1 = paused-unplug-attached
controlvm {vm} cpuexecutioncap 50 = paused-cpuexecutioncap
showvminfo {vm} --machinereadable = paused-show-4
list runningvms = list-runningvms
controlvm {vm} resume = resume-k4
controlvm {vm} resume = resume-running
controlvm {vm} reset = reset
controlvm {vm} savestate = savestate
showvminfo {vm} --machinereadable = showvminfo-saved
controlvm {vm} plugcpu 2 = controlvm-not-running
startvm {vm} --type headless = startvm-from-saved
controlvm {vm} savestate = savestate2
discardstate {vm} = discardstate-k4
showvminfo {vm} --machinereadable = showvminfo-discarded
startvm {vm} --type headless = startvm-tiny2
controlvm {vm} poweroff = poweroff
snapshot {vm} delete base = snapshot-delete
"""
        + END,
    ),
    Sequence(
        "no CPU above 32 is plugged",
        MAKE
        + """
modifyvm {vm} --cpus 40 --cpu-hotplug on
modifyvm {vm} --unplug-cpu 32
modifyvm {vm} --unplug-cpu 33
startvm {vm} --type headless
controlvm {vm} plugcpu 32 = plug-32
controlvm {vm} plugcpu 33 = plug-33
controlvm {vm} unplugcpu 33 = unplug-33
controlvm {vm} poweroff
"""
        + END,
    ),
    Sequence(
        "a machine without hot-plug",
        MAKE
        + """
modifyvm {vm} --cpus 2
startvm {vm} --type headless = start-k2off
controlvm {vm} plugcpu 1 = nohotplug-plug
controlvm {vm} unplugcpu 1 = nohotplug-unplug
controlvm {vm} pause = pause
showvminfo {vm} --machinereadable = paused-show
controlvm {vm} poweroff
"""
        + END,
    ),
    Sequence(
        "a machine whose process is killed",
        MAKE
        + SMALL
        + """
startvm {vm} --type headless
!kill {vm}
controlvm {vm} plugcpu 3 = vmkill-1
showvminfo {vm} --machinereadable = vmkill-2
list runningvms = vmkill-5
startvm {vm} --type headless = startvm-k4
controlvm {vm} poweroff
"""
        + END,
    ),
    Sequence(
        "a guest that takes and ejects CPUs",
        """
controlvm {guest} plugcpu 1 = plug-r1
!settle {guest}
controlvm {guest} unplugcpu 1 = unplug-with-additions
!settle {guest}
controlvm {guest} unplugcpu 3 = unplug-not-attached
controlvm {guest} plugcpu 3 = plug1
!settle {guest}
controlvm {guest} unplugcpu 3 = unplug3
!settle {guest}
""",
    ),
    Sequence(
        "a guest that reacts late",
        """
controlvm {guest} plugcpu 1
!settle {guest}
!deaf {guest}
controlvm {guest} unplugcpu 1 = unplug-guest-not-ejecting
controlvm {guest} plugcpu 1 = plug-after-failed-unplug
!eject {guest}
controlvm {guest} plugcpu 1 = plug-after-late-eject
controlvm {guest} unplugcpu 1 = unplug-after-late-eject
""",
    ),
    Sequence(
        "VBoxSVC is killed",
        MAKE
        + SMALL
        + """
startvm {vm} --type headless
!kill-vboxsvc {vm}
controlvm {vm} plugcpu 1 = svckill-1-immediately
showvminfo {vm} --machinereadable = svckill-2
list runningvms = svckill-3-list
controlvm {vm} plugcpu 1 = svckill-4
startvm {vm} --type headless = svckill-7-start
controlvm {vm} poweroff
"""
        + END,
    ),
)

NOT_ASKED = {
    "memory is not resized": ("balloon", "balloon-64", "balloon-too-big"),
    "the host's own figures are measured": (
        *("metrics-list", "metrics-list-host", "metrics-query", "metrics-query-k4"),
        *("metrics-query2", "metrics-setup", "metrics-setup-k4", "tmstats"),
    ),
    "depends on the host's modules and packages; the fake has some as faults": (
        *("engine-default", "engine-hwvirt", "engine-native-api", "hostonlyif-create-no-driver"),
        *("list-extpacks", "modify-autostart-no-database", "debian-wrapper-list-vms"),
    ),
    "a person's form": (*("list-runningvms-long", "showvminfo-running-human"),),
    "depends on the guest": (
        *("guestproperty-none", "guestprops-with-vboxservice", "guestproperty-enumerate"),
    ),
    "a race; the fake has them as faults": (
        *("starting-locked", "starting-locked-show", "starting-invalid-state"),
    ),
    "a VM that died of a plug just after it was restored": ("plug-dies",),
    "an older one's other snapshots": ("snapshot-list", "snapshot-list-machinereadable"),
    "done by whoever makes a worker": ("storageattach-tiny",),
    "leaves a file behind": ("createvm-unregistered",),
}
"""Why some transcripts are in no sequence."""
