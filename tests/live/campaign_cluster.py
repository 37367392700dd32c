"""The cluster of a campaign: commands of Slurm that can hang, a disk that can be full."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from live.condor_cluster import CondorCluster
from testbed import Testbed

LENDING: dict[str, object] = {"risk": 1.0, "horizon_s": 10.0}
"""All that owners do not use now is lent: the most that can go wrong."""

AGENT_WAIT_S = 45.0
"""How long hooks try: longer than any fault of the agent lasts, on a slow machine too."""

WINDOW_S = 5.0
COOLDOWN_S = 2.0
DISK_MB = 96

LOAD = """\
code=$1; shift
for phase; do
    i=0
    while [ $i -lt ${phase%:*} ]; do
        timeout ${phase#*:} sh -c 'while :; do :; done' &
        i=$((i + 1))
    done
    sleep ${phase#*:}
    wait
done
exit $code
"""

_CONDOR_ASKS = (
    *("ClusterId", "ProcId", "JobBatchName", "JobStatus", "ExitCode", "ExitBySignal"),
    *("NumSystemHolds", "NumJobStarts", "QDate", "JobStartDate", "CompletionDate"),
    *("EnteredCurrentStatus", "RequestCpus", "HoldReason"),
)

_SACCT_ASKS = "JobIDRaw,JobName,State,ExitCode,Submit,Start,End,NodeList,AllocCPUS"


class CampaignCluster(CondorCluster):
    """Two workers of each scheduler on one host that lends."""

    def __init__(self, bed: Testbed, cores: int) -> None:
        self.slurm_hangs = bed.path / "slurm-hangs"
        self._prefix = bed.path / "scontrol-prefix"
        wait = f"while [ -e {self.slurm_hangs} ]; do sleep 0.2; done"
        self._prefix.write_text(f'#!/bin/sh\n{wait}\nexec chroot {bed.root} "$@"\n')
        self._prefix.chmod(0o755)
        super().__init__(bed, agent_wait_s=AGENT_WAIT_S, host_cores=cores, lending=LENDING)
        inside = self.database.parent
        inside.mkdir(exist_ok=True)
        options = f"size={DISK_MB}m,mode=700"
        bed.host(["mount", "-t", "tmpfs", "-o", options, "record", str(inside)])
        self.disk = bed.namespaces.outer(inside)
        (self.home() / "load.sh").write_text(LOAD)

    def _settings(self, agent_wait_s: float, agent: dict[str, object]) -> dict[str, Any]:
        """Size jobs of seconds: what idles for some seconds is taken back."""
        return {
            **super()._settings(agent_wait_s, agent),
            "policy": {"name": "window", "window_s": WINDOW_S},
            "limits": {"cooldown_s": COOLDOWN_S},
        }

    def _scontrol_prefix(self) -> list[str]:
        return [str(self._prefix)]

    def open_leases(self) -> int:
        """Return how many workers have a job, as the agent tells."""
        return sum(bool(worker["job"]) for worker in self.workers().values())

    def copy_record(self) -> Path:
        """Stop the agent and copy its database to where the test can open it.

        SQLite itself would follow the link into the namespaces to a place outside of them.
        """
        self.stop_agent()
        copy = self.bed.path / "copy"
        shutil.copytree(self.disk, copy)
        return copy / self.database.name

    def slurm_queue(self) -> list[dict[str, str]]:
        """Return Slurm's queue: job, name, state, reason, node; raises when nobody answers."""
        form = "%i|%j|%T|%r|%N"
        said = self.bed.run(["squeue", "-h", "-a", "-o", form], user="root", timeout=20).stdout
        names = ("job", "name", "state", "reason", "node")
        return [
            dict(zip(names, line.split("|"), strict=True)) for line in said.splitlines() if line
        ]

    def condor_queue(self) -> list[dict[str, Any]]:
        """Return the ads of HTCondor's queue; raises when the schedd does not answer."""
        return self._ads(["condor_q", "-allusers"], timeout=20)

    def condor_ended(self) -> list[dict[str, Any]]:
        """Return the ads of the history."""
        return self._ads(["condor_history"], timeout=120)

    def _ads(self, command: list[str], timeout: float) -> list[dict[str, Any]]:
        asks = ["-json", "-attributes", ",".join(_CONDOR_ASKS)]
        said = self.bed.run([*command, *asks], user="root", timeout=timeout).stdout
        found: list[dict[str, Any]] = json.loads(said or "[]")
        return found

    def slurm_runs(self) -> list[dict[str, str]]:
        """Return every run that the accounting knows, requeued ones too; times in epoch s."""
        command = ["sacct", "-a", "-D", "-X", "-P", "-S", "now-1days", "-o", _SACCT_ASKS]
        time_format = {"SLURM_TIME_FORMAT": "%s"}
        said = self.bed.run(command, user="root", env=time_format, timeout=120).stdout
        first, *lines = said.splitlines()
        return [dict(zip(first.split("|"), line.split("|"), strict=True)) for line in lines]
