"""The QEMU driver conforms on a real QEMU with a real guest; and what only a guest can show."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from act.conformance import Bench, DriverConformance
from act.threads import Watched
from hotslot.act.actuator import Actuator
from hotslot.act.driver import Driver
from hotslot.act.qemu import connect
from hotslot.errors import ActionRefused, ActionTimedOut
from hotslot.measure.procfs import born_s
from hotslot.measure.vcpus import VcpuClock
from hotslot.model import Decision, Event, EventResult, Level
from testbed import Testbed, Worker

CYCLES = 50


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Testbed(workers=1, vcpus=4, cores=4, hooks=False) as bed:
        yield bed.worker("w1")


@pytest.fixture
async def driver(worker: Worker) -> AsyncIterator[Driver]:
    """A driver of the worker, which runs and has vCPU 0 only, before and after."""
    if not worker.running:
        worker.start()
    driver = connect({"qmp_socket": str(worker.qmp.with_name("{vm}.qmp"))})
    await online(worker, 1)
    assert (await driver.state("w1")).attached == {0}
    yield driver
    if worker.running:
        await driver.unplug("w1", {1, 2, 3})
    await driver.close()


async def online(worker: Worker, number: int, timeout_s: float = 60.0) -> None:
    """Wait until the guest has so many CPUs online; it numbers them as they came, not as QEMU."""
    async with asyncio.timeout(timeout_s):
        while not worker.answers() or len(worker.online()) != number:
            await asyncio.sleep(0.1)


class TestQemu(DriverConformance):
    @pytest.fixture
    def bench(self, worker: Worker, driver: Driver) -> Bench:
        async def kill() -> None:
            worker.kill()

        return Bench(driver, "w1", kill, cycles=CYCLES)


async def test_the_process_is_the_vms_and_its_threads_bear_the_vcpus_indexes(
    worker: Worker, driver: Driver
) -> None:
    await driver.plug("w1", {1, 3})
    state = await driver.state("w1")
    assert state.pid == worker.outer_pid
    with VcpuClock(state.pid, born_s(state.pid), driver.thread_name) as clock:
        assert clock.read(time.monotonic()).vcpus.keys() == {0, 1, 3}
    with worker.control() as qmp:
        listed = qmp.command("query-cpus-fast")
    assert {cpu["cpu-index"] for cpu in listed} == {0, 1, 3}


async def test_the_guest_uses_what_was_plugged_and_not_what_was_unplugged(
    worker: Worker, driver: Driver
) -> None:
    await driver.plug("w1", {1, 2, 3})
    await online(worker, 4)
    await driver.unplug("w1", {2})
    await online(worker, 3)


async def test_a_guest_that_cannot_spare_a_cpu_refuses_in_words(
    worker: Worker, driver: Driver
) -> None:
    """Deadline tasks that were promised 3.6 of 4 CPUs make Linux refuse to offline one."""
    await driver.plug("w1", {1, 2, 3})
    await online(worker, 4)
    promise = "chrt -d --sched-runtime 900000000 --sched-period 1000000000 0 sleep 600"
    worker.exec(["sh", "-c", f"for i in 1 2 3 4; do {promise} >/dev/null 2>&1 & done; sleep 1"])
    try:
        with pytest.raises(ActionRefused, match="the guest refused to eject vCPU 3: busy"):
            await driver.unplug("w1", {3})
        assert (await driver.state("w1")).attached == {0, 1, 2, 3}
    finally:
        worker.exec(["pkill", "-x", "sleep"])
    await driver.unplug("w1", {3})


async def test_a_paused_guest_is_given_up_and_ejects_when_it_goes_on(
    worker: Worker, driver: Driver
) -> None:
    await driver.plug("w1", {1})
    await online(worker, 2)
    with worker.control() as qmp:
        qmp.command("stop")
        with pytest.raises(ActionTimedOut, match="it still may"):
            await driver.unplug("w1", {1})
        found = await driver.check(["w1"])
        assert any("paused" in finding.found for finding in found)
        qmp.command("cont")
    await online(worker, 1)
    assert (await driver.state("w1")).attached == {0}


async def test_a_second_client_is_told_that_the_socket_is_taken(
    worker: Worker, driver: Driver
) -> None:
    await driver.state("w1")
    second = connect({"qmp_socket": str(worker.qmp.with_name("{vm}.qmp"))})
    with pytest.raises(ActionTimedOut, match="another QMP client holds"):
        await second.state("w1")
    await second.close()


async def test_a_check_of_a_worker_of_the_testbed_has_nothing_wrong(driver: Driver) -> None:
    found = await driver.check(["w1"])
    assert [finding for finding in found if finding.level is Level.WRONG] == []
    assert any(re.match(r"QEMU \d+\.\d+", finding.found) for finding in found)


async def test_the_actuator_gets_from_1_to_4_and_back_and_agrees_with_the_guest(
    worker: Worker, driver: Driver, note: Callable[[str], None]
) -> None:
    worker.kill()  # a QEMU that emulates stands 240 plugs, and the cycles above took 150
    worker.start()
    await online(worker, 1)
    pid = (await driver.state("w1")).pid
    events: list[Event] = []
    with VcpuClock(pid, born_s(pid), driver.thread_name) as clock:
        actuator = Actuator(
            "w1",
            "w1",
            driver,
            threads=Watched(clock),
            on_event=events.append,
            slots=asyncio.Semaphore(1),
        )
        for target in [4, 1] * CYCLES:
            held = actuator.granted or 1
            now = time.time()
            actuator.want(Decision("w1", now, held, target, "a cycle", now), None)
            assert await actuator.settled(20)
            # The guest lists a CPU up to 0.05 s after its thread has begun to run (emulated).
            await online(worker, target, timeout_s=1.0)
        await actuator.close()
    assert [(e.got_vcpus, e.result) for e in events] == [
        (4, EventResult.APPLIED),
        (1, EventResult.APPLIED),
    ] * CYCLES
    note(figures(events))


def figures(events: list[Event]) -> str:
    """Say how long plugs and unplugs took."""
    grown = [event for event in events if event.to_vcpus == 4]
    shrunk = [event for event in events if event.to_vcpus == 1]
    command = statistics.median(event.command_s for event in grown)
    seen = statistics.median(event.online_s or 0.0 for event in grown)
    gone = statistics.median(event.command_s for event in shrunk)
    slowest = max(event.took_s for event in events)
    return (
        f"1 to 4 vCPUs and back, {CYCLES} times, medians: plug {command:.2f} s, "
        f"until online {seen:.2f} s, unplug {gone:.2f} s; slowest of all {slowest:.2f} s"
    )
