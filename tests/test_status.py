"""What the agent says of itself adds up while jobs come, shrink, lend and end."""

from __future__ import annotations

import json
import random
from types import SimpleNamespace
from typing import Any, cast

from builders import placement
from fakes.virtual_time import in_virtual_time
from hotslot.config import parse
from hotslot.errors import SchedulerUnavailable
from hotslot.model import CloseReason, Group, Queue, Waiting
from hotslot.offers import Offers
from hotslot.record.pump import Condition, WriterState
from hotslot.report.explain import explain
from hotslot.report.status import Status
from hotslot.status import snapshot
from hotslot.wiring import Parts
from test_desk import CountingScheduler
from test_loop import World, now
from test_offers import DirectDesk

CONFIG = parse("""
workers: [{name: w1, ceiling: 4}]
driver: {name: qemu, qmp_socket: "/run/q/{vm}"}
scheduler: {name: slurm}
""")
WRITER = WriterState(Condition.OK, 0.0, 0, 0, 0, "")


class Slurm(CountingScheduler):
    """One group of all workers, and who waits."""

    name = "slurm"
    waiting: tuple[Waiting, ...] = ()

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def queue(self, workers: object) -> Queue:
        used = sum(lease.request for lease in self._world.book.all())
        return Queue((Group("n1", tuple(self._world.vms), used, 4),), self.waiting)


class Host:
    """Workers of 4 vCPUs on a host of so many cores, and what its agent says."""

    def __init__(self, *workers: str, cores: int) -> None:
        self.world = World(*workers, cores=cores)
        self.slurm = Slurm(self.world)
        self.desk = DirectDesk(self.slurm, workers, gap_s=0)
        self.offers = Offers(
            self.world.loop, {"slurm": self.desk}, interval_s=5, agent_wait_s=20,
            wall=now, monotonic=now,
        )  # fmt: skip

    def told(self) -> dict[str, Any]:
        """The answer, as it comes over the socket."""
        parts = SimpleNamespace(
            host="n1", cores=self.world.sharing.cores, started_at=0.0, loop=self.world.loop,
            desks={"slurm": self.desk}, offers=self.offers, reconcilers=[],
            writer=SimpleNamespace(state=WRITER),
        )  # fmt: skip
        answer = json.loads(json.dumps(snapshot(CONFIG, cast("Parts", parts))))
        assert isinstance(answer, dict)
        return answer

    async def begin(self, job: str, worker: str, cpus: int = 4) -> None:
        assert await self.world.loop.begin(placement(job, worker, cpus=cpus))
        await self.world.run(3)


async def a_lending_host() -> Host:
    """Job 1 owns all 4 cores and needs one; job 2 runs on what that gives back."""
    host = Host("w1", "w2", "w3", cores=4)
    await host.world.loop.look_at_all()
    host.world.load = 1.0
    await host.begin("1", "w1")
    await host.world.run(14)
    await host.begin("2", "w2")
    return host


@in_virtual_time
async def test_the_snapshot_tells_who_lends_to_whom() -> None:
    host = await a_lending_host()
    told = host.told()
    ledger = told["ledger"]
    assert ledger["requested_vcpus"] == 8
    assert ledger["loans"] == [
        {"worker": "w2", "job": "2", "vcpus": host.world.granted("w2"), "lenders": ["w1"]}
    ]
    owner, borrower, idle = told["workers"]
    assert (owner["borrows"], borrower["borrows"], idle["borrows"]) == (False, True, False)
    assert owner["changed_from_vcpus"] == 4
    assert owner["granted_vcpus"] == host.world.granted("w1") == 2
    assert owner["wish"].startswith("peak of 10 s is 1.0")
    assert borrower["entitled_vcpus"] == 4
    assert idle["job"] is idle["array_job"] is idle["phase"] is None
    words = " ".join(explain(Status.of(told), "2")[0].sentences)
    assert "lent by job 1 (w1), which uses 1.00 of the 4 that it asked for" in words


