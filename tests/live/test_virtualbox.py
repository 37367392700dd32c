"""The VirtualBox driver on a real VirtualBox: conformance, cycles, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from act.conformance import Bench, DriverConformance
from act.threads import Watched
from fakes.vbox.calls import SEQUENCES
from fakes.vbox.compare import Answer, mismatches
from hotslot.act.actuator import Actuator
from hotslot.act.virtualbox import VirtualBoxDriver, connect
from hotslot.errors import VmGone
from hotslot.measure.procfs import born_s
from hotslot.measure.vcpus import VcpuClock
from hotslot.model import Decision, Event, EventResult
from hotslot.record.batch import Batch
from hotslot.record.history import History
from hotslot.record.store import Store
from live.cluster import eventually
from live.test_vbox_rig import attached
from record.recorded import lease
from vbox import Guest, VirtualBox

SEED = 20260101
CYCLES = 50


@pytest.fixture
async def driver(vbox: VirtualBox) -> AsyncIterator[VirtualBoxDriver]:
    driver = connect({"command": list(vbox.command), "root": vbox.root})
    yield driver
    await driver.close()


class TestTheVirtualBoxDriver(DriverConformance):
    @pytest.fixture
    async def bench(self, vbox: VirtualBox, vbox_guest: Guest, driver: VirtualBoxDriver) -> Bench:
        async def kill() -> None:
            vbox.kill_vm("v1")

        # The guest loses some 2 % of plugs that follow an unplug: cycles are the actuator's matter,
        # which mends that, see below.
        return Bench(driver, "v1", kill, cycles=1)


async def until_online(guest: Guest, vcpus: int, timeout_s: float = 30) -> None:
    """Wait until the guest has so many CPUs online; it numbers them as they came."""
    deadline = time.monotonic() + timeout_s
    while len(online := guest.online()) != vcpus:
        assert time.monotonic() < deadline, f"the guest has {online}, not {vcpus}"
        await asyncio.sleep(0.05)


class Hand:
    """An actuator for v1 and what it told."""

    def __init__(self, driver: VirtualBoxDriver, vbox: VirtualBox) -> None:
        pid = vbox.vm_pid("v1")
        self.events: list[Event] = []
        self.clock = VcpuClock(pid, born_s(pid), driver.thread_name)
        self.actuator = Actuator(
            "w1",
            "v1",
            driver,
            threads=Watched(self.clock),
            on_event=self.events.append,
            slots=asyncio.Semaphore(1),
        )

    def want(self, to: int) -> None:
        held = self.actuator.granted or 1
        self.actuator.want(Decision("w1", time.time(), held, to, "test", time.time()), 1)

    async def reach(self, to: int, timeout_s: float = 200) -> None:
        """Want this many every second, as the loop does, until the VM has them beyond doubt."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.want(to)
            await asyncio.sleep(0.05)
            if self.actuator.granted == to and not self.actuator.busy:
                return
            assert time.monotonic() < deadline, self.events
            await self.actuator.settled(1.0)

    async def close(self) -> None:
        await self.actuator.close()
        self.clock.close()


@pytest.fixture
async def hand(
    vbox: VirtualBox, vbox_guest: Guest, driver: VirtualBoxDriver
) -> AsyncIterator[Hand]:
    hand = Hand(driver, vbox)
    await hand.actuator.refresh()
    yield hand
    await hand.close()


@pytest.mark.timeout(900)
async def test_fifty_times_from_1_to_4_and_back(
    vbox_guest: Guest, hand: Hand, tmp_path: Path, note: Callable[[str], None]
) -> None:
    for _ in range(CYCLES):
        await hand.reach(4)
        await hand.reach(1)
    await until_online(vbox_guest, 1)
    assert hand.actuator.attached == {0}
    assert_recorded(hand.events, tmp_path)
    plugs = [e for e in hand.events if e.to_vcpus > e.from_vcpus]
    unplugs = [e for e in hand.events if e.to_vcpus < e.from_vcpus]
    note(
        f"VirtualBox, {CYCLES} times 1 to 4 vCPUs and back: {classes(hand.events)}; medians: "
        f"3 plugs until the guest has started them {median(e.took_s for e in plugs):.2f} s, "
        f"3 unplugs {median(e.took_s for e in unplugs):.2f} s"
    )


