"""Choose: which vCPUs to plug or unplug to get from an attached set to a number. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from hotslot.act.driver import VmState


@dataclass(frozen=True, slots=True)
class Change:
    """One action: plug or unplug, never both; neither when the VM has what it should.

    ``limit`` says in words why the change stops short of the target, '' when it does not.
    """

    plug: frozenset[int] = frozenset()
    unplug: frozenset[int] = frozenset()
    limit: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.plug and not self.unplug


def choose(state: VmState, target: int) -> Change:
    """Grow by the lowest free indexes, shrink by the highest, never 0, stay within the VM.

    Worked: attached {0, 1, 5} of 8, target 5: plug {2, 3}; target 1: unplug {1, 5}.
    """
    aim = min(max(target, 1), state.max_vcpus)
    missing = aim - len(state.attached)
    if missing >= 0:
        free = sorted(set(range(state.max_vcpus)) - state.attached)
        return Change(plug=frozenset(free[:missing]), limit=_limit(state, target))
    loose = sorted(state.attached - {0}, reverse=True)
    return Change(unplug=frozenset(loose[:-missing]), limit=_limit(state, target))


def _limit(state: VmState, target: int) -> str:
    if target > state.max_vcpus:
        return f"the VM was built for at most {state.max_vcpus} vCPUs, {target} were wanted"
    return "a VM keeps at least one vCPU" if target < 1 else ""
