"""Choose: which vCPUs to plug or unplug to get from an attached set to a number. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from hotslot.act.driver import VmState


@dataclass(frozen=True, slots=True)
class Change:
    """One action: plug or unplug, never both; neither when the VM has what it should.

    ``undo``: vCPUs in doubt, to be unplugged once more before a plug.
    ``limit`` says in words why the change stops short of the target, '' when it does not.
    """

    plug: frozenset[int] = frozenset()
    unplug: frozenset[int] = frozenset()
    undo: frozenset[int] = frozenset()
    limit: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.plug and not self.unplug and not self.undo


def choose(
    state: VmState,
    target: int,
    *,
    lost: frozenset[int] = frozenset(),
    asked: frozenset[int] = frozenset(),
    quiet: frozenset[int] = frozenset(),
) -> Change:
    """Grow by the lowest free indexes, shrink by the highest, never 0, stay within the VM.

    What is in doubt waits until the number is right: then ``lost`` ones (listed, not in the guest)
    are unplugged, ``quiet`` ones (the guest was asked for them in vain and may have given them
    up) unplugged and plugged again. A shrink begins with what was ``asked`` for in vain.

    Worked: attached {0, 1, 5} of 8, target 5: plug {2, 3}; target 1: unplug {1, 5}.
    With 5 quiet, target 3: undo {5}, plug {5}.
    """
    aim = min(max(target, 1), state.max_vcpus - len(state.dead))
    missing = aim - len(state.attached)
    limit = _limit(state, target)
    if missing < 0:
        within = state.attached & frozenset(range(1, state.max_vcpus))
        loose = sorted(within, key=lambda vcpu: (vcpu not in asked, -vcpu))
        return Change(unplug=frozenset(loose[:-missing]), limit=limit)
    if missing == 0:
        again = quiet & state.attached
        return Change(plug=again, undo=lost | again, limit=limit)
    free = set(range(state.max_vcpus)) - state.attached - state.dead
    plug = frozenset(sorted(free, key=lambda vcpu: (vcpu in lost, vcpu))[:missing])
    return Change(plug=plug, undo=plug & lost, limit=limit)


def _limit(state: VmState, target: int) -> str:
    if beyond := [vcpu for vcpu in state.attached if vcpu >= state.max_vcpus]:
        return f"{len(beyond)} of its vCPUs cannot be unplugged while it runs"
    if target > state.max_vcpus:
        return f"the VM was built for at most {state.max_vcpus} vCPUs, {target} were wanted"
    if target > state.max_vcpus - len(state.dead):
        return f"{len(state.dead)} of its vCPUs are lost until the VM is started again"
    return "a VM keeps at least one vCPU" if target < 1 else ""
