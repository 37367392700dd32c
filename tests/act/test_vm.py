"""What was last read of a VM is what the newest answered look found."""

from __future__ import annotations

import asyncio

import pytest

from act.rig import now
from fakes.driver import FakeDriver
from fakes.virtual_time import in_virtual_time
from hotslot.act.driver import VmState
from hotslot.act.vm import Vm
from hotslot.errors import ActionTimedOut


class SlowLooks(FakeDriver):
    """Each look says what there is when it begins, and takes as long as ordered."""

    def __init__(self, *takes_s: float) -> None:
        super().__init__()
        self._takes_s = list(takes_s)

    async def state(self, vm: str) -> VmState:
        state = await super().state(vm)
        await asyncio.sleep(self._takes_s.pop(0))
        return state


@in_virtual_time
async def test_an_older_look_that_is_answered_later_is_not_kept() -> None:
    driver = SlowLooks(2.0, 0.5)
    vm = Vm("w1", driver, driver, now)
    older = asyncio.create_task(vm.read(5))
    await asyncio.sleep(1)
    driver.vms["w1"].attached = {0, 1}
    assert (await vm.read(5)).attached == {0, 1}
    assert (await older).attached == {0}
    assert vm.state is not None
    assert vm.state.attached == {0, 1}


@in_virtual_time
async def test_a_cancelled_look_is_over_and_does_not_count_as_hung() -> None:
    driver = SlowLooks(10.0, 0.0)
    vm = Vm("w1", driver, driver, now)
    look = asyncio.create_task(vm.read(30))
    await asyncio.sleep(1)
    look.cancel()
    await asyncio.wait({look})
    await asyncio.sleep(0.1)
    assert not vm.hung
    assert (await vm.read(5)).attached == {0}


@in_virtual_time
async def test_a_call_without_any_time_left_is_not_waited_for() -> None:
    vm = Vm("w1", SlowLooks(1.0), FakeDriver(), now)
    begun = now()
    with pytest.raises(ActionTimedOut):
        await vm.read(-1.0)
    assert now() - begun < 0.1
