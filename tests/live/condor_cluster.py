"""HTCondor jobs on a testbed with an agent, as a test sees them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hotslot.record.batch import LeaseRow
from live.cluster import Cluster, eventually

RESULTS = (
    "HotslotRequestedCpus",
    "HotslotHeldCoreSeconds",
    "HotslotUsedCoreSeconds",
    "HotslotPeakCpus",
    "HotslotEvents",
)

IDLE, RUNNING, REMOVED, COMPLETED, HELD, SUSPENDED = 1, 2, 3, 4, 5, 7
"""JobStatus."""


class CondorCluster(Cluster):
    """Jobs are named as users name them, ``12.0``."""

    @cached_property
    def schedd(self) -> str:
        """The schedd's name."""
        return self.bed.run(["condor_status", "-schedd", "-af", "Name"]).stdout.strip()

    def submit(self, script: str, *lines: str, cpus: int = 2, user: str = "alice") -> str:
        """Submit a shell script as a vanilla job; ``lines`` are further submit commands.

        Returns the first job's id. Double and single quotes in the script must be doubled.
        """
        text = [
            "executable = /bin/sh",
            f"arguments = \"-c '{script}'\"",
            "transfer_executable = false",
            "should_transfer_files = no",
            f"initialdir = /home/{user}",
            "output = out.$(Cluster).$(Process)",
            "error = err.$(Cluster).$(Process)",
            "log = log.$(Cluster)",
            f"request_cpus = {cpus}",
            "request_memory = 32",
            "request_disk = 1M",
            *lines,
            "" if any(line.startswith("queue") for line in lines) else "queue",
        ]
        return self.bed.condor_submit("\n".join(text) + "\n", user=user)

    def home(self, user: str = "alice") -> Path:
        """Return a user's home directory."""
        return self.bed.home / user

    def ask_q(self, job: str, *attributes: str) -> list[str]:
        """Return attributes of a job in the queue as text; [] when it is not there."""
        return self._first(["condor_q", "-allusers", job], attributes)

    def ask_history(self, job: str, *attributes: str) -> list[str]:
        """Return attributes of a job in the history as text; [] when it is not there."""
        return self._first(["condor_history", job, "-limit", "1"], attributes)

    def _first(self, argv: Sequence[str], attributes: Sequence[str]) -> list[str]:
        done = self.bed.run([*argv, "-af:t", *attributes], check=False, timeout=120)
        lines = done.stdout.strip().splitlines()
        return lines[0].split("\t") if done.returncode == 0 and lines else []

    def status_of(self, job: str) -> int | None:
        """Return a job's JobStatus; None when it is not in the queue."""
        found = self.ask_q(job, "JobStatus")
        return int(found[0]) if found and found[0].isdecimal() else None

    def wait_status(self, job: str, *statuses: int | None, timeout_s: float = 120) -> None:
        """Wait until a job has one of these; None: has left the queue."""
        eventually(
            lambda: self.status_of(job) in statuses,
            timeout_s,
            f"job {job} has status {statuses}",
            self.explain,
        )

    def wait_left(self, job: str, timeout_s: float = 240) -> None:
        """Wait until a job is in the history."""
        eventually(
            lambda: self.status_of(job) is None and self.ask_history(job, "JobStatus"),
            timeout_s,
            f"job {job} is in the history",
            self.explain,
        )

    def wait_file(self, name: str, user: str = "alice", timeout_s: float = 150) -> Path:
        """Wait until a job has made a file in its user's home directory."""
        path = self.home(user) / name
        eventually(path.exists, timeout_s, f"{name} is there", self.explain)
        return path

    def results(self, job: str) -> dict[str, float]:
        """Return hotslot's figures of a job from the history or, if it is there, the queue."""
        found = self.ask_q(job, *RESULTS) or self.ask_history(job, *RESULTS)
        return {
            name: float(value)
            for name, value in zip(RESULTS, found, strict=False)
            if value != "undefined"
        }

    def leases_of(self, job: str) -> list[LeaseRow]:
        """Return a job's leases from the record."""
        return self.leases(f"{job}@{self.schedd}")

    def slots(self) -> list[dict[str, Any]]:
        """Return the ads of the workers' slots, as the collector has them."""
        done = self.bed.run(["condor_status", "-json"], check=False)
        found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
        return found

    def act(self, command: str, job: str, *options: str, user: str = "alice") -> None:
        """Run condor_hold, condor_rm and the like on a job."""
        self.bed.run([command, *options, job], user=user)
