"""VirtualBox in namespaces of its own, with VMs that a test can restore in a second."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from testbed import progress
from testbed.errors import TestbedError, log_tail
from testbed.namespaces import Namespaces

from . import recipe
from .guest import Guest

_MANAGE = "/usr/lib/virtualbox/VBoxManage"  # Debian's wrapper in /usr/bin writes warnings to stdout
_HOME = "/root"
_MACHINES = f"{_HOME}/VirtualBox VMs"
_ENV = {
    "HOME": _HOME,
    "VBOX_USER_HOME": f"{_HOME}/config",
    "LOGNAME": "vbox",
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
_OWN_NAMESPACES = (
    "mount --make-rprivate /",
    "mount -t proc proc /proc",
    "ip link set lo up",
    "hostname vbox",
)
_READY = "HOTSLOT-GUEST-READY"
_SNAPSHOT = "booted"
_STOPPED = frozenset({"poweroff", "aborted", "saved", "aborted-saved"})
_BOOT_LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class _Hardware:
    max_vcpus: int
    hotplug: bool
    memory_mb: int


class VirtualBox:
    """VirtualBox, which ends with all its VMs when the context or its process ends."""

    def __init__(self, path: Path, namespaces: Namespaces | None = None) -> None:
        """Describe a rig.

        path: its directory, in which the guests' consoles are kept as logs. namespaces: those of a
        testbed, to run in instead of some of its own; an agent there sees the VMs' processes.

        command: what stands before VBoxManage's arguments on this machine; root: what stands
        before its absolute paths. inner_command, inner_root: the same, inside the namespaces.
        """
        self.path = path
        self._given = namespaces
        self._root = path / "root"
        self.inner_root = str(self._root)
        env = ("env", "-i", *(f"{name}={value}" for name, value in _ENV.items()))
        self.inner_command: tuple[str, ...] = ("chroot", self.inner_root, *env, _MANAGE)
        self._cleanup = ExitStack()
        self._guests: dict[str, Guest] = {}
        self._hardware: dict[str, _Hardware] = {}
        self.boot_s: dict[str, float] = {}

    def __enter__(self) -> VirtualBox:
        try:
            self._start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def _start(self) -> None:
        recipe.build_all()
        root, guest = (
            self._cleanup.enter_context(artifact.in_use())
            for artifact in (recipe.ROOT, recipe.GUEST)
        )
        for directory in (self._root, self._scratch, self.log):
            directory.mkdir(parents=True, exist_ok=True)
        self._namespaces = self._given or Namespaces()
        self._cleanup.callback(self._end if self._given else self._namespaces.close)
        self._cleanup.callback(self._hang_up)
        self._mount(root / "root", guest)
        outer = self._namespaces.outer(self._root)
        enter = ("nsenter", "--target", str(self._namespaces.pid1))
        self.root = str(outer)
        self.command: tuple[str, ...] = (
            *(*enter, "--mount", "--uts", "--ipc", "--net", "--pid"),
            *(f"--root={outer}", f"--wd={outer}"),
            *("env", "-i", *(f"{name}={value}" for name, value in _ENV.items())),
            # nsenter waits for its child in the other PID namespace: who kills it means the child.
            *("setpriv", "--pdeathsig", "KILL", _MANAGE),
        )

    def _mount(self, lower: Path, guest: Path) -> None:
        root, scratch, log, iso = (
            shlex.quote(str(path)) for path in (self._root, self._scratch, self.log, guest)
        )
        overlay = f"lowerdir={lower},upperdir={self._scratch}/upper,workdir={self._scratch}/work"
        lines = [
            *(() if self._given else _OWN_NAMESPACES),
            f"mount -t tmpfs -o mode=755 scratch {scratch}",
            f"mkdir {scratch}/upper {scratch}/work",
            f"mount -t overlay -o {shlex.quote(overlay)} overlay {root}",
            f"mount --rbind /dev {root}/dev",
            f"mount -t proc proc {root}/proc",
            f"mount --rbind /sys {root}/sys",
            f"mkdir -p {root}{_HOME}/config {root}{_HOME}/log {root}{_HOME}/guest",
            f"mount --bind {log} {root}{_HOME}/log",
            f"mount --bind {iso} {root}{_HOME}/guest",
        ]
        self._namespaces.run(["sh", "-euc", "\n".join(lines)], timeout=60)

    def _hang_up(self) -> None:
        for guest in self._guests.values():
            guest.close()

    def _end(self) -> None:
        """Leave namespaces which others go on using."""
        for comm in ("VBoxHeadless", "VBoxSVC"):
            for pid, _ in self._processes(comm):
                _kill(pid)
        unmount = ["umount", "--lazy", "--recursive", str(self._root), str(self._scratch)]
        self._namespaces.run(unmount, timeout=60)

    @property
    def _scratch(self) -> Path:
        """A tmpfs in the namespaces for what ends with them: VMs, saved states."""
        return self.path / "scratch"

    @property
    def log(self) -> Path:
        """The consoles of the guests, which outlive the rig."""
        return self.path / "log"

    # --- VirtualBox -------------------------------------------------------------------------

    def manage(
        self, *arguments: str, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run VBoxManage."""
        try:
            done = subprocess.run(
                [*self.command, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            said = f"VBoxManage {' '.join(arguments)}"
            raise TestbedError(f"{said}: no end within {timeout:g} s") from error
        if check and done.returncode != 0:
            raise TestbedError(
                f"VBoxManage {' '.join(arguments)}: exit code {done.returncode}\n"
                f"{done.stdout}{done.stderr}".rstrip()
            )
        return done

    @property
    def service_pid(self) -> int | None:
        """The process of VBoxSVC, which serves VBoxManage and ends 7 s after its last client."""
        return next((pid for pid, argv in self._processes("VBoxSVC")), None)

    def kill_service(self) -> None:
        """Kill VBoxSVC, if it runs, and wait until it is gone."""
        if pid := self.service_pid:
            _kill(pid)

    def vm_pid(self, name: str) -> int:
        """Return the process of a VM that runs."""
        pid = self._find_vm(name)
        if pid is None:
            raise TestbedError(f"VM {name} does not run")
        return pid

    def kill_vm(self, name: str) -> None:
        """Kill the process of a VM, as a crash would, and wait until it is gone."""
        _kill(self.vm_pid(name))

    def state(self, name: str) -> str:
        """Return a VM's state as VirtualBox words it."""
        for line in self.manage("showvminfo", name, "--machinereadable").stdout.splitlines():
            key, _, value = line.partition("=")
            if key == "VMState":
                return value.strip('"')
        raise TestbedError(f"VBoxManage showvminfo {name} says no VMState")

    def _find_vm(self, name: str) -> int | None:
        """VBoxSVC starts `VBoxHeadless --comment NAME --startvm UUID …`."""
        for pid, argv in self._processes("VBoxHeadless"):
            if argv[1:3] == ["--comment", name]:
                return pid
        return None

    def _processes(self, comm: str) -> Iterator[tuple[int, list[str]]]:
        """Yield the rig's processes of a name, as seen from outside."""
        namespace = Path(f"/proc/{self._namespaces.pid1}/ns/pid").readlink()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "comm").read_text().strip() != comm:
                    continue
                if (process / "ns/pid").readlink() != namespace:
                    continue
                argv = (process / "cmdline").read_bytes().decode(errors="replace")
                if argv:  # else it has ended, but is not reaped yet
                    yield int(process.name), argv.split("\0")
            except OSError:
                continue  # it has ended meanwhile

    # --- VMs --------------------------------------------------------------------------------

    def create(
        self, name: str, *, max_vcpus: int = 8, hotplug: bool = True, memory_mb: int = 192
    ) -> None:
        """Make a VM with our guest; with hot-plug it has vCPU 0 alone, else all of them."""
        self.manage("createvm", "--name", name, "--ostype", "Linux_64", "--register")
        self.manage(
            *("modifyvm", name, "--memory", str(memory_mb), "--cpus", str(max_vcpus)),
            *("--cpu-hotplug", "on" if hotplug else "off", "--ioapic", "on", "--x86-pae", "on"),
            *("--vm-execution-engine", "recompiler", "--paravirt-provider", "kvm"),
            *("--audio-enabled", "off", "--graphicscontroller", "none", "--nic1", "none"),
            *("--usb-ohci", "off", "--usb-ehci", "off"),
            *("--boot1", "dvd", "--boot2", "none", "--boot3", "none", "--boot4", "none"),
            *("--firmware-boot-menu", "disabled", "--firmware-logo-display-time", "0"),
            *("--firmware-logo-fade-in", "off", "--firmware-logo-fade-out", "off"),
            *("--uart1", "0x3F8", "4", "--uart-mode1", "file", f"{_HOME}/log/{name}.log"),
            *("--uart2", "0x2F8", "3", "--uart-mode2", "server", f"{_HOME}/{name}.serial"),
        )
        # Without the kernel driver VirtualBox waits for timers by a method (4) in which every idle
        # vCPU's thread, plugged or not, spins until the last one's has run them: 8 idle vCPUs took
        # two cores. The older method (3) sleeps: 1 % of a core each.
        self.manage("setextradata", name, "VBoxInternal/VM/HaltMethod", "3")
        self.manage("storagectl", name, "--name", "ide", "--add", "ide", "--controller", "PIIX4")
        iso = f"{_HOME}/guest/guest.iso"
        where = ("--storagectl", "ide", "--port", "0", "--device", "0", "--type", "dvddrive")
        self.manage("storageattach", name, *where, "--medium", iso)
        if hotplug:
            unplug = [word for n in range(1, max_vcpus) for word in ("--unplug-cpu", str(n))]
            self.manage("modifyvm", name, *unplug)
        self._hardware[name] = _Hardware(max_vcpus, hotplug, memory_mb)

    def boot(self, name: str) -> Guest:
        """Start a VM and wait until VBoxService runs in its guest."""
        log = self.log / f"{name}.log"
        log.unlink(missing_ok=True)
        start = time.monotonic()
        with progress.step(f"booting {name} in VirtualBox's interpreter"):
            self.manage("startvm", name, "--type", "headless")
            self._wait(
                lambda: log.exists() and _READY in log.read_text(errors="replace"),
                _BOOT_LIMIT_S,
                name,
                "its guest is up",
            )
        self.boot_s[name] = time.monotonic() - start
        return self._guest(name)

    def snapshot(self, name: str) -> None:
        """Keep a running VM as it is, for `restored`; it ends."""
        self._guests.pop(name).close()
        self.manage("controlvm", name, "savestate")
        self._wait_stopped(name)
        self.manage("snapshot", name, "take", _SNAPSHOT)

    def twin(self, name: str, of: str) -> None:
        """Make a VM whose snapshot is that of another, without booting it."""
        hardware = self._hardware[of]
        self.create(
            name,
            max_vcpus=hardware.max_vcpus,
            hotplug=hardware.hotplug,
            memory_mb=hardware.memory_mb,
        )
        (saved,) = self._folder(of).joinpath("Snapshots").glob("*.sav")
        copy = self._folder(name) / "adopted.sav"
        shutil.copyfile(saved, copy)
        self.manage("adoptstate", name, f"{_MACHINES}/{name}/{copy.name}")
        self.manage("snapshot", name, "take", _SNAPSHOT)

    def restored(self, name: str) -> Guest:
        """Return a guest exactly as it was at its snapshot, whatever became of the VM since."""
        if guest := self._guests.pop(name, None):
            guest.close()
        self.power_off(name)
        self.manage("snapshot", name, "restore", _SNAPSHOT)
        self.manage("startvm", name, "--type", "headless")
        guest = self._guest(name)
        guest.announce()
        return guest

    def power_off(self, name: str) -> None:
        """End a VM if it runs."""
        if self._find_vm(name):
            self.manage("controlvm", name, "poweroff", check=False)
            self._wait_stopped(name)

    def _folder(self, name: str) -> Path:
        """Return the folder of a VM's settings, as seen from outside."""
        return Path(f"{self.root}{_MACHINES}/{name}")

    def _guest(self, name: str) -> Guest:
        guest = Guest(name, Path(f"{self.root}{_HOME}/{name}.serial"))
        self._guests[name] = guest
        return guest

    def _wait_stopped(self, name: str) -> None:
        def stopped() -> bool:
            return self._find_vm(name) is None and self.state(name) in _STOPPED

        self._wait(stopped, 60, name, "it has ended")

    def _wait(self, ready: Callable[[], bool], limit_s: float, name: str, what: str) -> None:
        deadline = time.monotonic() + limit_s
        while not ready():
            if time.monotonic() > deadline:
                raise TestbedError(
                    f"VM {name}: not within {limit_s:g} s: {what}\n"
                    f"{log_tail(self.log / f'{name}.log')}"
                )
            time.sleep(0.05)


def _kill(pid: int) -> None:
    descriptor = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        # A pidfd is readable once its process has ended.
        select.select([descriptor], [], [], 30)
    finally:
        os.close(descriptor)
