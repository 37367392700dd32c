"""What a campaign does and when: random jobs and random faults, of the seed alone; pure."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

GAP_S = (5.0, 12.0)
"""Between the plans of two faults; they never overlap, so a long one delays the next."""

ARRIVES_S = (2.0, 8.0)
"""Between two jobs of one scheduler: more than its two workers can run, so that a queue stays."""

QUIET_PART = 0.12
"""Of the time, at its end, in which nothing new is broken."""


class Act(StrEnum):
    """What a user or an administrator does to a job."""

    NOTHING = "nothing"
    CANCEL_WAITING = "cancel waiting"
    CANCEL = "cancel"
    HOLD = "hold"
    AGAIN = "run again"
    SUSPEND = "suspend"


class FaultKind(StrEnum):
    """What can be broken."""

    AGENT_KILLED = "agent killed"
    AGENT_HANGS = "agent hangs"
    AGENT_STOPPED = "agent stopped"
    SLURMCTLD_KILLED = "slurmctld killed"
    SLURMCTLD_HANGS = "slurmctld hangs"
    SLURMDBD_KILLED = "slurmdbd killed"
    SLURMDBD_HANGS = "slurmdbd hangs"
    SLURM_HANGS = "scontrol and sacctmgr hang"
    SLURMD_KILLED = "slurmd killed"
    SLURMD_HANGS = "slurmd hangs"
    SCHEDD_KILLED = "schedd killed"
    SCHEDD_HANGS = "schedd hangs"
    COLLECTOR_KILLED = "collector killed"
    COLLECTOR_HANGS = "collector hangs"
    NEGOTIATOR_KILLED = "negotiator killed"
    SHADOW_KILLED = "shadow killed"
    STARTD_KILLED = "startd killed"
    STARTD_HANGS = "startd hangs"
    STARTER_KILLED = "starter killed"
    VM_HANGS = "VM hangs"
    VM_KILLED = "VM killed"
    CLOCK_AHEAD = "clock set ahead"
    CLOCK_BACK = "clock set back"
    DISK_FULL = "disk of the record full"
    RECORD_READ_ONLY = "record read-only"
    POKES_FORGED = "forged pokes"
    POKES_FLOOD = "flood of pokes"


ALL_KINDS = tuple(FaultKind)


class Suffers(StrEnum):
    """Whose jobs a fault may end by its nature, whatever hotslot does."""

    NOBODY = "nobody"
    WORKER = "the worker's"
    SLURM = "all of Slurm's"


SUFFERS = {
    FaultKind.SLURMCTLD_KILLED: Suffers.SLURM,
    FaultKind.SLURMD_KILLED: Suffers.WORKER,
    FaultKind.STARTD_KILLED: Suffers.WORKER,
    FaultKind.STARTER_KILLED: Suffers.WORKER,
    FaultKind.SHADOW_KILLED: Suffers.WORKER,
    FaultKind.VM_KILLED: Suffers.WORKER,
}
"""Of the kinds that are not here, nobody suffers."""

_ON_SLURM = {FaultKind.SLURMD_KILLED, FaultKind.SLURMD_HANGS}
_ON_CONDOR = {FaultKind.STARTD_KILLED, FaultKind.STARTD_HANGS, FaultKind.STARTER_KILLED}
_ON_ANY = {
    *(FaultKind.VM_HANGS, FaultKind.VM_KILLED),
    *(FaultKind.POKES_FORGED, FaultKind.POKES_FLOOD),
}

_LASTS_S = {
    FaultKind.AGENT_KILLED: (0.0, 4.0),
    FaultKind.AGENT_HANGS: (5.0, 12.0),
    FaultKind.AGENT_STOPPED: (0.0, 5.0),
    FaultKind.SLURMCTLD_KILLED: (0.0, 5.0),
    FaultKind.SLURMDBD_KILLED: (2.0, 8.0),
    FaultKind.SLURM_HANGS: (4.0, 14.0),
    FaultKind.SLURMD_KILLED: (0.0, 5.0),
    FaultKind.SLURMCTLD_HANGS: (3.0, 8.0),
    FaultKind.SLURMDBD_HANGS: (3.0, 8.0),
    FaultKind.SLURMD_HANGS: (3.0, 8.0),
    FaultKind.SCHEDD_HANGS: (3.0, 8.0),
    FaultKind.COLLECTOR_HANGS: (3.0, 8.0),
    FaultKind.STARTD_HANGS: (3.0, 8.0),
    FaultKind.VM_HANGS: (3.0, 8.0),
    FaultKind.CLOCK_AHEAD: (5.0, 12.0),
    FaultKind.CLOCK_BACK: (5.0, 12.0),
    FaultKind.DISK_FULL: (5.0, 12.0),
    FaultKind.RECORD_READ_ONLY: (5.0, 12.0),
}

_CLOCK_S = {FaultKind.CLOCK_AHEAD: 1, FaultKind.CLOCK_BACK: -1}
"""Which way a kind sets the agent's clock."""

