"""The cycle, with a hypervisor and vCPU threads in memory and virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import partial

import pytest

from act.threads import Ran
from builders import placement
from fakes.driver import FakeDriver, FakeVm, Fault
from fakes.virtual_time import in_virtual_time
from hotslot.act.actuator import Actuator
from hotslot.config import Worker
from hotslot.decide.limits import limited
from hotslot.decide.window import Window
from hotslot.errors import MeterError
from hotslot.leases import LeaseBook
from hotslot.loop import Loop
from hotslot.model import CloseReason, JobPhase, Reading, VcpuTimes
from hotslot.record.batch import Batch
from hotslot.sharing import Sharing
from hotslot.track import Track
from test_leases import MemoryLedger


def now() -> float:
    return asyncio.get_running_loop().time()


class FakeThreads:
    """vCPU threads that run as much as the load wants and the VM has."""

    def __init__(self, vm: FakeVm, load: Callable[[], float]) -> None:
        self._vm = vm
        self._load = load
        self._run = 0.0
        self._then: float | None = None

    def read(self, monotonic_s: float) -> Reading:
        if not self._vm.alive:
            raise MeterError("process 4711 has ended")
        if self._then is not None:
            busy = min(self._load(), float(len(self._vm.attached)))
            self._run += busy * (monotonic_s - self._then)
        self._then = monotonic_s
        return Reading(monotonic_s, self._vm.pid, 1.0, {0: VcpuTimes(int(self._run * 1e9), 0)})

    def mark(self, vcpus: Collection[int]) -> None: ...

    def ran(self, vcpus: Collection[int]) -> frozenset[int]:
        return frozenset(vcpus)

    def close(self) -> None: ...


class MemoryRecorder:
    """Keeps batches."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def submit(self, batch: Batch) -> None:
        self.batches.append(batch)

    async def written(self, timeout_s: float) -> bool:
        return True


class World:
    """Workers of four vCPUs, a job to come, and a load to set, for all or for one."""

    def __init__(
        self,
        *names: str,
        cores: int = 8,
        sharing: Sharing | None = None,
        ledger: MemoryLedger | None = None,
        recorder: MemoryRecorder | None = None,
        wall: Callable[[], float] = now,
    ) -> None:
        self.load = 0.0
        self.loads: dict[str, float] = {}
        names = names or ("w1",)
        self.vms = {name: FakeVm(max_vcpus=4) for name in names}
        self.driver = FakeDriver(**self.vms)
        self.ledger = ledger or MemoryLedger()
        self.recorder = recorder or MemoryRecorder()
        self.book = LeaseBook(self.ledger)
        self.sharing = sharing or Sharing(cores)
        self.loop = Loop(
            (), self.book, self.recorder, sharing=self.sharing, wall=wall, monotonic=now
        )
        slots = asyncio.Semaphore(4)
        for name in names:
            self.loop.add(self._track(name, slots))

    def _track(self, name: str, slots: asyncio.Semaphore) -> Track:
        actuator = Actuator(
            name,
            name,
            self.driver,
            threads=Ran(lambda _, vcpus: vcpus),
            on_event=self.loop.ended,
            slots=slots,
            monotonic=now,
            wall=partial(self.loop.at, name),
        )
        policy = limited(Window(window_s=10), floor=1, ceiling=4, cooldown_s=2, max_step_down=4)
        vm = self.vms[name]
        return Track(
            Worker(name=name, ceiling=4),
            policy,
            actuator,
            clock_for=lambda pid, born: FakeThreads(vm, lambda: self.loads.get(name, self.load)),
            born_of=self._born,
        )

    def _born(self, pid: int) -> float:
        if not all(vm.alive and vm.pid == pid for vm in self.vms.values()):
            raise MeterError(f"process {pid} has ended")
        return 1.0

    async def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.loop.cycle()
            await asyncio.sleep(1)

    async def start(self, **fields: int) -> None:
        await self.loop.look_at_all()
        await self.run(2)
        assert await self.loop.begin(placement(**fields))
        assert await self.loop.sized("w1", 10)

    def granted(self, worker: str = "w1") -> int:
        return len(self.vms[worker].attached)