@pytest.mark.timeout(900)
async def test_cycles_with_vboxservice_stopped_killed_and_restarted_at_random(
    vbox_guest: Guest, hand: Hand, tmp_path: Path, note: Callable[[str], None]
) -> None:
    chance = random.Random(SEED)
    runs = True
    for _ in range(12):
        await hand.reach(4)
        what = chance.choice(["stop", "kill", "leave", "leave"])
        if what != "leave":
            vbox_guest.stop_service() if what == "stop" else vbox_guest.kill_service()
            runs = False
        for _ in range(2):
            hand.want(1)
            await hand.actuator.settled(16)
        if not runs:
            vbox_guest.start_service()
            runs = True
        await hand.reach(1)
        await until_online(vbox_guest, 1)
    assert hand.actuator.attached == {0}
    assert_recorded(hand.events, tmp_path)
    note(f"VirtualBox, VBoxService stopped and killed at random: {classes(hand.events)}")


async def test_a_grow_from_1_to_8(
    vbox_guest: Guest, driver: VirtualBoxDriver, hand: Hand, note: Callable[[str], None]
) -> None:
    calls, spent_s = driver.manage.calls, driver.manage.spent_s
    began = time.monotonic()
    await hand.reach(8)
    took_s = time.monotonic() - began
    await until_online(vbox_guest, 8)
    note(
        f"VirtualBox, 1 to 8 vCPUs: {driver.manage.calls - calls} calls, {took_s:.1f} s, of which "
        f"VBoxManage {driver.manage.spent_s - spent_s:.1f} s; {classes(hand.events)}"
    )


async def test_a_vm_that_is_paused_saved_or_powered_off_behind_our_back(
    vbox: VirtualBox, vbox_guest: Guest, driver: VirtualBoxDriver, hand: Hand
) -> None:
    await hand.reach(2)
    vbox.manage("controlvm", "v1", "pause")
    hand.want(3)
    assert await hand.actuator.settled(20)
    assert (hand.events[-1].result, hand.events[-1].got_vcpus) == (EventResult.REFUSED, 2)
    assert "Invalid machine state: Paused" in hand.events[-1].detail
    assert (await driver.state("v1")).attached == {0, 1}
    vbox.manage("controlvm", "v1", "resume")
    await hand.reach(3)
    for command in ("savestate", "poweroff"):
        vbox.manage("controlvm", "v1", command)
        with pytest.raises(VmGone, match="does not run"):
            await gone(driver)
        hand.want(1)
        await hand.actuator.settled(20)
        assert (hand.events[-1].result, hand.events[-1].got_vcpus) == (EventResult.VM_GONE, 0)
        if command == "savestate":
            vbox.manage("startvm", "v1", "--type", "headless")
            assert await back(driver) == {0, 1, 2}


async def back(driver: VirtualBoxDriver) -> frozenset[int]:
    """Look until the VM runs again; return what it has."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return (await driver.state("v1")).attached
        except VmGone:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)


async def gone(driver: VirtualBoxDriver) -> None:
    """Look until the VM is gone: its process ends a moment after the call has returned."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        await driver.state("v1")
        await asyncio.sleep(0.1)


def test_the_fake_answers_as_this_virtualbox_does(vbox: VirtualBox, vbox_guest: Guest) -> None:
    """Ask the real one all that the fake was made from, but what a guest does late."""

    def run(argv: Sequence[str]) -> Answer:
        done = vbox.manage(*argv, check=False, timeout=100)
        return Answer(done.returncode, done.stdout, done.stderr)

    def settle(_: str) -> None:
        eventually(
            lambda: len(vbox_guest.online()) == len(attached(vbox, "v1")), 60, "the guest agrees"
        )

    provoke = {
        "settle": settle,
        "kill": vbox.kill_vm,
        "kill-vboxsvc": lambda _: vbox.kill_service(),
    }
    wrong: list[str] = []
    for sequence in SEQUENCES:
        # Now and then VirtualBox itself fails to save a state (E_ACCESSDENIED): twice is a fault.
        for _ in range(2):
            found = list(mismatches(run, [sequence], guest="v1", provoke=provoke))
            if not found:
                break
        wrong += map(str, found)
    assert not wrong, "\n".join(wrong)


def classes(events: list[Event]) -> str:
    counts = Counter(event.result.value for event in events)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def assert_recorded(events: list[Event], folder: Path) -> None:
    """The record has every event with its class, and they follow from each other."""
    path = folder / "hotslot.db"
    with contextlib.closing(Store(path)) as store:
        store.append(Batch(leases=(lease(1),), events=tuple(events)))
    with History(path) as history:
        kept = history.events(1)
    assert [(e.result, e.got_vcpus) for e in kept] == [(e.result, e.got_vcpus) for e in events]
    for before, after in pairwise(events):
        assert after.from_vcpus in (before.got_vcpus, after.got_vcpus), (before, after)