STEP_S = (45.0, 7200.0)
"""How far: short steps are as likely as long ones (by their logarithm)."""


@dataclass(frozen=True, slots=True)
class Phase:
    """So many cores are kept busy for so long."""

    busy: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job: what it asks for and does, and what is done to it ``act_after_s`` after it is seen.

    ``at_s`` is when it is submitted at the earliest, in s from the campaign's start.
    """

    name: str
    at_s: float
    scheduler: str
    cpus: int
    phases: tuple[Phase, ...]
    exit_code: int
    act: Act
    act_after_s: float

    @property
    def seconds(self) -> float:
        """How long it runs, undisturbed."""
        return sum(phase.seconds for phase in self.phases)


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault of ``seconds`` (where it lasts), on a worker or '' where it is not of one.

    ``step_s`` is how far the agent's clock is set, ahead or back, until the fault is over.
    """

    at_s: float
    kind: FaultKind
    worker: str
    seconds: float
    step_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is random in a campaign of ``seconds``."""

    seed: int
    seconds: float
    jobs: tuple[PlannedJob, ...]
    faults: tuple[PlannedFault, ...]
    kinds: tuple[FaultKind, ...] = ALL_KINDS


def make_plan(
    seed: int,
    seconds: float,
    slurm: Sequence[str],
    condor: Sequence[str],
    kinds: Sequence[FaultKind] = ALL_KINDS,
) -> Plan:
    """Return the plan of a seed; ``slurm`` and ``condor`` name the workers."""
    chance = random.Random(seed)
    jobs = [job for name in ("slurm", "htcondor") for job in _jobs(chance, name, seconds)]
    faults = _faults(chance, seconds * (1 - QUIET_PART), slurm, condor, kinds)
    jobs.sort(key=lambda job: job.at_s)
    return Plan(seed, seconds, tuple(jobs), tuple(faults), tuple(kinds))


def _jobs(chance: random.Random, scheduler: str, seconds: float) -> list[PlannedJob]:
    jobs: list[PlannedJob] = []
    at_s = 0.0
    while at_s < seconds:
        jobs.append(_job(chance, f"{scheduler}-{len(jobs) + 1}", at_s, scheduler))
        at_s += chance.uniform(*ARRIVES_S)
    return jobs


def _job(chance: random.Random, name: str, at_s: float, scheduler: str) -> PlannedJob:
    cpus = chance.choice([1, 1, 2, 2, 3, 4, 4])
    phases = tuple(
        Phase(chance.choice([0, 0, 1, 1, cpus]), round(chance.uniform(0.3, 9.0), 1))
        for _ in range(chance.randint(1, 3))
    )
    act, after_s = Act.NOTHING, 0.0
    if chance.random() < 0.25:
        act = chance.choice([each for each in Act if each is not Act.NOTHING])
        after_s = chance.uniform(0.0, 4.0)
        if act not in (Act.CANCEL_WAITING, Act.HOLD):
            phases = (*phases, Phase(1, 8.0))
    exit_code = chance.randint(1, 9) if chance.random() < 0.15 else 0
    return PlannedJob(name, at_s, scheduler, cpus, phases, exit_code, act, after_s)


def _faults(
    chance: random.Random,
    seconds: float,
    slurm: Sequence[str],
    condor: Sequence[str],
    kinds: Sequence[FaultKind],
) -> list[PlannedFault]:
    """Return faults of which each kind comes before any comes again."""
    faults: list[PlannedFault] = []
    left: list[FaultKind] = []
    at_s = chance.uniform(*GAP_S)
    while at_s < seconds:
        if not left:
            left = list(kinds)
            chance.shuffle(left)
        kind = left.pop()
        worker = ""
        if kind in _ON_SLURM:
            worker = chance.choice(slurm)
        elif kind in _ON_CONDOR:
            worker = chance.choice(condor)
        elif kind in _ON_ANY:
            worker = chance.choice([*slurm, *condor])
        lasts_s = round(chance.uniform(*_LASTS_S.get(kind, (0.0, 0.0))), 1)
        step_s = _step_s(chance, kind)
        faults.append(PlannedFault(at_s, kind, worker, lasts_s, step_s))
        at_s += lasts_s + chance.uniform(*GAP_S)
    return faults


def _step_s(chance: random.Random, kind: FaultKind) -> float:
    if kind not in _CLOCK_S:
        return 0.0
    least, most = map(math.log, STEP_S)
    return _CLOCK_S[kind] * round(math.exp(chance.uniform(least, most)), 1)
