"""The values that stages exchange: frozen, no I/O, no clock.

Times named ``*_at`` are UTC epoch seconds; durations are ``*_s``; ``*_cores`` are cores kept
busy, averaged over an interval; ``*_vcpus`` are whole vCPUs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class VcpuTimes:
    """Cumulative times of one vCPU thread, in ns, as the host kernel counts them."""

    run_ns: int
    wait_ns: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a worker: ``vcpus[i]`` are the cumulative times of vCPU ``i``.

    ``monotonic_s`` is the host's monotonic clock, so that a step of the wall clock cannot
    make an interval negative. ``pid`` and ``born_s`` (process start, s since boot) name the
    process beyond doubt: a reading of another process never makes an interval with this one.
    """

    monotonic_s: float
    pid: int
    born_s: float
    vcpus: dict[int, VcpuTimes]


@dataclass(frozen=True, slots=True)
class Sample:
    """What one worker did over one interval that ended at ``at``.

    ``used_cores`` ran on a host core, ``waited_cores`` were ready to run and had none (the
    guest calls it steal; harm done by the host). ``held_cores`` is the time-weighted mean of
    the plugged vCPUs, ``granted_vcpus`` their number at the interval's end.
    """

    at: float
    interval_s: float
    granted_vcpus: int
    held_cores: float
    used_cores: float
    waited_cores: float

    @property
    def wanted_cores(self) -> float:
        """Cores that the guest had work for: running or waiting for a host core."""
        return self.used_cores + self.waited_cores


@dataclass(frozen=True, slots=True)
class Wish:
    """What a policy would give a worker, and why in words."""

    vcpus: int
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """A wish after limits: the worker should go from one number of vCPUs to another.

    ``detected_at`` is the start of the sampling interval that led to it, so that the time
    from a load's change to its effect can be told in parts.
    """

    worker: str
    at: float
    from_vcpus: int
    to_vcpus: int
    reason: str
    detected_at: float


class ResultKind(StrEnum):
    """The results of attempts, as reports count them."""

    APPLIED = "applied"
    REFUSED = "refused"
    TIMED_OUT = "timed out"
    FAILED = "failed"
    VM_GONE = "vm gone"


class EventResult(StrEnum):
    """How one attempt to change a worker's vCPUs ended: its class.

    ``ALREADY_SO``: it had come to that without hotslot. ``EJECTED_LATE``: the guest gave up what
    an earlier attempt had asked it for in vain. ``PLUG_LOST``: the hypervisor lists the vCPU and
    its thread has never run. ``REFUSED``, ``TIMED_OUT`` and ``FAILED`` are what is left.
    """

    APPLIED = "applied"
    ALREADY_SO = "already so"
    EJECTED_LATE = "ejected late"
    REFUSED = "refused"
    GUEST_REFUSED = "guest refused"
    HOTPLUG_DISABLED = "hot-plug disabled"
    OVER_CEILING = "over the ceiling"
    TIMED_OUT = "timed out"
    GUEST_SILENT = "guest did not answer"
    FAILED = "failed"
    PLUG_LOST = "plug lost"
    MACHINE_LOCKED = "machine locked"
    SERVICE_GONE = "hypervisor service gone"
    VM_GONE = "vm gone"

    @property
    def kind(self) -> ResultKind:
        """What reports count it as."""
        return _KINDS[self]


_KINDS = {
    EventResult.APPLIED: ResultKind.APPLIED,
    EventResult.ALREADY_SO: ResultKind.APPLIED,
    EventResult.EJECTED_LATE: ResultKind.APPLIED,
    EventResult.REFUSED: ResultKind.REFUSED,
    EventResult.GUEST_REFUSED: ResultKind.REFUSED,
    EventResult.HOTPLUG_DISABLED: ResultKind.REFUSED,
    EventResult.OVER_CEILING: ResultKind.REFUSED,
    EventResult.TIMED_OUT: ResultKind.TIMED_OUT,
    EventResult.GUEST_SILENT: ResultKind.TIMED_OUT,
    EventResult.FAILED: ResultKind.FAILED,
    EventResult.PLUG_LOST: ResultKind.FAILED,
    EventResult.MACHINE_LOCKED: ResultKind.FAILED,
    EventResult.SERVICE_GONE: ResultKind.FAILED,
    EventResult.VM_GONE: ResultKind.VM_GONE,
}


@dataclass(frozen=True, slots=True)
class Event:
    """One attempt to change a worker's vCPUs; ``got_vcpus`` was read back, not assumed.

    ``at`` is when the attempt began, ``took_s`` how long until its end. ``command_s`` is the
    part until the hypervisor had answered, ``online_s`` the part until every plugged vCPU had
    been seen running in the guest (None: not a plug, or not seen).
    """

    worker: str
    lease_id: int | None
    at: float
    from_vcpus: int
    to_vcpus: int
    got_vcpus: int
    reason: str
    result: EventResult
    detail: str
    detected_at: float | None
    command_s: float
    online_s: float | None
    took_s: float


