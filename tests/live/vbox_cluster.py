"""A cluster whose worker is a VirtualBox VM: Slurm's node beside it, the agent on the host."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import IO

from live.cluster import BIN, Cluster
from testbed import Testbed
from vbox import VirtualBox


class VBoxCluster(Cluster):
    """``calls`` are those of VBoxManage that the agent has made."""

    def __init__(self, bed: Testbed, vbox: VirtualBox, *, ceiling: int) -> None:
        self.vbox = vbox
        self.workers_built = ceiling
        self._log = bed.path / "vboxmanage.log"
        self._command = bed.path / "vboxmanage"
        self._command.write_text(
            "#!/bin/sh\n"
            f'echo "$(date +%s.%N) $*" >>{shlex.quote(str(self._log))}\n'
            f'exec {shlex.join(vbox.command)} "$@"\n'
        )
        self._command.chmod(0o755)
        super().__init__(bed, agent_wait_s=20)

    def _driver(self) -> dict[str, object]:
        return {"name": "virtualbox", "command": [str(self._command)], "root": self.vbox.root}

    def _scontrol_prefix(self) -> list[str]:
        spaces = ["--mount", "--uts", "--ipc", "--net", "--pid"]
        enter = ["nsenter", "--target", str(self.bed.namespaces.pid1), *spaces]
        return [*enter, *super()._scontrol_prefix()]

    def popen_agent(self, config: Path, out: IO[str]) -> subprocess.Popen[str]:
        """Start an agent on this machine, which has the VMs, with the testbed's network."""
        net = f"--net=/proc/{self.bed.namespaces.pid1}/ns/net"
        command = ["setpriv", "--pdeathsig", "KILL", "nsenter", net]
        command += [str(BIN / "hotslotd"), "-c", str(config)]
        return subprocess.Popen(command, stdout=out, stderr=out, text=True)

    @property
    def calls(self) -> list[str]:
        """What VBoxManage was asked for, without the times."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [line.partition(" ")[2] for line in lines]
