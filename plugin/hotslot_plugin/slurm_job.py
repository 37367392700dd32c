"""A Slurm job as controller and pyslurm tell of it, and what that means for its workers: pure.

Measured on 24.11.5 (transcripts in tests/transcripts/slurm-24.11):

- With PrologFlags=Alloc a job whose Prolog runs is RUNNING with reason ``Prolog``, until the
  Prologs of all its nodes are over. A node that boots first makes it CONFIGURING.
- While it is COMPLETING, ``nodes`` are only those whose Epilog is not over yet; the allocation
  still has all of them, also when the job has ended, until Slurm forgets it (MinJobAge).
- A requeued job is PENDING and COMPLETING while the Epilogs of its last run go on. Its restart
  count is already that of the next run, its start time is that of the requeue.
- A job that is cancelled in its Prolog is CANCELLED and COMPLETING, its reason still ``Prolog``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hotslot.errors import SchedulerError
from hotslot.model import JobPhase, Placement

CPUS_MAX = 65_536
"""More CPUs than this on one node are not believed."""

ENDED_WORDS = frozenset(
    {
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    }
)
"""States from which a run does not come back (slurm.schedmd.com/job_state_codes.html)."""

_STARTING = frozenset({"CONFIGURING", "POWER_UP_NODE", "STAGE_IN"})
_SUSPENDED = frozenset({"SUSPENDED", "STOPPED"})
_WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"})
_RUNNING = frozenset({"RUNNING", "RESIZING", "SIGNALING", "STAGE_OUT", "EXPEDITING"})


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """One job record. ``cpus_on`` has the CPUs of each node of the allocation, ``nodes`` are
    Slurm's "nodes" now; times are UTC epoch s. ``requeued``: the next run is counted already,
    while the last one is completing. ``asked`` is in canonical form (``slurm_asked``)."""

    job_id: str
    states: frozenset[str]
    reason: str = ""
    restarts: int = 0
    requeued: bool = False
    nodes: tuple[str, ...] = ()
    cpus_on: Mapping[str, int] = field(default_factory=dict)
    user: str = ""
    account: str = ""
    partition: str = ""
    name: str = ""
    array_job_id: str = ""
    array_task_id: str = ""
    het_job_id: str = ""
    submitted_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    time_limit_s: float | None = None
    exit_code: str = ""
    asked: str = ""
    priority: int | None = None
    deadline_at: float | None = None
    requeueable: bool = False
    batch: bool = False

    @property
    def may_requeue(self) -> bool:
        """Whether ``scontrol requeue`` starts it anew: batch jobs only, unless --no-requeue was
        said. The parts of a heterogeneous job go together only, and are left alone."""
        return self.requeueable and self.batch and not self.het_job_id


def phase_of(job: SlurmJob) -> JobPhase:
    """Return where a job is, by its state words and its reason; SchedulerError for new words."""
    states = job.states
    if "COMPLETING" in states:
        return JobPhase.ENDING
    if ENDED_WORDS & states:
        return JobPhase.ENDED
    if _WAITING & states:
        return JobPhase.PENDING
    if _SUSPENDED & states:
        return JobPhase.SUSPENDED
    if _STARTING & states or ("RUNNING" in states and job.reason == "Prolog"):
        return JobPhase.STARTING
    if _RUNNING & states:
        return JobPhase.RUNNING
    shown = "+".join(sorted(states)) or "(empty)"
    raise SchedulerError(
        f"Slurm's job {job.job_id} has a state that hotslot does not know: {shown}"
    )


def placements(job: SlurmJob) -> list[Placement]:
    """Return the job on each node that it has or had; a job that waits: one without a worker."""
    phase = phase_of(job)
    if phase is JobPhase.PENDING:
        return [_placement(job, "", max(1, sum(job.cpus_on.values())), phase)]
    return [
        _placement(job, node, cpus, _phase_on(node, job, phase))
        for node, cpus in job.cpus_on.items()
    ]


def _phase_on(node: str, job: SlurmJob, phase: JobPhase) -> JobPhase:
    """A node that a completing job has left is free already."""
    return JobPhase.ENDED if phase is JobPhase.ENDING and node not in job.nodes else phase


def _placement(job: SlurmJob, worker: str, cpus: int, phase: JobPhase) -> Placement:
    over = phase in (JobPhase.ENDING, JobPhase.ENDED) and not job.requeued
    waiting = phase is JobPhase.PENDING
    run = max(0, job.restarts - job.requeued)
    return Placement(
        scheduler="slurm",
        job_id=job.job_id,
        run=run,
        worker=worker,
        cpus=cpus,
        phase=phase,
        user=job.user,
        account=job.account,
        partition=job.partition,
        name=job.name,
        array_job_id=job.array_job_id,
        array_task_id=job.array_task_id,
        het_job_id=job.het_job_id,
        submitted_at=job.submitted_at,
        started_at=None if job.requeued or waiting else job.started_at,
        ended_at=job.ended_at if over else None,
        time_limit_s=job.time_limit_s,
        exit_code=job.exit_code if over else "",
        outcome=_outcome(job),
        before="REQUEUED" if run > 0 else "",
        asked=job.asked,
        priority=job.priority,
        deadline_at=job.deadline_at,
        may_requeue=job.may_requeue,
    )


def _outcome(job: SlurmJob) -> str:
    """Return how the run ended in Slurm's word; sacct, too, says REQUEUED of such a run."""
    if job.requeued:
        return "REQUEUED"
    return min(ENDED_WORDS.intersection(job.states), default="")


def shares(counted: Mapping[str, int], cpus: int | None) -> dict[str, int]:
    """Return the CPUs on each node from what was counted there and the job's total.

    Where cores were counted on a machine with two threads a core, all are doubled. Where nothing
    is known of a node (0), the total is split evenly, the first nodes taking what is left over.
    Worked: {w1: 4, w2: 1}, 5 → as they are; {x1: 2}, 4 → {x1: 4}; {w1: 0, w2: 0}, 5 → 3 and 2.
    """
    total = sum(counted.values())
    if counted and 0 in counted.values():
        each, rest = divmod(max(cpus or 0, len(counted)), len(counted))
        return {node: each + (index < rest) for index, node in enumerate(counted)}
    if cpus and total and cpus % total == 0:
        return {node: count * (cpus // total) for node, count in counted.items()}
    return dict(counted)
