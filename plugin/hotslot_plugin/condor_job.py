"""An HTCondor job as its schedd tells of it, and what that means for workers: pure.

Who is on a worker is what its startd says; of whom, the schedd. Measured with HTCondor 23.9.6:

- ``NumJobMatches`` counts the job's starts: +1 when it starts again after vacate, hold and release,
  a killed starter or shadow; unchanged when a schedd that was killed comes back and reconnects to
  the job that goes on. ``NumShadowStarts`` and ``JobRunCount`` count that reconnect as well,
  ``NumJobStarts`` is up to 15 min late, ``NumJobReconnects`` never appeared.
- After a killed shadow the schedd starts another on the same claim, which fails ("Failed to
  activate claim"): one start more that was none. Run numbers have gaps, but only grow.
- ``PublicClaimId`` is the same in the job's and the slot's ad for as long as a run lasts, also
  after a reconnect; a slot in state Preempting has none.
- ``JobCurrentStartExecutingDate`` is of this run (≥ ``JobCurrentStartDate``) once the PREPARE_JOB
  hook and the transfer of files are over; both are times of the schedd's machine.
- While the JOB_EXIT hook of a job that ended by itself runs, schedd and startd say that it runs.
  Of one that is held or removed the schedd says so at once; its slot is Preempting meanwhile.
- A slot is there, Claimed/Idle without GlobalJobId, some 0.2 s before its job is started.
- A starter or startd that is killed takes the job with it. The schedd says "running" on, for up to
  JobLeaseDuration (40 min), with ``JobDisconnectedDate`` set at once; it stays set in later runs.
  The startd is back after seconds and has no such job: its word counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hotslot.model import JobPhase, Placement
from hotslot_plugin import condor_ad
from hotslot_plugin.condor_ad import Ad
from hotslot_plugin.condor_asked import ATTRIBUTES, asked_in
from hotslot_plugin.condor_slot import Slot, Startd

VANILLA = 5
"""The universe of jobs that run in a worker, in containers, too."""

CPUS_MAX = 65_536
"""More CPUs than this on one machine are not believed."""

LOST_S = 25.0
"""A startd that has been silent for so long, under a job whose shadow has lost its starter, has
lost its job: with the reconciler's 60 s, a lease is closed within 90 s."""

IDLE, RUNNING, REMOVED, COMPLETED, HELD, TRANSFERRING_OUTPUT, SUSPENDED = range(1, 8)

JOB = (
    "ClusterId",
    "ProcId",
    "GlobalJobId",
    "JobStatus",
    "NumJobMatches",
    "PublicClaimId",
    "RemoteHost",
    "LastRemoteHost",
    "JobCurrentStartDate",
    "JobCurrentStartExecutingDate",
    "JobDisconnectedDate",
    "CpusProvisioned",
    "RequestCpus",
    "RequestMemory",
    "Owner",
    "AcctGroup",
    "AccountingGroup",
    "JobBatchName",
    "Cmd",
    "QDate",
    "CompletionDate",
    "EnteredCurrentStatus",
    "AllowedJobDuration",
    "AllowedExecuteDuration",
    "TotalSubmitProcs",
    "JobMaterializeLimit",
    "ExitCode",
    "ExitSignal",
    "ExitBySignal",
    "JobUniverse",
    "User",
    *ATTRIBUTES,
)
"""What is asked of a job."""


@dataclass(frozen=True, slots=True)
class CondorJob:
    """One job; ``matches`` counts its starts, times are UTC epoch s of the schedd's machine.

    ``submitter`` is whom the negotiator counts its use for: ``alice@test``, ``physics.alice@test``.
    """

    job_id: str
    status: int
    matches: int
    claim: str
    host: str
    last_host: str
    started_at: float | None
    executing_at: float | None
    disconnected_at: float | None
    cpus: int
    submitter: str
    facts: Placement

    @property
    def active(self) -> bool:
        """Whether the schedd has a run of it under way."""
        return self.status in (RUNNING, TRANSFERRING_OUTPUT, SUSPENDED)

    @property
    def disconnected(self) -> bool:
        """Whether the shadow has lost the starter of this run, now or before."""
        lost, started = self.disconnected_at, self.started_at
        return lost is not None and (started is None or lost >= started)


