"""Whatever was wanted and whatever failed: in the end the VM has what was wanted last."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from act.rig import Rig, rig
from fakes.driver import Fault
from fakes.virtual_time import run

DEADLINE_S = 15.0

wants = st.tuples(st.just("want"), st.integers(0, 9), st.sampled_from([None, 7, 8]))
faults = st.tuples(st.just("fault"), st.sampled_from(list(Fault)))
pauses = st.tuples(st.just("pause"), st.sampled_from([0, 0.01, 0.3, 1, 3, 20]))
others = st.tuples(
    st.sampled_from(["let go", "mute", "hear", "unreadable", "readable", "restart", "behind"])
)
stories = st.lists(st.one_of(wants, faults, pauses, others), max_size=30)


async def tell(it: Rig, story: list[tuple[object, ...]]) -> int:
    """Let a story happen; return the target that was wanted last."""
    target = 1
    for step in story:
        match step:
            case ("want", int(target), lease_id):
                it.want(target, lease_id)  # type: ignore[arg-type]
            case ("fault", Fault() as fault):
                it.vm.faults.append(fault)
            case ("pause", seconds):
                await asyncio.sleep(seconds)  # type: ignore[arg-type]
            case (what,):
                happen(it, what)
    return target


def happen(it: Rig, what: object) -> None:
    """Do something to the VM behind the actuator's back."""
    vm = it.vm
    match what:
        case "let go":
            it.driver.let_go()
        case "mute" | "hear":
            vm.mute = what == "mute"
        case "unreadable" | "readable":
            vm.unreadable = what == "unreadable"
        case "restart":
            vm.alive, vm.pid, vm.attached = True, vm.pid + 1, {0}
        case "behind":
            vm.attached = {0, 3, 5}


async def end_well(it: Rig, target: int) -> None:
    """End all faults and go on as the loop does: want every second, look every ten."""
    it.vm.faults.clear()
    it.vm.mute = it.vm.unreadable = False
    if not it.vm.alive:
        happen(it, "restart")
    for second in range(200):
        it.driver.let_go()
        it.want(target)
        if second % 10 == 0 and not it.actuator.busy and not it.actuator.stuck:
            await it.actuator.refresh()
        await asyncio.sleep(1)


@given(stories)
@settings(max_examples=150, deadline=None)
def test_once_faults_end_the_vm_has_what_was_wanted_last(story: list[tuple[object, ...]]) -> None:
    async def check() -> None:
        it = rig(deadline_s=DEADLINE_S)
        target = await tell(it, story)
        await end_well(it, target)
        assert len(it.vm.attached) == min(max(target, 1), it.vm.max_vcpus)
        assert it.actuator.attached == it.vm.attached
        assert 0 in it.vm.attached
        assert not it.actuator.stuck
        await it.actuator.close()

    run(check())


@given(stories)
@settings(max_examples=150, deadline=None)
def test_each_attempt_gives_one_event_within_the_deadline(story: list[tuple[object, ...]]) -> None:
    async def check() -> None:
        it = rig(deadline_s=DEADLINE_S)
        await end_well(it, await tell(it, story))
        spans = [(event.at, event.at + event.took_s) for event in it.events]
        assert all(end - start <= DEADLINE_S for start, end in spans)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        for called in it.driver.called_at:
            assert sum(start <= called <= end for start, end in spans) == 1
        await it.actuator.close()

    run(check())
