"""Two hours of random load on one host in virtual time: both schedulers, silences, kills.

The agent's own loop, arbiter, forecast and offers; schedulers, hypervisor and threads in memory.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from builders import placement
from fakes.virtual_time import in_virtual_time
from hotslot.decide.forecast import Forecast, Foresight
from hotslot.model import Waiting
from hotslot.offers import Offers
from hotslot.sharing import Sharing
from test_loop import World, now
from test_offers import DirectDesk, FakeCondor, FakeSlurm, Pool

CORES = 6
DUE_S = 8
"""An owner has what it wants within this time: a cycle to see it, one to take, one to give."""


@dataclass
class Job:
    """A job with so much work (core-s), which it wants to do as fast as it may, now and then."""

    job_id: str
    scheduler: str
    cpus: int
    work: float
    submitted_at: float
    started_at: float | None = None
    demand: float = 0.0
    killed: bool = False


@dataclass
class Run:
    """A job on a worker, as the test sees it; ``short_s``: since when it lacks what it wants."""

    job: Job
    worker: str
    short_s: float = 0.0


@dataclass
class Story:
    """What happened."""

    waits: list[float] = field(default_factory=list)
    done: int = 0
    killed: int = 0
    overlapped: int = 0


class ElasticSite:
    """A host of six cores, two workers of four vCPUs for each scheduler, and an agent."""

    def __init__(self, seed: int, risk: float) -> None:
        self.chance = random.Random(seed)
        forecast = Forecast(Foresight(horizon_s=20, risk=risk))
        sharing = Sharing(CORES, forecast=forecast, lends=True)
        self.world = self.make_world(sharing)
        self.slurm, self.condor = FakeSlurm(self.chance, 0), FakeCondor(self.chance)
        self.desks = {
            "slurm": DirectDesk(self.slurm, ["w1", "w2"], gap_s=0.5),
            "htcondor": DirectDesk(self.condor, ["c1", "c2"], gap_s=0.5),
        }
        self.offers = Offers(
            self.world.loop, self.desks, interval_s=5, agent_wait_s=20, wall=now, monotonic=now
        )
        sharing.on_room = self.offers.look_soon
        self.jobs: dict[str, Job] = {}
        self.submitted = 0
        self.runs: dict[str, Run] = {}
        self.story = Story()

    def make_world(self, sharing: Sharing) -> World:
        """Return the host, with a record in memory."""
        return World("w1", "w2", "c1", "c2", sharing=sharing)

    @property
    def pools(self) -> dict[str, Pool]:
        return {"slurm": self.slurm.pool, "htcondor": self.condor.pool}

    def submit(self) -> None:
        cpus = self.chance.randint(1, 4)
        scheduler = self.chance.choice(["slurm", "htcondor"])
        work = cpus * self.chance.choice([1, 4, 12, 40, 90])
        self.submitted += 1
        job = Job(str(self.submitted), scheduler, cpus, work, now())
        self.jobs[job.job_id] = job
        self.pools[scheduler].waiting.append(Waiting(job.job_id, cpus, now()))

    def fits(self) -> Iterator[tuple[str, str, Waiting]]:
        """Yield what the schedulers may start now, by their limits."""
        room = self.slurm.limit - sum(self.slurm.pool.running.values())
        for job in self.slurm.pool.waiting[:1]:
            for worker in ("w1", "w2"):
                if worker not in self.slurm.pool.running and job.cpus <= room:
                    yield "slurm", worker, job
                    break
        for job in self.condor.pool.waiting[:1]:
            for worker, cpus in self.condor.published.items():
                if worker not in self.condor.pool.running and job.cpus <= cpus:
                    yield "htcondor", worker, job
                    break

    async def start(self, scheduler: str, worker: str, waiting: Waiting) -> None:
        pool, job = self.pools[scheduler], self.jobs[waiting.job_id]
        pool.waiting.remove(waiting)
        pool.running[worker] = job.cpus
        job.started_at = now()
        self.story.waits.append(now() - job.submitted_at)
        placed = replace(placement(job.job_id, worker, cpus=job.cpus), scheduler=scheduler)
        assert await self.world.loop.begin(placed)
        self.runs[worker] = Run(job, worker)
        if sum(run.job.cpus for run in self.runs.values()) > CORES:
            self.story.overlapped += 1

    async def end(self, run: Run) -> None:
        del self.runs[run.worker]
        del self.pools[run.job.scheduler].running[run.worker]
        lease = self.world.loop.lease_on(run.worker)
        assert lease is not None
        assert lease.placement.job_id == run.job.job_id
        assert await self.world.loop.finish(lease, [], now())
        self.world.loads[run.worker] = 0.0
        self.story.done += 1
        self.story.killed += run.job.killed

    async def second(self) -> None:
        """One second of everybody."""
        for scheduler, worker, job in list(self.fits()):
            await self.start(scheduler, worker, job)
        for run in list(self.runs.values()):
            if self.chance.random() < 0.05 or run.job.demand == 0:
                run.job.demand = self.chance.choice([0.3, 1.0, 2.0, 4.0])
            self.world.loads[run.worker] = min(run.job.demand, float(run.job.cpus))
            got = min(self.world.loads[run.worker], self.world.granted(run.worker))
            run.job.work -= got
            run.job.killed = run.job.work > 0 and self.chance.random() < 0.0005
            if run.job.work <= 0 or run.job.killed:
                await self.end(run)
        self.world.loop.cycle()
        await asyncio.sleep(1)
        self.check()

    def check(self) -> None:
        """What must hold at every second."""
        granted = {run.worker: self.world.granted(run.worker) for run in self.runs.values()}
        assert all(granted.values()), "every job has its floor"
        assert sum(granted.values()) <= max(CORES, len(granted)), granted
        owned, owners = 0, []
        for run in sorted(self.runs.values(), key=lambda run: run.job.started_at or 0.0):
            owned += run.job.cpus
            if owned > CORES:
                break
            owners.append(run)
            short = self.world.loads[run.worker] > granted[run.worker]
            run.short_s = run.short_s + 1 if short else 0.0
        borrowed = [granted[r.worker] for r in self.runs.values() if r not in owners]
        lacking = [run for run in owners if run.short_s > DUE_S]
        assert not lacking or not borrowed or max(borrowed) == 1, (lacking, granted)

    def unbalanced(self) -> dict[int, float]:
        """Return the minutes in which leases and ledger differ by more than 0.1 %, in core-s."""
        ledger: dict[int, float] = {}
        leases: dict[int, float] = {}
        for batch in self.world.recorder.batches:
            for minute in batch.ledger:
                at = int(minute.minute_at)
                ledger[at] = ledger.get(at, 0.0) + minute.held_core_s
            for one in batch.samples:
                sample = one.sample
                begin = sample.at - sample.interval_s
                at = int(sample.at // 60 * 60)
                part = min(sample.interval_s, sample.at - at) if begin < at else sample.interval_s
                rate = sample.held_cores
                leases[at] = leases.get(at, 0.0) + rate * part
                if part < sample.interval_s:
                    leases[at - 60] = leases.get(at - 60, 0.0) + rate * (sample.interval_s - part)
        off = {at: ledger.get(at, 0.0) - leases.get(at, 0.0) for at in ledger | leases}
        return {at: by for at, by in off.items() if abs(by) > 0.001 * max(60, ledger.get(at, 0.0))}


@pytest.mark.parametrize(("seed", "risk", "hours"), [(1, 1.0, 2.0), (2, 0.2, 0.5)])
def test_nothing_is_lost_nothing_double_and_nobody_starves(
    seed: int, risk: float, hours: float
) -> None:
    stories: list[Story] = []

    @in_virtual_time
    async def two_hours() -> None:
        site = ElasticSite(seed, risk)
        await site.world.loop.look_at_all()
        gates = [site.condor.gate(worker, site.offers) for worker in ("c1", "c2")]
        tasks = [asyncio.create_task(one) for one in (site.offers.run(), *gates)]
        until = now() + hours * 3600
        while now() < until or site.runs or any(p.waiting for p in site.pools.values()):
            if now() < until:
                if site.chance.random() < 0.03:
                    site.submit()
                if site.chance.random() < (0.05 if site.slurm.silent else 0.002):
                    site.slurm.silent = not site.slurm.silent
                site.slurm.refuses = site.chance.random() < 0.1
            else:
                site.slurm.silent = site.slurm.refuses = False
            await site.second()
            waiting = {name: pool.waiting for name, pool in site.pools.items()}
            assert now() < until + 3600, f"the queue never empties: {waiting}"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert site.story.done == len(site.jobs) == len(site.world.ledger.leases)
        assert site.unbalanced() == {}
        stories.append(site.story)

    two_hours()
    [story] = stories
    assert story.done > 75 * hours
    assert story.killed or hours < 1
    if risk == 1.0:
        assert story.overlapped > 20, "jobs ran on lent cores"
    assert max(story.waits) < 3600
