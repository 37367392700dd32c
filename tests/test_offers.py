"""Limits move between schedulers while jobs start and end, and no core is promised twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from fakes.virtual_time import in_virtual_time
from hotslot import desk as desk_module
from hotslot.desk import Desk
from hotslot.errors import SchedulerUnavailable
from hotslot.gates import Gates
from hotslot.model import Group, Queue, Waiting
from hotslot.offers import Offers
from hotslot.pokes import Say
from hotslot.schedulers import Scheduler
from test_desk import CountingScheduler
from test_loop import World, now

CORES = 8


class DirectDesk(Desk):
    """Asks without a thread, and by virtual time alone."""

    def __init__(self, scheduler: Scheduler, workers: Sequence[str], *, gap_s: float) -> None:
        super().__init__(scheduler, workers, gap_s=gap_s, monotonic=now)

    async def _ask(self, call: Callable[[], desk_module.T]) -> desk_module.T:
        await asyncio.sleep(0.05)
        return call()


@dataclass
class Pool:
    """A scheduler in memory: what runs on its workers, and who waits."""

    chance: random.Random
    waiting: list[Waiting] = field(default_factory=list)
    running: dict[str, int] = field(default_factory=dict)
    started: int = 0

    def submit(self, cpus: int) -> None:
        self.waiting.append(Waiting(str(self.started), cpus, now()))

    def start(self, worker: str, job: Waiting) -> None:
        self.waiting.remove(job)
        self.running[worker] = job.cpus
        self.started += 1
        life_s = self.chance.uniform(1, 30)
        asyncio.get_running_loop().call_later(life_s, self.running.pop, worker)


class FakeSlurm(CountingScheduler):
    """Starts jobs by itself up to its limit; a new limit holds a moment later."""

    name = "slurm"

    def __init__(self, chance: random.Random, limit: int = 0) -> None:
        super().__init__()
        self.pool = Pool(chance)
        self.limit = limit
        self.refuses = False

    def queue(self, workers: object) -> Queue:
        if self.silent:
            raise SchedulerUnavailable("no answer")
        used = sum(self.pool.running.values())
        return Queue((Group("host1", ("w1", "w2"), used, self.limit),), tuple(self.pool.waiting))

    def offer(self, limits: Mapping[str, int]) -> None:
        delay = self.pool.chance.uniform(0, 5)
        if not self.refuses or self.pool.chance.random() < 0.5:
            asyncio.get_running_loop().call_later(delay, setattr, self, "limit", limits["host1"])
        if self.refuses:
            raise SchedulerUnavailable("sacctmgr: no answer")

    def lost(self, limits: Mapping[str, int]) -> None:
        raise SchedulerUnavailable("sacctmgr: no answer")

    def place(self) -> None:
        for job in list(self.pool.waiting):
            free = [w for w in ("w1", "w2") if w not in self.pool.running]
            if free and sum(self.pool.running.values()) + job.cpus <= self.limit:
                self.pool.start(free[0], job)


class FakeCondor(CountingScheduler):
    """Each worker starts what its gate has published, some time after the agent has told it."""

    name = "htcondor"

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.pool = Pool(chance)
        self.published = {"c1": 0, "c2": 0}

    def queue(self, workers: object) -> Queue:
        groups = [
            Group(name, (name,), self.pool.running.get(name, 0), cpus, gated=True)
            for name, cpus in self.published.items()
        ]
        return Queue(tuple(groups), tuple(self.pool.waiting))

    def offer(self, limits: Mapping[str, int]) -> None: ...

    async def gate(self, worker: str, offers: Offers) -> None:
        have: int | None = None
        while True:
            told = await offers.admitted(worker, have, 20)
            await asyncio.sleep(self.pool.chance.uniform(0, 3))
            if told is not None:
                have = self.published[worker] = told

    def place(self) -> None:
        for job in list(self.pool.waiting):
            for worker, cpus in self.published.items():
                if worker not in self.pool.running and job.cpus <= cpus:
                    self.pool.start(worker, job)
                    break


class Site:
    """A host of 8 cores with two workers of each scheduler."""

    def __init__(
        self, seed: int, slurm_limit: int = 0, gates: tuple[str, ...] = ("c1", "c2")
    ) -> None:
        self._gates = gates
        chance = random.Random(seed)
        self.world = World("w1", "w2", "c1", "c2")
        self.slurm, self.condor = FakeSlurm(chance, slurm_limit), FakeCondor(chance)
        self.desks = {
            "slurm": DirectDesk(self.slurm, ["w1", "w2"], gap_s=0.5),
            "htcondor": DirectDesk(self.condor, ["c1", "c2"], gap_s=0.5),
        }
        self.offers = Offers(
            self.world.loop,
            self.desks,
            interval_s=5,
            agent_wait_s=20,
            wall=now,
            monotonic=now,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Site:
        await self.world.loop.look_at_all()
        work = [self.offers.run(), *(self.condor.gate(w, self.offers) for w in self._gates)]
        self._tasks = [asyncio.create_task(one) for one in work]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.world.loop.stop()

    @property
    def used(self) -> int:
        return sum((self.slurm.pool.running | self.condor.pool.running).values())

    async def run(self, seconds: float) -> None:
        until = now() + seconds
        while now() < until:
            self.slurm.place()
            self.condor.place()
            assert self.used <= CORES, "a core was promised twice"
            await asyncio.sleep(0.25)


@in_virtual_time
async def test_gates_of_a_silent_scheduler_get_no_answer() -> None:
    async with Site(1) as site:
        await site.run(20)
        assert await site.offers.admitted("c1", None, 0) is not None
        site.condor.queue = site.slurm.queue  # type: ignore[method-assign]
        site.slurm.silent = True
        await site.run(20)
        assert await site.offers.admitted("c1", None, 0) is None


@pytest.mark.parametrize("seed", range(24))
def test_whatever_starts_and_ends_no_core_is_promised_twice(seed: int) -> None:
    @in_virtual_time
    async def story() -> None:
        chance = random.Random(seed)
        async with Site(seed, slurm_limit=chance.choice([0, 4, 8])) as site:
            for _ in range(60):
                chance.choice([site.slurm, site.condor]).pool.submit(chance.randint(1, 4))
                site.slurm.refuses = chance.random() < 0.2
                await site.run(chance.uniform(0, 3))
            site.slurm.refuses = False
            await site.run(900)
            assert (site.slurm.pool.waiting, site.condor.pool.waiting) == ([], [])
            assert site.slurm.pool.started + site.condor.pool.started == 60

    story()


@in_virtual_time
async def test_cores_go_where_somebody_waits() -> None:
    async with Site(1, slurm_limit=8) as site:
        site.condor.pool.submit(4)
        await site.run(20)
        assert site.condor.pool.started == 1
        assert site.slurm.limit == 4
        site.slurm.pool.submit(4)
        site.slurm.pool.submit(4)
        await site.run(60)
        assert site.slurm.pool.started == 2


@in_virtual_time
async def test_a_scheduler_that_does_not_answer_keeps_what_it_had() -> None:
    async with Site(1, slurm_limit=8) as site:
        await site.run(3)
        site.slurm.silent = True
        site.condor.pool.submit(4)
        await site.run(60)
        assert site.condor.pool.started == 0
        assert site.slurm.limit == 8
        assert "slurm: no answer" in site.offers.problem
        site.slurm.silent = False
        await site.run(20)
        assert site.condor.pool.started == 1
        assert site.offers.problem == ""


@in_virtual_time
async def test_a_scheduler_without_limits_owns_what_its_workers_can_take() -> None:
    async with Site(1) as site:
        unlimited = Queue((), limited=False)
        site.slurm.queue = lambda workers: unlimited  # type: ignore[method-assign]
        site.condor.pool.submit(1)
        await site.run(30)
        assert site.condor.pool.started == 0
        assert "slurm may use all cores" in site.offers.problem


@in_virtual_time
async def test_a_scheduler_that_has_not_answered_yet_may_have_promised_everything() -> None:
    async with Site(1, slurm_limit=8) as site:
        site.slurm.silent = True
        site.condor.pool.submit(4)
        await site.run(60)
        assert site.condor.pool.started == 0
        site.slurm.silent = False
        await site.run(20)
        assert site.condor.pool.started == 1


@in_virtual_time
async def test_workers_that_nobody_can_ask_take_no_cores_for_ever() -> None:
    """Their gates may be open from before this agent, but close without an answer."""
    async with Site(1, slurm_limit=8) as site:
        site.condor.queue = lambda workers: Queue(())  # type: ignore[method-assign]
        await site.run(30)
        assert site.slurm.limit == 0
        await site.run(90)
        assert site.slurm.limit == 8


@in_virtual_time
async def test_workers_without_a_vm_take_no_cores() -> None:
    async with Site(1, slurm_limit=8) as site:
        site.condor.queue = lambda workers: Queue(())  # type: ignore[method-assign]
        for name in ("c1", "c2"):
            site.world.loop.tracks[name].release()
        await site.run(30)
        assert site.slurm.limit == 8


@in_virtual_time
async def test_a_scheduler_is_told_of_a_limit_once_not_at_every_look() -> None:
    async with Site(1, gates=()) as site:
        told: list[dict[str, int]] = []
        site.condor.offer = lambda limits: told.append(dict(limits))  # type: ignore[method-assign]
        await site.run(25)
        assert told == [{"c1": 4}] * 3, "at once, and again after 10 and 20 s"


@in_virtual_time
async def test_limits_that_change_all_the_time_hold_up_no_other_schedulers() -> None:
    async with Site(1) as site:
        told: list[str] = []

        async def tell(name: str) -> bool:
            told.append(name)
            return True

        site.offers._tell = tell  # type: ignore[method-assign]
        await site.run(20)
        assert told[:4] == ["htcondor", "slurm"] * 2


@in_virtual_time
async def test_a_gate_is_told_its_cpus_and_its_lease() -> None:
    async with Site(1) as site:
        gates = Gates(site.world.loop, site.offers, pokes_per_s=5, monotonic=now)
        assert (await gates.answer("c1", "", "")).say is Say.ASK_LATER
        await site.run(20)
        said = await gates.answer("c1", "", "")
        assert said.say is Say.READY
        assert said.words.splitlines() == ["HotslotAdmitCpus=4", "HotslotGrantedCpus=1"]
        asked = now()
        await gates.answer("c1", "4", "20")
        assert now() - asked >= 20


@in_virtual_time
async def test_gates_are_believed_nothing() -> None:
    async with Site(1) as site:
        gates = Gates(site.world.loop, site.offers, pokes_per_s=5, monotonic=now)
        await site.run(5)
        assert (await gates.answer("c1", "-1", "")).say is Say.BAD
        assert (await gates.answer("c1", "", "1e9")).say is Say.BAD
        assert (await gates.answer("c1\n", "", "")).say is Say.BAD
        assert (await gates.answer("c9", "", "")).say is Say.UNKNOWN_WORKER
        assert (await gates.answer("w1", "", "")).say is Say.ASK_LATER
        said = [(await gates.answer("c1", "", "", "10.0.0.2")).say for _ in range(100)]
        assert said.count(Say.SLOW_DOWN) >= 70
        assert (await gates.answer("c1", "", "", "10.0.0.1")).say is Say.READY, "its own"


@in_virtual_time
async def test_a_limit_that_may_or_may_not_have_been_set_is_cleared_up() -> None:
    """Slurm was to have four, did not answer, and nobody waits there any more."""
    async with Site(1) as site:
        site.slurm.refuses = True
        site.slurm.offer = site.slurm.lost  # type: ignore[method-assign]
        job = Waiting("9", 4, now())
        site.slurm.pool.waiting.append(job)
        await site.run(20)
        site.slurm.pool.waiting.remove(job)
        for _ in range(2):
            site.condor.pool.submit(4)
        del site.slurm.offer
        site.slurm.refuses = False
        await site.run(60)
        [slurm] = [one for one in site.offers.figures() if one["scheduler"] == "slurm"]
        assert slurm["promised_cpus"] == max(site.slurm.limit, 0)
        assert site.condor.pool.started == 2


@in_virtual_time
async def test_of_two_schedulers_that_are_due_one_is_told_a_second() -> None:
    async with Site(3, slurm_limit=8) as site:
        told: list[float] = []

        def note(limits: Mapping[str, int]) -> None:
            told.append(now())

        site.slurm.offer = site.condor.offer = note  # type: ignore[method-assign]
        for _ in range(20):
            site.condor.pool.submit(4)
            await site.run(4)
        assert len(told) > 2
        assert all(later - one >= 1 for one, later in pairwise(told))
