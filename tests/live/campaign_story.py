"""What a campaign leaves to be judged: plain values, from the schedulers and from the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hotslot.model import Event, Finding, Lease, Sample
from hotslot.record.batch import LedgerMinute
from live.campaign_plan import FaultKind, Plan, PlannedJob


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that a scheduler took; times in epoch s."""

    job: PlannedJob
    job_id: str
    asked_at: float
    taken_at: float


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that was there from ``began`` until it was mended; epoch s.

    ``step_s`` is by how much the agent's clock was ahead meanwhile. ``by_itself``: nobody
    did this, a VM's QEMU ended.
    """

    kind: FaultKind
    worker: str
    began: float
    ended: float
    step_s: float = 0.0
    by_itself: bool = False

    @property
    def name(self) -> str:
        """What it is called in tables and stories."""
        if self.by_itself:
            return f"{self.kind}: by itself"
        return f"{self.kind} by {abs(self.step_s):g} s" if self.step_s else str(self.kind)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job, as its scheduler's accounting has it."""

    worker: str
    started_at: float
    ended_at: float | None
    state: str


@dataclass(frozen=True, slots=True)
class JobEnd:
    """A job as its scheduler accounts for it; ``job_id`` as the record calls it.

    ``state`` in Slurm's words for both: COMPLETED, FAILED, CANCELLED, …; '' while it is queued.
    ``runs`` are known of Slurm only; ``starts`` counts how often HTCondor's job was started.
    """

    name: str
    scheduler: str
    job_id: str
    cpus: int
    submitted_at: float
    first_start: float | None
    ended_at: float | None
    state: str
    exit_code: int | None
    runs: tuple[Run, ...] = ()
    starts: int = 0
    held_by_system: int = 0


@dataclass(frozen=True, slots=True)
class NodeEnd:
    """A node of Slurm at the end."""

    worker: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Story:
    """All of it; ``samples`` by lease.

    ``as_written`` is the same with the record's own times, where the agent's clock was set.
    """

    plan: Plan
    cores: int
    began: float
    ended: float
    submitted: tuple[Submitted, ...] = ()
    jobs: tuple[JobEnd, ...] = ()
    faults: tuple[Injected, ...] = ()
    leases: tuple[Lease, ...] = ()
    samples: Mapping[int, tuple[Sample, ...]] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    ledger: tuple[LedgerMinute, ...] = ()
    findings: tuple[Finding, ...] = ()
    nodes: tuple[NodeEnd, ...] = ()
    left: tuple[str, ...] = ()
    as_written: Story | None = None
