"""What every driver must do, the fake one included.

A test class derives from DriverConformance, gives ``bench``, and says how long a guest may take.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from hotslot.act.driver import Driver, VmState
from hotslot.errors import ActionRefused, VmGone
from hotslot.model import Level


@dataclass
class Bench:
    """A driver and a running VM that has vCPU 0 only and can have at least 4.

    ``actions`` counts what was asked of the hypervisor, where that can be seen.
    """

    driver: Driver
    vm: str
    kill: Callable[[], Awaitable[None]]
    actions: Callable[[], int] = lambda: 0
    cycles: int = 50

    async def attached(self) -> frozenset[int]:
        """Return what the hypervisor says is attached."""
        return (await self.driver.state(self.vm)).attached


class DriverConformance:
    """The tests; ``bench`` is a fixture of the deriving class."""

    async def test_its_threads_can_be_named(self, bench: Bench) -> None:
        assert re.compile(bench.driver.thread_name).groups == 1
        assert bench.driver.name

    async def test_a_state_is_a_process_and_vcpus_within_the_vm(self, bench: Bench) -> None:
        state = await bench.driver.state(bench.vm)
        assert state.attached == {0}
        assert state.max_vcpus >= 4
        assert state.pid > 1

    async def test_plugged_vcpus_are_attached(self, bench: Bench) -> None:
        await bench.driver.plug(bench.vm, {1, 3})
        assert await bench.attached() == {0, 1, 3}

    async def test_unplugged_vcpus_are_not(self, bench: Bench) -> None:
        await bench.driver.plug(bench.vm, {1, 2, 3})
        await bench.driver.unplug(bench.vm, {1, 3})
        assert await bench.attached() == {0, 2}

    async def test_plugging_what_is_plugged_is_no_error(self, bench: Bench) -> None:
        await bench.driver.plug(bench.vm, {1})
        await bench.driver.plug(bench.vm, {0, 1, 2})
        assert await bench.attached() == {0, 1, 2}

    async def test_unplugging_what_is_not_plugged_is_no_error(self, bench: Bench) -> None:
        await bench.driver.plug(bench.vm, {1})
        await bench.driver.unplug(bench.vm, {1, 2, 3})
        await bench.driver.unplug(bench.vm, {1})
        assert await bench.attached() == {0}

    async def test_nothing_to_do_is_nothing_done(self, bench: Bench) -> None:
        before = bench.actions()
        await bench.driver.plug(bench.vm, set())
        await bench.driver.plug(bench.vm, {0})
        await bench.driver.unplug(bench.vm, set())
        assert bench.actions() == before
        assert await bench.attached() == {0}

    async def test_vcpu_0_is_never_unplugged(self, bench: Bench) -> None:
        await bench.driver.plug(bench.vm, {1})
        before = bench.actions()
        with pytest.raises(ActionRefused):
            await bench.driver.unplug(bench.vm, {0, 1})
        assert bench.actions() == before
        assert await bench.attached() == {0, 1}

    @pytest.mark.parametrize("index", [-1, 100_000])
    async def test_an_index_out_of_range_is_refused_before_the_hypervisor_sees_it(
        self, bench: Bench, index: int
    ) -> None:
        before = bench.actions()
        with pytest.raises(ActionRefused, match=re.escape(str(index))):
            await bench.driver.plug(bench.vm, {1, index})
        with pytest.raises(ActionRefused, match=re.escape(str(index))):
            await bench.driver.unplug(bench.vm, {1, index})
        assert bench.actions() == before
        assert await bench.attached() == {0}

    async def test_a_vm_that_does_not_exist_is_gone(self, bench: Bench) -> None:
        for call in (
            bench.driver.state("nosuch"),
            bench.driver.plug("nosuch", {1}),
            bench.driver.unplug("nosuch", {1}),
        ):
            with pytest.raises(VmGone):
                await call

    async def test_a_killed_vm_is_gone(self, bench: Bench) -> None:
        await bench.driver.plug(bench.vm, {1})
        await bench.kill()
        with pytest.raises(VmGone):
            await bench.driver.state(bench.vm)
        with pytest.raises(VmGone):
            await bench.driver.unplug(bench.vm, {1})

    async def test_calls_at_once_do_not_mix(self, bench: Bench) -> None:
        plug = bench.driver.plug(bench.vm, {1, 2})
        states = [bench.driver.state(bench.vm) for _ in range(5)]
        _, *seen = await asyncio.gather(plug, *states)
        assert all(isinstance(state, VmState) and 0 in state.attached for state in seen)
        assert await bench.attached() == {0, 1, 2}

    async def test_a_cancelled_call_leaves_the_driver_usable(self, bench: Bench) -> None:
        await bench.driver.plug(bench.vm, {1})
        task = asyncio.create_task(bench.driver.unplug(bench.vm, {1}))
        await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait({task})
        await bench.driver.unplug(bench.vm, {1})
        assert await bench.attached() == {0}

    async def test_fifty_times_from_1_to_4_and_back(self, bench: Bench) -> None:
        for _ in range(bench.cycles):
            await bench.driver.plug(bench.vm, {1, 2, 3})
            assert await bench.attached() == {0, 1, 2, 3}
            await bench.driver.unplug(bench.vm, {1, 2, 3})
            assert await bench.attached() == {0}

    async def test_a_check_finds_no_fault_and_changes_nothing(self, bench: Bench) -> None:
        before = bench.actions()
        found = await bench.driver.check([bench.vm])
        assert found
        assert all(finding.remedy for finding in found if finding.level is not Level.OK)
        assert bench.actions() == before

    async def test_a_check_of_a_vm_that_is_gone_says_what_to_do(self, bench: Bench) -> None:
        await bench.kill()
        found = await bench.driver.check([bench.vm])
        assert any(finding.level is Level.WRONG and finding.remedy for finding in found)

    async def test_a_closed_driver_leaves_the_vm_as_it_is(self, bench: Bench) -> None:
        await bench.driver.plug(bench.vm, {1})
        await bench.driver.close()
        assert await bench.attached() == {0, 1}