@in_virtual_time
async def test_what_is_taken_back_is_said_while_it_is() -> None:
    host = await a_lending_host()
    host.world.load = 4.0
    steps: list[str] = []
    for _ in range(6):
        host.world.loop.cycle()
        steps += [one["clawback"] for one in host.told()["workers"] if one["clawback"]]
        await host.world.run(1)
    assert any("on lent cores that owners want back" in one for one in steps)
    told = host.told()
    assert [one["granted_vcpus"] for one in told["workers"]] == [3, 1, 1]
    assert told["ledger"]["lent_vcpus"] == 1, "a borrower keeps its floor"


@in_virtual_time
async def test_who_waits_is_told_with_what_it_lacks_while_the_scheduler_answers() -> None:
    host = await a_lending_host()
    host.slurm.waiting = (Waiting("7", 3, 1.0), Waiting("8", 1, 2.0, workers=2))
    await host.offers.once()
    told = host.told()["offers"]
    assert told["waiting_jobs"] == {"slurm": 2}
    assert [(one["job"], one["missing_cpus"]) for one in told["queue"]] == [("7", 7), ("8", 9)]
    assert [one["missing_workers"] for one in told["queue"]] == [0, 2]


@in_virtual_time
async def test_who_waits_at_a_silent_scheduler_is_not_known() -> None:
    host = await a_lending_host()
    host.slurm.waiting = (Waiting("7", 3, 1.0),)
    await host.offers.once()

    def silent(_: object) -> Queue:
        raise SchedulerUnavailable("no answer within 10 s")

    host.slurm.queue = silent  # type: ignore[method-assign]
    await host.offers.once()
    told = host.told()["offers"]
    assert (told["queue"], told["waiting_jobs"]) == ([], {})
    assert "no answer within 10 s" in told["problem"]


@in_virtual_time
async def test_before_the_first_cycle_nothing_is_lent() -> None:
    told = Host("w1", cores=4).told()["ledger"]
    assert (told["capacity_vcpus"], told["headroom_vcpus"], told["granted_vcpus"]) == (4, 0, 0)


@in_virtual_time
async def test_the_ledger_adds_up_while_jobs_come_and_go() -> None:
    chance = random.Random(7)
    names = ("w1", "w2", "w3", "w4", "w5")
    host = Host(*names, cores=8)
    world = host.world
    await world.loop.look_at_all()
    for step in range(60):
        worker = chance.choice(names)
        lease = world.loop.lease_on(worker)
        if lease is None:
            await world.loop.begin(placement(str(step), worker, cpus=chance.randint(1, 6)))
        elif chance.random() < 0.4:
            world.loop.close(lease, now(), CloseReason.ENDED)
        world.load = chance.uniform(0, 4)
        for _ in range(chance.randint(1, 5)):
            world.loop.cycle()
            check(host.told())
            await world.run(1)


def check(told: dict[str, Any]) -> None:
    """The sums that users rely on, with the workers' rows beside them."""
    ledger, workers = told["ledger"], told["workers"]
    assert ledger["granted_vcpus"] == sum(one["granted_vcpus"] for one in workers)
    assert ledger["requested_vcpus"] == sum(one["entitled_vcpus"] or 0 for one in workers)
    whose = ("owners", "borrowers", "grown", "idle")
    assert ledger["granted_vcpus"] == sum(ledger[f"{one}_vcpus"] for one in whose)
    idle = sum(one["granted_vcpus"] for one in workers if one["job"] is None)
    assert ledger["idle_vcpus"] == idle
    borrowed = [
        min(one["granted_vcpus"], one["entitled_vcpus"]) for one in workers if one["borrows"]
    ]
    assert ledger["borrowers_vcpus"] == sum(borrowed)
    parts = ("taken", "reserved", "headroom")
    assert ledger["capacity_vcpus"] + ledger["over_vcpus"] == sum(
        ledger[f"{one}_vcpus"] for one in parts
    )
    assert ledger["used_cores"] <= ledger["granted_vcpus"] + 1e-6
    for about in ("", *(one["worker"] for one in workers)):
        assert explain(Status.of(told), about)