@in_virtual_time
async def test_a_job_gets_its_request_before_it_starts() -> None:
    world = World()
    await world.start(cpus=3)
    assert world.granted() == 3


@in_virtual_time
async def test_a_request_beyond_the_worker_is_bounded_by_its_ceiling() -> None:
    world = World()
    await world.start(cpus=64)
    assert world.granted() == 4


@in_virtual_time
async def test_granted_follows_the_load_down_and_up() -> None:
    world = World()
    world.load = 4.0
    await world.start()
    await world.run(5)
    world.load = 1.0
    await world.run(14)
    assert world.granted() == 2
    world.load = 4.0
    await world.run(4)
    assert world.granted() == 4


@in_virtual_time
async def test_an_ended_job_leaves_an_idle_sized_worker_and_a_closed_lease() -> None:
    world = World()
    await world.start()
    lease = world.loop.lease_on("w1")
    assert lease is not None
    ended = placement(phase=JobPhase.ENDING, outcome="COMPLETED")
    assert await world.loop.finish(lease, [ended], now())
    await world.run(3)
    assert world.granted() == 1
    assert world.loop.lease_on("w1") is None
    (kept,) = world.ledger.leases.values()
    assert kept.close_reason is CloseReason.ENDED
    assert kept.placement.outcome == "COMPLETED"


@in_virtual_time
async def test_a_forged_end_changes_nothing() -> None:
    world = World()
    await world.start()
    lease = world.loop.lease_on("w1")
    assert lease is not None
    assert not await world.loop.finish(lease, [placement()], now())
    assert world.loop.lease_on("w1") is not None


@in_virtual_time
async def test_a_vm_that_dies_loses_its_lease() -> None:
    world = World()
    await world.start()
    world.vms["w1"].alive = False
    world.loop.observe()
    await world.run(2)
    (kept,) = world.ledger.leases.values()
    assert kept.close_reason is CloseReason.LOST
    assert world.loop.tracks["w1"].granted == 0


@in_virtual_time
async def test_a_vm_that_comes_back_is_adopted_and_given_its_idle_size() -> None:
    world = World()
    await world.start()
    world.vms["w1"].alive = False
    world.loop.observe()
    await world.run(2)
    world.vms["w1"].alive = True
    world.loop.observe()
    await world.run(3)
    assert world.loop.tracks["w1"].granted == world.granted() == 1


@in_virtual_time
async def test_the_last_second_of_a_vm_that_dies_is_in_no_ones_account() -> None:
    world = World()
    await world.start(cpus=4)
    await world.run(10)
    await asyncio.sleep(0.5)
    world.vms["w1"].alive = False
    await world.run(5)
    [lease] = world.ledger.leases.values()
    assert lease.close_reason is CloseReason.LOST
    ledger = [minute for batch in world.recorder.batches for minute in batch.ledger]
    assert sum(one.held_core_s for one in ledger) == pytest.approx(lease.totals.held_core_s)


@in_virtual_time
async def test_a_process_that_took_over_the_pid_of_a_vm_is_not_taken_for_it() -> None:
    world = World()
    await world.start()
    lease = world.loop.lease_on("w1")
    assert lease is not None
    track = world.loop.tracks["w1"]
    track.born_of = lambda pid: 2.0
    assert not track.alive()
    world.loop.observe()
    await world.run(2)
    (kept,) = world.ledger.leases.values()
    assert kept.close_reason is CloseReason.LOST
    assert track.process == (world.vms["w1"].pid, 2.0)


@in_virtual_time
async def test_a_vm_that_dies_is_noticed_within_two_cycles() -> None:
    world = World()
    await world.start()
    world.vms["w1"].alive = False
    await world.run(2)
    assert world.loop.lease_on("w1") is None


