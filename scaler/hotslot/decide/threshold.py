"""The policy ``threshold``: the rules of the common scripts."""

from __future__ import annotations

from dataclasses import dataclass

from hotslot.decide.law import (
    DUST,
    RING,
    Choice,
    Numbers,
    Seen,
    State,
    forget,
    length_of,
    mean_of,
    remember,
)
from hotslot.decide.parameters import refuse_fractions, refuse_outside
from hotslot.decide.policy import Ruled

_SIZE, _RING = 0, 1
_TOO_SOON, _ADD, _REMOVE, _KEEP = 0, 1, 2, 3


def law(numbers: Numbers, state: State, seen: Seen) -> Choice:
    """See ``Threshold``. The choice's figures: percent used, seconds seen."""
    add_above, remove_below, step, every_s = numbers[0], numbers[1], numbers[2], numbers[3]
    granted = int(seen.granted)
    if seen.before != state[_SIZE] or seen.steady == 0.0:
        forget(state, _RING)
        state[_SIZE] = seen.before
    if seen.steady != 0.0:
        remember(state, _RING, every_s, seen.interval_s, seen.demand)
    seen_s = length_of(state, _RING, every_s)
    if seen.granted != seen.before:
        seen_s = 0.0
    if seen_s < every_s - DUST:
        return Choice(granted, _TOO_SOON, 0.0, seen_s, 0.0)
    pct = 100 * mean_of(state, _RING, every_s) / max(1, granted)
    if pct > add_above:
        return Choice(granted + int(step), _ADD, pct, seen_s, 0.0)
    if pct < remove_below:
        return Choice(max(1, granted - int(step)), _REMOVE, pct, seen_s, 0.0)
    return Choice(granted, _KEEP, pct, seen_s, 0.0)


@dataclass(frozen=True)
class Threshold(Ruled):
    """Every ``every_s`` seconds: mean use above ``add_above_pct`` of what is granted adds
    ``step`` vCPUs, below ``remove_below_pct`` removes as many.

    Use is judged only over samples since the last change, so that each step shows its effect
    before the next. It knows nothing of the request, and climbs to it step by step.
    Worked with the defaults: 4 granted, 1.0 used: 25 % → 3; then 33 %: stays.
    """

    add_above_pct: float = 80.0
    remove_below_pct: float = 30.0
    step: int = 1
    every_s: float = 5.0
    law = staticmethod(law)

    def __post_init__(self) -> None:
        refuse_outside(
            add_above_pct=(self.add_above_pct, 0, 100),
            remove_below_pct=(self.remove_below_pct, 0, 100),
            step=(self.step, 1, 1024),
            every_s=(self.every_s, 0.1, 86_400),
        )
        refuse_fractions(step=self.step)
        if self.remove_below_pct >= self.add_above_pct:
            raise ValueError(
                f"remove_below_pct {self.remove_below_pct:g} is not below "
                f"add_above_pct {self.add_above_pct:g}"
            )

    def numbers(self) -> Numbers:
        return (
            float(self.add_above_pct),
            float(self.remove_below_pct),
            float(self.step),
            float(self.every_s),
        )

    def room(self, request: int) -> int:  # noqa: ARG002
        return _RING + RING

    def words(self, seen: Seen, choice: Choice) -> str:
        cores = f"{seen.granted:.0f} cores"
        if choice.why == _TOO_SOON:
            return f"{cores} for {choice.b:.0f} s, judged after {self.every_s:g} s"
        words = f"mean of {self.every_s:g} s is {choice.a:.0f} % of {cores}"
        if choice.why == _ADD:
            return f"{words}, above {self.add_above_pct:g} %; add {self.step}"
        if choice.why == _REMOVE:
            return f"{words}, below {self.remove_below_pct:g} %; remove {self.step}"
        return f"{words}; keep {choice.vcpus}"