class JobPhase(StrEnum):
    """Where a job is on a worker, as the scheduler says."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    SUSPENDED = "suspended"
    ENDING = "ending"
    ENDED = "ended"

    @property
    def occupies(self) -> bool:
        """Whether the job has a claim on its worker's vCPUs now."""
        return self in (JobPhase.STARTING, JobPhase.RUNNING, JobPhase.SUSPENDED)


@dataclass(frozen=True, slots=True)
class Placement:
    """One run of one job on one worker, as the scheduler says: the truth behind a lease.

    ``run`` counts the job's starts (Slurm's restart count), so a requeued job is told from
    its earlier run. ``cpus`` is the part of the request on this worker. ``outcome`` is the
    scheduler's own word for how the job ended (``COMPLETED``, ``TIMEOUT`` …), '' before;
    ``before`` is its word for how the run before this one ended, of a job that waits or runs again.
    ``asked`` is what its owner asked of hotslot, as settings in canonical form: ``min=4,burst=no``
    (decide/preferences.py), '' for nothing. ``priority`` is the scheduler's own number, higher
    first, to be compared among its own jobs only; ``fair_share`` is from 0 to 1
    (decide/weights.Standing); None where the scheduler does not say. ``deadline_at``: UTC epoch s
    by which the scheduler ends it. ``may_requeue``: the scheduler may start it anew, and its owner
    has not forbidden that.
    """

    scheduler: str
    job_id: str
    run: int
    worker: str
    cpus: int
    phase: JobPhase
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
    outcome: str = ""
    before: str = ""
    asked: str = ""
    priority: float | None = None
    fair_share: float | None = None
    deadline_at: float | None = None
    may_requeue: bool = False

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What makes a lease unique: scheduler, job, run, worker."""
        return (self.scheduler, self.job_id, self.run, self.worker)


class CloseReason(StrEnum):
    """Why a lease was closed."""

    ENDED = "ended"
    REQUEUED = "requeued"
    LOST = "lost"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Totals:
    """What one lease adds up to, in core-seconds over its whole life.

    requested = request x life, held = integral of granted, used = cores kept busy, waited =
    ready to run without a host core, borrowed = integral of what was held above the request.
    ``saturated_s``: time with demand at the limit while held below the request, the harm
    scaling may have done.
    Worked: a 4-CPU job of 100 s held at 4 for 30 s and at 2 for 70 s, busy 1.5 cores
    throughout: requested 400, held 260, used 150, borrowed 0.
    """

    life_s: float = 0.0
    requested_core_s: float = 0.0
    held_core_s: float = 0.0
    used_core_s: float = 0.0
    waited_core_s: float = 0.0
    peak_cores: float = 0.0
    saturated_s: float = 0.0
    borrowed_core_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Lease:
    """One run of one job on one worker, from start to end."""

    id: int
    placement: Placement
    opened_at: float
    closed_at: float | None = None
    close_reason: CloseReason | None = None
    totals: Totals = Totals()

    @property
    def request(self) -> int:
        """VCPUs the job asked for on this worker: its entitlement."""
        return self.placement.cpus


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What the scheduler's own tools show of one run on one worker.

    ``over``: the run has ended; else these are its figures so far. ``events`` are the changes of
    its vCPUs that were applied, in core-seconds and cores the rest, as in Totals.
    """

    placement: Placement
    requested_vcpus: int
    held_core_s: float
    used_core_s: float
    peak_cores: float
    events: int
    over: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Workers among which a scheduler places jobs by itself, up to one limit.

    Slurm: all workers of a host, limited by their partition's QOS. HTCondor: each worker alone,
    limited by its gate. ``used`` are the CPUs of the jobs that it has there, ``limit`` those that
    it may have there in all without asking: both as the scheduler itself says, at one moment.
    ``gated``: the limit is taken by the worker from the agent, not set in the scheduler.
    """

    name: str
    workers: tuple[str, ...]
    used: int
    limit: int
    gated: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that could start if there were CPUs for it: ``cpus`` on each of ``workers`` workers.

    ``since`` is UTC epoch s: when it came to wait for CPUs and nothing else.
    """

    job_id: str
    cpus: int
    since: float
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Queue:
    """A scheduler's share of a host now, and who waits for more of it, first come first.

    ``limited``: hotslot may set limits to it (``Scheduler.offer``); else it has all of its
    workers' CPUs.
    """

    groups: tuple[Group, ...]
    waiting: tuple[Waiting, ...] = ()
    limited: bool = True


@dataclass(frozen=True, slots=True)
class NodeCondition:
    """A worker as the scheduler sees it.

    ``drained``: takes no new jobs by someone's decision; ``reason`` in the scheduler's words,
    set at ``reason_at`` by user ``reason_by``.
    """

    worker: str
    state: str
    drained: bool
    down: bool
    reason: str = ""
    reason_by: str = ""
    reason_at: float | None = None


class Level(StrEnum):
    """How a line of ``hotslot check`` ends."""

    OK = "ok"
    WARN = "warn"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``hotslot check``: what was looked at, how it is, what to do about it."""

    subject: str
    level: Level
    found: str
    remedy: str = ""
