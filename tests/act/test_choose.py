"""Which vCPUs to plug or unplug."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hotslot.act.choose import Change, choose
from hotslot.act.driver import VmState


def state(attached: set[int], max_vcpus: int = 8) -> VmState:
    """A VM with these vCPUs."""
    return VmState(frozenset(attached), max_vcpus, pid=4711)


@st.composite
def states(draw: st.DrawFn) -> VmState:
    """Any VM that has vCPU 0."""
    most = draw(st.integers(1, 64))
    return state({0, *draw(st.sets(st.integers(0, most - 1)))}, most)


def test_what_cannot_be_unplugged_is_left_and_said() -> None:
    state = VmState(frozenset(range(40)), 33, 1)
    change = choose(state, 1)
    assert change.unplug == frozenset(range(1, 33))
    assert change.limit == "7 of its vCPUs cannot be unplugged while it runs"


def test_the_worked_example_of_the_docstring_holds() -> None:
    assert choose(state({0, 1, 5}), 5) == Change(plug=frozenset({2, 3}))
    assert choose(state({0, 1, 5}), 1) == Change(unplug=frozenset({1, 5}))
    assert choose(state({0, 1, 5}), 3).empty


@given(states(), st.integers(-5, 100))
def test_a_change_leads_to_the_target_as_far_as_the_vm_allows(vm: VmState, target: int) -> None:
    change = choose(vm, target)
    after = (vm.attached | change.plug) - change.unplug
    assert len(after) == min(max(target, 1), vm.max_vcpus)
    assert bool(change.limit) == (len(after) != target)


@given(states(), st.integers(-5, 100))
def test_a_change_never_takes_vcpu_0_and_does_one_thing(vm: VmState, target: int) -> None:
    change = choose(vm, target)
    assert 0 not in change.unplug
    assert not (change.plug and change.unplug)
    assert change.plug.isdisjoint(vm.attached)
    assert change.unplug <= vm.attached
    assert change.plug | vm.attached <= set(range(vm.max_vcpus))
    assert change.empty == (len(vm.attached) == min(max(target, 1), vm.max_vcpus))
