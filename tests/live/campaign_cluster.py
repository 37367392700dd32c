"""The cluster of a campaign: Slurm's commands, the record's disk and the clock can be broken."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from hotslot.client import ask
from hotslot.errors import AgentUnreachable
from live.condor_cluster import CondorCluster
from testbed import Testbed

LENDING: dict[str, object] = {"risk": 1.0, "horizon_s": 10.0}
"""All that owners do not use now is lent: the most that can go wrong."""

AGENT_WAIT_S = 45.0
"""How long hooks try: longer than any fault of the agent lasts, on a slow machine too."""

WINDOW_S = 5.0
COOLDOWN_S = 2.0
DISK_MB = 96

_CLOCKED = Path(__file__).with_name("clocked_agent.py")

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
        self._mount_record(inside)
        self.disk = bed.namespaces.outer(inside)
        self._clock = bed.path / "clock"
        self.set_clock(0.0)
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

    def _mount_record(self, inside: Path) -> None:
        """Give the record a disk of its own; tmpfs would not refuse writes to files once open."""
        image = self.bed.run_dir.scratch / "record.ext4"
        make = ["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(image)]
        self.bed.host(["truncate", "-s", f"{DISK_MB}M", str(image)])
        self.bed.host(make)
        self.bed.host(["mount", "-o", "loop", str(image), str(inside)])
        self.bed.host(["chmod", "700", str(inside)])

    def popen_agent(self, config: Path, out: IO[str]) -> subprocess.Popen[str]:
        """Start an agent whose time of day ``set_clock`` sets."""
        command = [sys.executable, "-I", str(_CLOCKED), str(self._clock), "-c", str(config)]
        return self.bed.popen_host(command, stdout=out, stderr=out)

    def set_clock(self, ahead_s: float) -> None:
        """Set the agent's clock so far ahead of the true time; negative: behind it."""
        new = self._clock.with_name("clock.new")
        new.write_text(f"{ahead_s:+.1f}")
        new.rename(self._clock)

    @contextmanager
    def read_only_record(self) -> Iterator[None]:
        """Have all writes to the record refused for a while.

        Not those to its index in shared memory, which no read-only file system refuses either.
        """
        there = [path.name for path in self.disk.iterdir() if not path.name.endswith("-shm")]
        files = [str(self.database.parent / name) for name in ("", *there)]
        try:
            self.bed.host(["chattr", "+i", *files])
            yield
        finally:
            self.bed.host(["chattr", "-i", *files])

    def record_state(self) -> dict[str, Any]:
        """Return what the agent says of its record; {} when it says nothing."""
        try:
            state: dict[str, Any] = ask(self.socket, "/v1/status")["agent"]["record"]
        except AgentUnreachable:
            return {}
        return state

    def record_is_written(self) -> bool:
        """Whether the agent says that its record is as it should be."""
        return self.record_state().get("condition") == "ok"

    def record_fails(self) -> bool:
        """Whether the agent says that it cannot write its record."""
        return self.record_state().get("condition") == "failing"

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