def job_of(schedd: str, ad: Ad) -> CondorJob | None:
    """Return a job's facts; None for an ad without its number."""
    cluster, proc = condor_ad.whole(ad, "ClusterId"), condor_ad.whole(ad, "ProcId")
    status = condor_ad.whole(ad, "JobStatus")
    job_id = f"{cluster}.{proc}@{schedd}"
    if cluster is None or proc is None or status is None or not condor_ad.JOB_ID.fullmatch(job_id):
        return None
    several = (condor_ad.whole(ad, "TotalSubmitProcs") or 1) > 1
    several = several or condor_ad.whole(ad, "JobMaterializeLimit") is not None
    return CondorJob(
        job_id=job_id,
        status=status,
        matches=condor_ad.whole(ad, "NumJobMatches") or 0,
        claim=condor_ad.claim(ad),
        host=_host(ad, "RemoteHost"),
        last_host=_host(ad, "LastRemoteHost"),
        started_at=condor_ad.number(ad, "JobCurrentStartDate") or None,
        executing_at=condor_ad.number(ad, "JobCurrentStartExecutingDate") or None,
        disconnected_at=condor_ad.number(ad, "JobDisconnectedDate") or None,
        cpus=_cpus(ad),
        submitter=_submitter(ad),
        facts=Placement(
            scheduler="htcondor",
            job_id=job_id,
            run=0,
            worker="",
            cpus=0,
            phase=JobPhase.PENDING,
            user=condor_ad.text(ad, "Owner"),
            account=_account(ad),
            name=condor_ad.text(ad, "JobBatchName") or _base_name(condor_ad.text(ad, "Cmd")),
            array_job_id=f"{cluster}@{schedd}" if several else "",
            array_task_id=str(proc) if several else "",
            submitted_at=condor_ad.number(ad, "QDate") or None,
            ended_at=_ended_at(ad, status),
            time_limit_s=_limit_s(ad),
            exit_code=_exit_code(ad) if status == COMPLETED else "",
            outcome=_OUTCOMES.get(status, ""),
            asked=asked_in(ad),
            may_requeue=condor_ad.whole(ad, "JobUniverse") == VANILLA,
        ),
    )


_OUTCOMES = {IDLE: "EVICTED", REMOVED: "REMOVED", COMPLETED: "COMPLETED", HELD: "HELD"}


def placements(
    job: CondorJob, startds: Mapping[str, Startd | None], silent_s: Mapping[str, float]
) -> list[Placement]:
    """Return where a job is, by its startds' words where they are known, else by the schedd's.

    ``startds`` are this host's workers, None for one that does not answer; ``silent_s`` says for
    how long. A job that waits: one without a worker, with the run to come.
    """
    slots = [
        (worker, slot)
        for worker, startd in startds.items()
        for slot in (startd.slots if startd else ())
        if slot.job_id == job.job_id
    ]
    found = [_in_slot(job, worker, slot) for worker, slot in slots]
    if job.active and job.host:
        worker = worker_of(job.host, startds)
        if worker not in [there for there, _ in slots]:
            phase = _unseen(job, startds, silent_s, worker)
            found.append(_placed(job, worker, phase, job.cpus, job.matches - 1))
        return found
    if found:
        return found
    if job.status in (REMOVED, COMPLETED):
        if not job.last_host or not job.matches:
            return []
        worker = worker_of(job.last_host, startds)
        return [_placed(job, worker, JobPhase.ENDED, job.cpus, job.matches - 1)]
    return [_placed(job, "", JobPhase.PENDING, job.cpus, job.matches)]


def worker_of(host: str, startds: Mapping[str, Startd | None]) -> str:
    """Return the name in hotslot.yaml of a startd that is called so; the host's own elsewhere."""
    for worker, startd in startds.items():
        if startd is not None and startd.name == host:
            return worker
    machine = host.rpartition("@")[2]
    return next((w for w in startds if condor_ad.is_called(machine, w)), machine)


def _in_slot(job: CondorJob, worker: str, slot: Slot) -> Placement:
    """A slot of another claim than the job's is what is left of an earlier run."""
    cpus = slot.cpus or job.cpus
    current = job.active and slot.claim in ("", job.claim)
    if not current or slot.state not in ("Claimed", "Matched"):
        earlier = job.active and not current
        return _placed(job, worker, JobPhase.ENDING, cpus, job.matches - 1 - earlier)
    if slot.activity == "Suspended":
        return _placed(job, worker, JobPhase.SUSPENDED, cpus, job.matches - 1)
    return _placed(job, worker, _phase(job), cpus, job.matches - 1)


