"""A hypervisor and a scheduler in memory, for the agent that ``load.py`` starts.

Found by entry points, as real ones are. The scheduler needs no messages: which job is where follows
from the time, so ``load.py`` pokes for the same jobs. A diary of the agent's cycles is kept, too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hotslot.act.driver import VmState
from hotslot.errors import VmGone
from hotslot.loop import Loop
from hotslot.model import (
    Finding,
    Group,
    JobPhase,
    NodeCondition,
    Placement,
    Queue,
    RunSummary,
    Waiting,
)

VCPUS = 16
LONG_ID = 1_000_000
"""Ids from here on are of jobs that run all the time, one on each worker that takes no others."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who runs where: jobs start at ``begin_at`` (UTC), ``starts_per_s``, and last ``life_s`` each;
    the first ``steady`` of ``workers`` workers have one job all the time."""

    workers: int
    steady: int
    starts_per_s: float
    life_s: float
    begin_at: float

    def worker(self, job: int) -> int:
        """Return the index of a job's worker: round by round."""
        if job >= LONG_ID:
            return job - LONG_ID
        return self.steady + job % (self.workers - self.steady)

    def started_at(self, job: int) -> float:
        """Return when a job starts."""
        return self.begin_at if job >= LONG_ID else self.begin_at + job / self.starts_per_s

    def phase(self, job: int, at: float) -> JobPhase:
        """Say how a job is at a moment."""
        started_at = self.started_at(job)
        if job < LONG_ID and at >= started_at + self.life_s:
            return JobPhase.ENDED
        return JobPhase.RUNNING if at >= started_at else JobPhase.PENDING

    def running(self, at: float) -> list[int]:
        """Return the jobs that run at a moment."""
        long = [LONG_ID + index for index in range(self.steady) if at >= self.begin_at]
        last = int((at - self.begin_at) * self.starts_per_s)
        first = max(0, last - int(self.life_s * self.starts_per_s) - 1)
        short = range(first, max(first, last + 1))
        return long + [job for job in short if self.phase(job, at) is JobPhase.RUNNING]


def write_site(
    where: Path, pids: Mapping[str, int], plan: Plan, settings: Mapping[str, Any]
) -> Path:
    """Write what an agent needs to find this module's parts, and its configuration; return that.

    ``settings``: the configuration but for driver, scheduler and record; YAML takes JSON as it is.
    """
    (where / "pids.json").write_text(json.dumps(pids), encoding="ascii")
    (where / "plan.json").write_text(json.dumps(asdict(plan)), encoding="ascii")
    told = where / "hotslot_load-0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: hotslot-load\nVersion: 0\n")
    (told / "entry_points.txt").write_text(
        "[hotslot.drivers]\nlisted = load_plugins:driver\n"
        "[hotslot.schedulers]\nplanned = load_plugins:scheduler\n"
    )
    diary, listed = str(where / "diary"), str(where / "pids.json")
    config = {
        **settings,
        "driver": {"name": "listed", "pids": listed, "diary": diary},
        "scheduler": {"name": "planned", "plan": str(where / "plan.json")},
        "record": {"database": str(where / "hotslot.db")},
    }
    path = where / "hotslot.yaml"
    path.write_text(json.dumps(config), encoding="ascii")
    return path


class PlannedScheduler:
    """Says what the plan says."""

    name = "planned"

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._limit = plan.workers * VCPUS

    def placements(
        self,
        workers: Collection[str],  # noqa: ARG002
        job_ids: Collection[str] = (),
    ) -> Sequence[Placement]:
        now = time.time()
        jobs = [int(one) for one in job_ids] if job_ids else self._plan.running(now)
        return [self._placement(job, now) for job in jobs]

    def _placement(self, job: int, now: float) -> Placement:
        phase = self._plan.phase(job, now)
        return Placement(
            scheduler=self.name,
            job_id=str(job),
            run=0,
            worker=f"w{self._plan.worker(job)}",
            cpus=4 + job % 8,
            phase=phase,
            user=f"user{job % 40}",
            account="load",
            partition="load",
            name=f"step{job % 100}",
            submitted_at=self._plan.started_at(job) - 5,
            started_at=self._plan.started_at(job),
            time_limit_s=3600.0,
            outcome="COMPLETED" if phase is JobPhase.ENDED else "",
            priority=float(job % 1000),
            fair_share=0.5,
        )

    def conditions(self, workers: Collection[str]) -> Sequence[NodeCondition]:
        return [NodeCondition(one, "idle", drained=False, down=False) for one in workers]

    def resume(self, worker: str) -> None: ...

    def requeue(self, placement: Placement) -> None: ...

    def queue(self, workers: Collection[str]) -> Queue:
        now = time.time()
        used = sum(4 + job % 8 for job in self._plan.running(now))
        waiting = tuple(Waiting(str(9_000_000 + n), 4, now - n) for n in range(100))
        return Queue((Group("load", tuple(workers), used, self._limit),), waiting)

    def offer(self, limits: Mapping[str, int]) -> None:
        self._limit = limits["load"]

    def write_back(self, summaries: Sequence[RunSummary]) -> None: ...

    def check(self, workers: Collection[str], agent_wait_s: float) -> Sequence[Finding]:  # noqa: ARG002
        return []

    def close(self) -> None: ...


class ListedDriver:
    """Sizes of VMs in memory, over processes that a file lists; a change takes no time.

    As with a hypervisor that caps VMs: what is granted needs no guest.
    """

    name = "listed"
    hides = False
    thread_name = r"EMT-(\d+)"
    machines = None

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._attached = {vm: {0} for vm in pids}

    async def state(self, vm: str) -> VmState:
        if vm not in self._pids:
            raise VmGone(vm, "does not run")
        return VmState(frozenset(self._attached[vm]), VCPUS, self._pids[vm], capped=True)

    async def claim(self, vm: str) -> None: ...

    async def started(self, vm: str, /, vcpus: frozenset[int]) -> frozenset[int]:  # noqa: ARG002
        return vcpus

    async def plug(self, vm: str, vcpus: Collection[int]) -> None:
        self._attached[vm] |= set(vcpus)

    async def unplug(self, vm: str, vcpus: Collection[int]) -> None:
        self._attached[vm] -= set(vcpus)

    async def check(self, vms: Collection[str]) -> list[Finding]:  # noqa: ARG002
        return []

    async def close(self) -> None: ...


def keep_diary(path: Path) -> None:
    """Write down of each cycle from now on: monotonic s at its begin and end, CPU s it took."""
    diary = path.open("w", buffering=1, encoding="ascii")
    cycle = Loop.cycle

    def written_down(loop: Loop) -> str:
        began, cpu = time.monotonic(), time.thread_time()
        words = cycle(loop)
        cpu = time.thread_time() - cpu
        diary.write(f"{began!r} {time.monotonic()!r} {cpu!r}\n")
        return words

    Loop.cycle = written_down  # type: ignore[method-assign]


def driver(settings: Mapping[str, Any]) -> ListedDriver:
    """Connect to the processes in the file ``pids``; the diary is ``diary``."""
    keep_diary(Path(settings["diary"]))
    return ListedDriver(json.loads(Path(settings["pids"]).read_text(encoding="ascii")))


def scheduler(settings: Mapping[str, Any]) -> PlannedScheduler:
    """Connect to the plan in the file ``plan``."""
    return PlannedScheduler(Plan(**json.loads(Path(settings["plan"]).read_text(encoding="ascii"))))
