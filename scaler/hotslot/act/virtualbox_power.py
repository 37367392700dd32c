"""Starting and stopping a VM: an order to VirtualBox, then a wait for what it comes to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from hotslot.act.driver import Step, StepKind
from hotslot.act.virtualbox_look import OFF, SAVED, Asking, Look
from hotslot.errors import ActionRefused, ActionTimedOut, DriverError, VmGone

STARTED_S = 60.0
"""Until a VM that was started has its process and runs: 0.4-0.7 s measured on an idle host."""
POLL_S = 0.25
POWEROFF_S = 20.0


async def start(asking: Asking, vm: str) -> AsyncIterator[Step]:
    """Start a VM that is off."""
    began = _now()
    look = await asking.look(vm)
    if look.state == "running":
        yield Step(StepKind.ALREADY, "runs")
        return
    if look.state == "paused":
        raise ActionRefused(vm, f"is paused: hotslot workers repair {vm} resumes it")
    if look.state in SAVED:
        what = "has a saved state, in which its jobs would go on that are long over"
        raise ActionRefused(vm, f"{what}: hotslot workers repair {vm} discards it")
    if look.state not in OFF:
        raise ActionRefused(vm, f"is {look.state} now: try again in a moment")
    yield Step(StepKind.WAITING, "starting")
    uuid = str(look.settings.uuid)
    await asking.call(vm, "startvm", uuid, "--type", "headless", limit_s=STARTED_S)
    while not await _runs(asking, vm, began):
        yield Step(StepKind.WAITING, f"starting, {_now() - began:.0f} s")
        await asyncio.sleep(POLL_S)
    yield Step(StepKind.DONE, f"runs, {_now() - began:.1f} s after the command")


async def _runs(asking: Asking, vm: str, began: float) -> bool:
    try:
        look = await asking.look(vm)
    except DriverError as error:
        # While its process locks it, VirtualBox does not even let a VM be read.
        if isinstance(error, VmGone) or _now() - began > STARTED_S:
            raise
        return False
    if look.state == "running" and asking.pid_of(look.settings):
        return True
    if look.state in OFF:
        what = f"VBoxManage startvm named no error, and the VM is {look.state}: see VBox.log in"
        raise DriverError(vm, f"{what} {look.told.get('LogFldr', 'its folder Logs')}")
    if _now() - began > STARTED_S:
        raise ActionTimedOut(vm, f"is {look.state} {STARTED_S:.0f} s after its start")
    return False


async def stop(asking: Asking, vm: str, timeout_s: float, force: bool) -> AsyncIterator[Step]:
    """Stop a VM: its guest shuts down, or with ``force`` it has no say."""
    began = _now()
    look = await asking.look(vm)
    if look.state in OFF | SAVED:
        yield Step(StepKind.ALREADY, f"is off ({look.state})")
        return
    if force:
        yield Step(StepKind.WAITING, "switching it off")
        async for step in _power_off(asking, vm, look):
            yield step
        return
    if look.state == "paused":
        await asking.call(vm, "controlvm", str(look.settings.uuid), "resume")
        yield Step(StepKind.DONE, "resumed: it was paused, and its guest could not shut down")
    elif look.state != "running":
        raise ActionRefused(vm, f"is {look.state}: its guest cannot shut down; --force ends it")
    await asking.call(vm, "controlvm", str(look.settings.uuid), "acpipowerbutton")
    while not await _gone(asking, vm, look):
        waited = _now() - began
        if waited > timeout_s:
            what = f"its guest has not shut down within {timeout_s:g} s of the power button"
            raise ActionTimedOut(vm, f"{what}; --force switches it off, whatever runs in it")
        yield Step(StepKind.WAITING, f"its guest shuts down, {waited:.0f} of {timeout_s:.0f} s")
        await asyncio.sleep(POLL_S)
    yield Step(StepKind.DONE, f"its guest has shut down in {_now() - began:.1f} s")


async def _power_off(asking: Asking, vm: str, look: Look) -> AsyncIterator[Step]:
    began = _now()
    with contextlib.suppress(VmGone):  # it has ended meanwhile
        await asking.call(vm, "controlvm", str(look.settings.uuid), "poweroff")
    while not await _gone(asking, vm, look):
        if _now() - began > POWEROFF_S:
            pid = asking.pid_of(look.settings)
            what = f"has not ended within {POWEROFF_S:.0f} s of being switched off"
            raise ActionTimedOut(vm, f"{what}; its process: {pid or 'gone'}")
        yield Step(StepKind.WAITING, f"switching it off, {_now() - began:.0f} s")
        await asyncio.sleep(POLL_S)
    yield Step(StepKind.DONE, "is switched off; what ran in it is lost")


async def _gone(asking: Asking, vm: str, look: Look) -> bool:
    """Tell whether a VM has ended: its process, which costs nothing to see, then its state."""
    if asking.pid_of(look.settings) is not None:
        return False
    return (await asking.look(vm)).state in OFF | SAVED


def _now() -> float:
    return asyncio.get_running_loop().time()