def _unseen(
    job: CondorJob,
    startds: Mapping[str, Startd | None],
    silent_s: Mapping[str, float],
    worker: str,
) -> JobPhase:
    """Return the phase of a run that the schedd tells of and no startd here."""
    if worker not in startds:
        return _phase(job)
    startd = startds[worker]
    if startd is not None:
        claimed = any(not slot.job_id and slot.claim == job.claim for slot in startd.slots)
        return JobPhase.STARTING if claimed and job.claim else JobPhase.ENDED
    lost = job.disconnected and silent_s.get(worker, 0.0) >= LOST_S
    return JobPhase.ENDED if lost else _phase(job)


def _phase(job: CondorJob) -> JobPhase:
    """Return where an active job is by the schedd's word."""
    if job.status == SUSPENDED:
        return JobPhase.SUSPENDED
    if job.status == TRANSFERRING_OUTPUT:
        return JobPhase.ENDING
    started = job.started_at or 0.0
    executing = job.executing_at is not None and job.executing_at >= started
    return JobPhase.RUNNING if executing else JobPhase.STARTING


def _placed(job: CondorJob, worker: str, phase: JobPhase, cpus: int, run: int) -> Placement:
    over = phase in (JobPhase.ENDING, JobPhase.ENDED)
    gone = phase is JobPhase.ENDED or run < job.matches - 1
    of_active = "EVICTED" if gone else ""
    facts = job.facts
    before = facts.outcome if phase is JobPhase.PENDING else "EVICTED"
    return Placement(
        scheduler=facts.scheduler,
        job_id=facts.job_id,
        run=max(0, run),
        worker=worker,
        cpus=cpus,
        phase=phase,
        user=facts.user,
        account=facts.account,
        name=facts.name,
        array_job_id=facts.array_job_id,
        array_task_id=facts.array_task_id,
        submitted_at=facts.submitted_at,
        started_at=None if phase is JobPhase.PENDING else job.started_at,
        ended_at=facts.ended_at if over else None,
        time_limit_s=facts.time_limit_s,
        exit_code=facts.exit_code if over else "",
        outcome=(of_active if job.active else facts.outcome) if over else "",
        before=before if run > 0 else "",
        asked=facts.asked,
        may_requeue=facts.may_requeue,
    )


def _host(ad: Ad, name: str) -> str:
    """Return the startd's name of ``slot1_1@NAME``."""
    return condor_ad.text(ad, name).partition("@")[2]


def _cpus(ad: Ad) -> int:
    """Return what the job was promised, else what it asks for."""
    cpus = condor_ad.whole(ad, "CpusProvisioned") if condor_ad.text(ad, "RemoteHost") else None
    cpus = cpus or condor_ad.whole(ad, "RequestCpus") or condor_ad.whole(ad, "CpusProvisioned") or 1
    return min(cpus, CPUS_MAX)


def _account(ad: Ad) -> str:
    """Return the accounting group: ``AccountingGroup`` is ``GROUP.USER``."""
    group = condor_ad.text(ad, "AcctGroup")
    return group or condor_ad.text(ad, "AccountingGroup").rpartition(".")[0]


def _submitter(ad: Ad) -> str:
    """Return ``GROUP.USER@DOMAIN``, or ``USER@DOMAIN`` of a job without an accounting group."""
    user, group = condor_ad.text(ad, "User"), condor_ad.text(ad, "AccountingGroup")
    return f"{group}@{user.partition('@')[2]}" if group else user


def _base_name(path: str) -> str:
    return path.rpartition("/")[2]


def _limit_s(ad: Ad) -> float | None:
    limits = [condor_ad.number(ad, n) for n in ("AllowedJobDuration", "AllowedExecuteDuration")]
    return min((limit for limit in limits if limit), default=None)


def _ended_at(ad: Ad, status: int) -> float | None:
    if status not in (REMOVED, COMPLETED):
        return None
    done = condor_ad.number(ad, "CompletionDate") if status == COMPLETED else None
    return done or condor_ad.number(ad, "EnteredCurrentStatus") or None


def _exit_code(ad: Ad) -> str:
    """Return ``CODE:SIGNAL``, as Slurm writes it."""
    if condor_ad.true(ad, "ExitBySignal"):
        return f"0:{condor_ad.whole(ad, 'ExitSignal') or 0}"
    return f"{condor_ad.whole(ad, 'ExitCode') or 0}:0"
