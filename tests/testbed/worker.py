"""A worker: a VM under QEMU that runs slurmd, or HTCondor's master and startd."""

from __future__ import annotations

import io
import signal
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import TestbedError, log_tail
from .namespaces import Namespaces
from .network import CTL_ADDRESS, Seat
from .node import Node
from .qmp import Qmp
from .run_dir import DAEMON_ENV, USERS, RunDir

# Not the TSC: emulated, and measured at boot on a loaded host, it has run three times too fast. Nor
# does the kernel look whether its timer interrupts come: late ones are taken for none ("IO-APIC +
# timer doesn't work"), and it panics.
_KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet panic=-1 mitigations=off clocksource=acpi_pm no_timer_check"
)

# TCG keeps a context for each vCPU thread that ever was: a worker can be plugged this often,
# less its vCPUs, before QEMU aborts.
_TCG_MAXCPUS = 240


@dataclass(frozen=True, slots=True)
class Machine:
    """What all workers of a testbed have in common."""

    run: RunDir
    kernel: Path
    disk: Path
    accel: str
    vcpus: int
    boot_vcpus: int
    memory_mb: int


class Worker(Node):
    """A worker VM of a testbed."""

    def __init__(
        self, namespaces: Namespaces, machine: Machine, seat: Seat, files: Mapping[str, bytes]
    ) -> None:
        super().__init__(namespaces, seat.name, seat.address, machine.run.log / seat.name)
        self.console_log = self.log_dir / "console.log"
        self.qmp = machine.run.path / f"{self.name}.qmp"
        self._test_qmp = machine.run.path / f"{self.name}.test-qmp"
        self._machine = machine
        self._seat = seat
        self.changed_at = 0.0
        """When its daemons were last started or killed here: what was heard before is past."""
        self.files = dict(files)
        self._qemu: subprocess.Popen[str] | None = None
        self._fs: subprocess.Popen[str] | None = None
        self._killed = False

    @property
    def running(self) -> bool:
        return self._qemu is not None and self._qemu.poll() is None

    @property
    def died(self) -> bool:
        """Whether it ended without having been killed here."""
        return self._qemu is not None and self._qemu.poll() is not None and not self._killed

    @property
    def exit_code(self) -> int | None:
        """What QEMU ended with, negative: the signal; None while it runs."""
        return None if self._qemu is None else self._qemu.poll()

    @property
    def outer_pid(self) -> int:
        """QEMU's process id as the test sees it."""
        if self._qemu is None or self._qemu.poll() is not None:
            raise TestbedError(f"{self.name} does not run\n{log_tail(self.log_dir / 'qemu.log')}")
        return self._qemu.pid

    @property
    def pid(self) -> int:
        """QEMU's process id inside the namespaces, as an agent there sees it."""
        self.outer_pid  # noqa: B018  raises unless it runs
        assert self._qemu is not None
        return self._namespaces.pid_inside(self._qemu)

    def start(self) -> None:
        """Start the VM; its disk is what the last run left, at first a fresh one."""
        if self.running:
            raise TestbedError(f"{self.name} runs already")
        if self._fs is not None:
            self._fs.kill()  # it ends with QEMU, but not at once, and then removes its socket
            self._fs.wait(timeout=30)
        machine = self._machine
        disk = machine.run.scratch / f"{self.name}.qcow2"
        config = machine.run.scratch / f"{self.name}.tar"
        if not self._namespaces.outer(disk).exists():
            backing = ["-b", str(machine.disk), "-F", "raw", str(disk)]
            create = ["chroot", str(machine.run.root), "qemu-img", "create", "-q", "-f", "qcow2"]
            self._namespaces.run([*create, *backing], timeout=60, env=DAEMON_ENV)
        self._namespaces.outer(config).write_bytes(self._config_archive())
        for socket in (self.qmp, self._test_qmp, self._fs_socket):
            socket.unlink(missing_ok=True)
        self._fs = self._start_logged(self._virtiofsd(), "virtiofsd.log")
        _wait_for(self._fs_socket, 20)
        self.changed_at = time.time()
        self._qemu = self._start_logged(self._qemu_command(disk, config), "qemu.log")
        self._killed = False  # not before: the one that was killed has not died

    def kill(self) -> None:
        """Kill the VM, as a power cut would."""
        if self._qemu is not None:
            self._killed = True
            self._qemu.send_signal(signal.SIGKILL)
            self._qemu.wait(timeout=30)

    def kill_condor(self, daemon: str) -> None:
        """Kill HTCondor's startd, starter, procd or master in the worker with SIGKILL.

        Its master starts a killed daemon anew, a second or two later.
        """
        self.changed_at = time.time()
        self.exec(["pkill", "-KILL", "-x", f"condor_{daemon}"[:15]])

    def start_condor(self) -> None:
        """Start HTCondor in the worker after its master was killed.

        What that left is killed first, jobs too, as condor.service does (KillMode=mixed).
        """
        self.changed_at = time.time()
        users = ",".join(user for user in USERS if user != "root")
        self.exec(["sh", "-c", f"pkill -KILL condor_; pkill -KILL -u {users}; condor_master"])

    def online(self) -> set[int]:
        """Return the CPUs that the guest has online."""
        text = self.exec(["cat", "/sys/devices/system/cpu/online"]).stdout
        return parse_cpu_list(text)

    def plugged(self) -> set[int]:
        """Return the cores which QEMU has plugged, asked over the tests' own socket."""
        with self.control() as qmp:
            return qmp.plugged()

    def control(self) -> Qmp:
        """Open the tests' own QMP socket, which leaves the agent's alone; one client at a time."""
        return Qmp(self._test_qmp)

    @property
    def _fs_socket(self) -> Path:
        return self._machine.run.path / f"{self.name}.fs"

    def _start_logged(self, argv: Sequence[str], log: str) -> subprocess.Popen[str]:
        with (self.log_dir / log).open("a") as out:
            command = ["chroot", str(self._machine.run.root), *argv]
            return self._namespaces.popen(command, stdout=out, stderr=out, env=DAEMON_ENV)

    def _virtiofsd(self) -> list[str]:
        command = ["/usr/libexec/virtiofsd", "--socket-path", str(self._fs_socket)]
        return [
            *command,
            "--shared-dir",
            str(self._machine.run.share),
            "--sandbox=none",
            "--cache=never",
        ]

    def _qemu_command(self, disk: Path, config: Path) -> list[str]:
        m, seat = self._machine, self._seat
        tcg = m.accel == "tcg"
        possible = max(8, m.vcpus)
        return [
            *("qemu-system-x86_64", "-name", f"{self.name},debug-threads=on"),
            *("-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"),
            *("-machine", "pc,memory-backend=memory"),
            *("-accel", "tcg,thread=multi" if tcg else "kvm"),
            # Without these two, kernels panic under TCG.
            *("-cpu", "max,-cx16,-la57" if tcg else "host"),
            *("-smp", f"{m.boot_vcpus},maxcpus={_TCG_MAXCPUS if tcg else possible}"),
            *("-m", str(m.memory_mb)),
            *("-object", f"memory-backend-memfd,id=memory,size={m.memory_mb}M,share=on"),
            *("-chardev", f"socket,id=qmp,path={self.qmp},server=on,wait=off"),
            *("-mon", "chardev=qmp,mode=control"),
            *("-chardev", f"socket,id=test,path={self._test_qmp},server=on,wait=off"),
            *("-mon", "chardev=test,mode=control"),
            *("-serial", f"file:{self.console_log}"),
            *("-kernel", str(m.kernel / "vmlinuz"), "-initrd", str(m.kernel / "initramfs")),
            *("-append", f"{_KERNEL_ARGUMENTS} possible_cpus={possible}"),
            *("-drive", f"file={disk},if=virtio,format=qcow2,cache=unsafe"),
            *("-drive", f"file={config},if=virtio,format=raw,readonly=on"),
            *("-netdev", f"tap,id=net,ifname={seat.tap},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=net,mac={seat.mac},romfile="),
            *("-chardev", f"socket,id=fs,path={self._fs_socket}"),
            *("-device", "vhost-user-fs-pci,chardev=fs,tag=share"),
        ]

    def _config_archive(self) -> bytes:
        identity = f"NAME={self.name}\nADDRESS={self.address}\nGATEWAY={CTL_ADDRESS}\n"
        files = {
            **self.files,
            "etc/hotslot-testbed/identity": identity.encode(),
            "etc/hotslot-testbed/name": f"{self.name}\n".encode(),
            "etc/hotslot-testbed/address": f"{self.address}\n".encode(),
            "etc/hotslot-testbed/role": f"{self._seat.role}\n".encode(),
        }
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                member.mode = file_mode(name)
                member.mtime = int(time.time())
                archive.addfile(member, io.BytesIO(content))
        return out.getvalue()


_SECRETS = ("etc/condor/passwords.d/", "etc/condor/tokens.d/")


def file_mode(name: str) -> int:
    """Return the permissions of a file that makes a machine a member of the cluster."""
    if name.endswith("munge.key") or name.startswith(_SECRETS):
        return 0o400
    return 0o755 if name.startswith("usr/lib/") else 0o644


def parse_cpu_list(text: str) -> set[int]:
    """Return the CPUs of a kernel list such as `0-2,5`."""
    cpus: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return cpus


def _wait_for(path: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not path.exists():
        if time.monotonic() > deadline:
            raise TestbedError(f"{path} did not appear within {timeout} s")
        time.sleep(0.02)
