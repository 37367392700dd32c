"""What users and administrators do to a campaign's jobs, as the queues come to show them."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from live.campaign_cluster import CampaignCluster
from live.campaign_plan import Act, PlannedJob
from live.condor_cluster import HELD, IDLE, RUNNING, SUSPENDED
from testbed.errors import TestbedError

BACK_AFTER_S = 6.0
"""A held or suspended job is let go on after this."""

AGAIN_S = 4.0
"""Between two tries of the same act: daemons may be away."""

_STATES = {IDLE: "PENDING", RUNNING: "RUNNING", HELD: "HELD", SUSPENDED: "SUSPENDED"}


@dataclass(frozen=True, slots=True)
class Queued:
    """A job in a queue, in Slurm's words; a held one is HELD."""

    scheduler: str
    job_id: str
    name: str
    state: str
    reason: str


class Acts:
    """Looks at the queues once a second and does what is due."""

    def __init__(self, cluster: CampaignCluster, jobs: Iterable[PlannedJob]) -> None:
        self._cluster = cluster
        self._planned = {job.name: job for job in jobs}
        self._seen: dict[tuple[str, str, str], float] = {}
        self._tried: dict[tuple[str, str], float] = {}
        self._queues: dict[str, list[Queued]] = {}
        self._unseen: Counter[str] = Counter()
        self._answered = False

    @property
    def running(self) -> int:
        return sum(job.state not in ("PENDING", "HELD") for job in self._all)

    @property
    def in_queue(self) -> int:
        return sum(job.state in ("PENDING", "HELD") for job in self._all)

    @property
    def names(self) -> str:
        return ", ".join(f"{job.name} {job.state} ({job.reason})" for job in self._all)

    @property
    def is_empty(self) -> bool:
        """Whether both schedulers answered that they have no jobs."""
        return self._answered and not self._all

    @property
    def _all(self) -> list[Queued]:
        return [job for queue in self._queues.values() for job in queue]

    def waiting(self, scheduler: str) -> int:
        """Return how many jobs of a scheduler wait, as far as is known."""
        seen = sum(job.state == "PENDING" for job in self._queues.get(scheduler, []))
        return seen + self._unseen[scheduler]

    def expect(self, scheduler: str) -> None:
        """Count a job that has just been submitted, until the queue is looked at."""
        self._unseen[scheduler] += 1

    def look(self) -> None:
        """Ask both schedulers, then act."""
        self._answered = True
        for name, ask in (("slurm", self._slurm), ("htcondor", self._condor)):
            try:
                self._queues[name] = ask()
                self._unseen[name] = 0
            except (TestbedError, subprocess.TimeoutExpired, json.JSONDecodeError):
                self._answered = False
        for job in self._all:
            since = self._seen.setdefault((job.scheduler, job.job_id, job.state), time.time())
            self._act(job, time.time() - since)

    def _slurm(self) -> list[Queued]:
        return [
            Queued(
                "slurm",
                each["job"],
                each["name"],
                "HELD" if each["reason"].startswith("JobHeld") else each["state"],
                each["reason"],
            )
            for each in self._cluster.slurm_queue()
        ]

    def _condor(self) -> list[Queued]:
        return [
            Queued(
                "htcondor",
                f"{ad['ClusterId']}.{ad['ProcId']}",
                str(ad.get("JobBatchName", "")),
                _STATES.get(int(ad["JobStatus"]), "ENDING"),
                str(ad.get("HoldReason", "")),
            )
            for ad in self._cluster.condor_queue()
        ]

    def _act(self, job: Queued, for_s: float) -> None:
        planned = self._planned.get(job.name)
        if planned is None:
            return
        slurm = job.scheduler == "slurm"
        act, due = planned.act, for_s >= planned.act_after_s
        match (act, job.state):
            case (Act.HOLD, "HELD") | (Act.SUSPEND, "SUSPENDED") if for_s >= BACK_AFTER_S:
                back = "release" if act is Act.HOLD else "resume" if slurm else "continue"
                self._do(job, f"scontrol {back}" if slurm else f"condor_{back}")
                self._seen[(job.scheduler, job.job_id, job.state)] = time.time()
                return
            case (Act.CANCEL_WAITING, "PENDING") | (Act.CANCEL, "RUNNING") if due:
                self._do(job, "scancel" if slurm else "condor_rm")
            case (Act.HOLD, "PENDING") if due and self._once(job):
                self._do(job, "scontrol hold" if slurm else "condor_hold")
            case (Act.AGAIN, "RUNNING") if due and self._once(job):
                self._do(job, "scontrol requeue" if slurm else "condor_vacate_job")
            case (Act.SUSPEND, "RUNNING") if due and self._once(job):
                self._do(job, "scontrol suspend" if slurm else "condor_suspend")
            case _:
                pass
        if slurm and job.reason == "BeginTime" and for_s > BACK_AFTER_S:
            # A requeued job waits for two minutes; the administrator need not.
            self._do(job, "scontrol update starttime=now+2", f"jobid={job.job_id}")

    def _once(self, job: Queued) -> bool:
        """Return True the first time; what is to go on again later is remembered apart."""
        key = (job.name, "once")
        if key in self._tried:
            return False
        self._tried[key] = time.time()
        return True

    def _do(self, job: Queued, command: str, argument: str = "") -> None:
        key = (job.job_id, command)
        if time.time() - self._tried.get(key, 0.0) < AGAIN_S:
            return
        self._tried[key] = time.time()
        user = "root" if job.scheduler == "slurm" else "alice"
        argv = [*command.split(), argument or job.job_id]
        try:
            self._cluster.bed.run(argv, user=user, check=False, timeout=30)
        except subprocess.TimeoutExpired:
            return
