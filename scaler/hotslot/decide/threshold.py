"""The policy ``threshold``: the rules of the common scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hotslot.decide.demand import demand_cores, newest_first, steady
from hotslot.decide.parameters import refuse_fractions, refuse_outside
from hotslot.decide.policy import View
from hotslot.model import Sample, Wish


@dataclass(frozen=True, slots=True)
class Threshold:
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

    def wish(self, view: View) -> Wish:
        """Return one step up, one step down, or what is granted."""
        seen = _since_change(view, self.every_s)
        seen_s = sum(sample.interval_s for sample in seen)
        if seen_s < self.every_s:
            words = f"{view.granted} cores for {seen_s:.0f} s, judged after {self.every_s:g} s"
            return Wish(view.granted, words)
        used = sum(demand_cores(sample) * sample.interval_s for sample in seen) / seen_s
        pct = 100 * used / max(1, view.granted)
        words = f"mean of {self.every_s:g} s is {pct:.0f} % of {view.granted} cores"
        if pct > self.add_above_pct:
            words += f", above {self.add_above_pct:g} %; add {self.step}"
            return Wish(view.granted + self.step, words)
        if pct < self.remove_below_pct:
            words += f", below {self.remove_below_pct:g} %; remove {self.step}"
            return Wish(max(1, view.granted - self.step), words)
        return Wish(view.granted, f"{words}; keep {view.granted}")


def _since_change(view: View, span_s: float) -> Sequence[Sample]:
    """Return the last samples, newest first, that were wholly taken with what is granted now."""
    seen: list[Sample] = []
    for sample in newest_first(view.samples, span_s):
        if sample.granted_vcpus != view.granted or not steady(sample):
            break
        seen.append(sample)
    return seen