@in_virtual_time
async def test_a_job_that_begins_on_a_restarted_vm_is_not_lost_for_the_restart() -> None:
    world = World()
    await world.loop.look_at_all()
    world.vms["w1"].pid = 4712
    assert await world.loop.begin(placement(cpus=2))
    await world.loop.look_at_all()
    await world.run(3)
    assert world.loop.lease_on("w1") is not None
    assert world.granted() == 2


@in_virtual_time
async def test_a_lease_whose_end_is_told_twice_is_closed_once_and_the_next_job_keeps_its_past() -> (
    None
):
    world = World()
    told: list[float] = []
    world.loop.on_close = lambda summary: told.append(summary.held_core_s)
    await world.start()
    await world.run(5)
    lease = world.loop.lease_on("w1")
    assert lease is not None
    assert await world.loop.finish(lease, [], now())
    assert await world.loop.begin(placement("13"))
    await world.run(3)
    assert await world.loop.finish(lease, [], now())
    assert len(told) == 1, "the second time would write old figures back"
    assert world.loop.tracks["w1"].samples, "the samples are the next job's"


@in_virtual_time
async def test_one_hung_action_delays_no_other_worker() -> None:
    world = World("w1", "w2")
    world.vms["w1"].faults = [Fault.HANG]
    await world.loop.look_at_all()
    await world.run(2)
    await world.loop.begin(placement("1", "w1"))
    await world.loop.begin(placement("2", "w2"))
    before = now()
    assert await world.loop.sized("w2", 10)
    assert now() - before <= 1.0
    assert not await world.loop.sized("w1", 5)
    world.driver.let_go()


@in_virtual_time
async def test_a_refused_plug_lets_the_job_start_with_what_is_there() -> None:
    world = World()
    world.vms["w1"].faults = [Fault.REFUSE]
    await world.start()
    assert world.granted() == 1
    assert world.recorder.batches
    await world.run(5)
    assert world.granted() == 4, "tried again after a pause"


@in_virtual_time
async def test_totals_equal_the_integral_of_the_samples() -> None:
    world = World()
    world.load = 2.0
    await world.start()
    await world.run(30)
    lease = world.loop.lease_on("w1")
    assert lease is not None
    world.loop.close(lease, now(), CloseReason.ENDED)
    await asyncio.sleep(0)  # the ledger goes with the next batch
    samples = [one.sample for batch in world.recorder.batches for one in batch.samples]
    (kept,) = world.ledger.leases.values()
    held = sum(s.held_cores * s.interval_s for s in samples)
    used = sum(s.used_cores * s.interval_s for s in samples)
    assert kept.totals.held_core_s == pytest.approx(held, rel=1e-9)
    assert kept.totals.used_core_s == pytest.approx(used, rel=1e-9)
    life_s = (kept.closed_at or 0) - kept.opened_at
    assert kept.totals.life_s == pytest.approx(life_s, abs=1e-6)
    ledger = sum(minute.held_core_s for b in world.recorder.batches for minute in b.ledger)
    assert ledger == pytest.approx(held, rel=1e-9)


@in_virtual_time
async def test_a_late_poke_of_a_closed_run_opens_nothing() -> None:
    world = World()
    await world.start()
    lease = world.loop.lease_on("w1")
    assert lease is not None
    world.loop.close(lease, now(), CloseReason.ENDED)
    assert await world.loop.begin(placement()) is None


@in_virtual_time
async def test_a_broken_worker_leaves_the_others_alone() -> None:
    world = World("w1", "w2")
    await world.loop.look_at_all()
    world.loop.tracks["w1"].held = None  # type: ignore[assignment]
    before = world.loop.cycles
    await world.run(3)
    assert world.loop.cycles == before + 3
    assert world.loop.tracks["w2"].last is not None


@in_virtual_time
async def test_a_mistake_in_sharing_loses_no_record_and_leaves_sizes(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    await world.start(cpus=4)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(world.sharing, "share", broken)
    before = len(world.recorder.batches)
    await world.run(20)
    assert sum(len(batch.samples) for batch in world.recorder.batches[before:]) == 20
    assert world.granted() == 4
    assert "sizes stay as they are" in caplog.text
