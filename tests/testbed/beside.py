"""A node beside the VMs: slurmd on this machine itself, for a VM which the testbed does not run.

It is a worker's disk, mounted, in PID, network and host name namespaces of its own: Slurm, its
jobs and their hooks cannot tell it from a worker. Its CPUs are this machine's, whatever it says.
"""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import network
from .errors import TestbedError
from .namespaces import Namespaces
from .node import Node
from .run_dir import DAEMON_ENV, RunDir
from .worker import file_mode

# As guest/init: the shell reaps orphans while it waits for the server.
_INIT = """
hostname "$NAME"
munged --force
slurmd -N "$NAME"
while :; do
	python3 -I -S /usr/lib/hotslot-testbed/exec_server.py "$ADDRESS"
	sleep 1
done
"""


class Beside(Node):
    """A node of the cluster whose slurmd runs beside the VMs."""

    def __init__(
        self,
        namespaces: Namespaces,
        run: RunDir,
        name: str,
        number: int,
        files: Mapping[str, bytes],
    ) -> None:
        super().__init__(namespaces, name, network.beside_address(number), run.log / name)
        self._number = number
        self._run = run
        self._root = run.scratch / name / "root"
        self._network = run.scratch / name / "network"
        self._process: subprocess.Popen[str] | None = None
        self.files = dict(files)

    @property
    def outer_root(self) -> Path:
        """The node's root as the test itself, outside the namespaces, reaches it."""
        return self._namespaces.outer(self._root)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def set_up(self, disk: Path) -> None:
        """Make the node's root from a worker's disk, and its network."""
        top = self._root.parent
        paths = (top, self._root, self._network)
        base, root, net = (shlex.quote(str(path)) for path in paths)
        overlay = f"lowerdir={top}/disk,upperdir={top}/upper,workdir={top}/work"
        lines = [
            f"mkdir -p {base}/disk {base}/upper {base}/work {root}",
            # Not even the journal is touched: others use the same disk.
            f"mount -t ext4 -o loop,ro,noload {shlex.quote(str(disk))} {base}/disk",
            f"mount -t overlay -o {shlex.quote(overlay)} overlay {root}",
            f"mount --rbind /dev {root}/dev",
            f"mount --rbind /sys {root}/sys",
            f"mount -t tmpfs run {root}/run",
            f"mkdir {root}/run/munge {root}/run/slurm {root}/run/lock",
            f"mount --bind {shlex.quote(str(self._run.home))} {root}/home",
            f"mount --bind {shlex.quote(str(self.log_dir))} {root}/var/log/slurm",
            network.beside_script(self._number, net),
        ]
        self._namespaces.run(["sh", "-euc", "\n".join(lines)], timeout=60)
        for name, content in self.files.items():
            path = self.outer_root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(file_mode(name))

    def start(self) -> None:
        """Start the node."""
        if self.running:
            raise TestbedError(f"{self.name} runs already")
        root = shlex.quote(str(self._root))
        script = f"mount -t proc proc {root}/proc; exec chroot {root} sh -c {shlex.quote(_INIT)}"
        with (self.log_dir / "node.log").open("a") as out:
            self._process = self._namespaces.popen(
                [*self._enter(), "sh", "-euc", script],
                stdout=out,
                stderr=out,
                env={**DAEMON_ENV, "NAME": self.name, "ADDRESS": self.address},
            )

    def _enter(self) -> Sequence[str]:
        own = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child=KILL"]
        return [*("nsenter", f"--net={self._network}"), *own]

    def kill(self) -> None:
        """Kill everything that runs in the node, as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(timeout=30)
