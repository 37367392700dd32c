"""The policy ``window``: the most that a job wanted lately, plus a margin."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hotslot.decide.demand import demand_cores, newest_first, seen_s, steady
from hotslot.decide.parameters import refuse_outside
from hotslot.decide.policy import View
from hotslot.model import Sample, Wish

NOISE_PCT = 1.0
"""What a constant load may seem to differ by between two samples: one busy thread shows as
0.999–1.01 cores."""

COARSE_PART = 0.25
"""A sample longer than this part of the window (the agent was away) averages its peaks away: it
proves demand, but not that there was none."""

SHORTEST_S = 0.05
"""A shorter sample tells nothing: the kernel counts in ticks of up to 10 ms."""

_FLOAT_NOISE = 1e-9


@dataclass(frozen=True, slots=True)
class Window:
    """Wish for the peak of the last ``window_s`` seconds plus ``margin_pct`` percent.

    - wish = ceil(peak x (1 + margin)), at least 1, and so many that the peak stays below
      ``saturated_pct`` of them: a constant load never saturates what it was given.
      Worked with the defaults: 1.0 cores → 2; 2.1 → 3; 9.0 → 11 (of 10, it would be 90 %).
    - Never shrink before a whole window was seen since the lease began, coarse samples excepted.
    - Saturated: a sample wanted ``saturated_pct`` of what was granted or more, and that was less
      than the request. Demand is hidden then, and may be all of it: back to the request at once.
      An interval in which vCPUs were taken away does not count, since the guest works for that.

    After growing, the window before still counts, so the worker shrinks again as soon as limits
    allow if the demand was short; the cool-down gives it time to show.
    """

    window_s: float = 60.0
    margin_pct: float = 10.0
    saturated_pct: float = 90.0

    def __post_init__(self) -> None:
        refuse_outside(
            window_s=(self.window_s, 1, 86_400),
            margin_pct=(self.margin_pct, 0, 1000),
            saturated_pct=(self.saturated_pct, 1, 100),
        )

    def wish(self, view: View) -> Wish:
        """Return the wish; above the request or the worker's ceiling only limits keep it."""
        seen = list(newest_first(view.samples, self.window_s))
        telling = [sample for sample in seen if sample.interval_s >= SHORTEST_S]
        if not telling:
            return Wish(view.granted, f"{len(seen)} samples, all too short; keep {view.granted}")
        wish = self._for_peak(view, telling)
        if view.granted < view.request and self._saturated(telling[0]):
            return _at_least_the_request(view, telling[0], wish)
        whole = seen_s(seen, COARSE_PART * self.window_s) >= self.window_s - _FLOAT_NOISE
        return wish if whole or wish.vcpus >= view.granted else self._hold(view, wish)

    def _for_peak(self, view: View, telling: list[Sample]) -> Wish:
        peak = max(demand_cores(sample) for sample in telling)
        with_margin = max(1, math.ceil(peak * (1 + self.margin_pct / 100) - _FLOAT_NOISE))
        unsaturated = math.floor(peak * (100 + NOISE_PCT) / self.saturated_pct) + 1
        span_s = min(self.window_s, sum(sample.interval_s for sample in telling))
        words = f"peak of {span_s:.0f} s is {peak:.1f} of {view.granted} cores; "
        words += f"with {self.margin_pct:g} % margin {with_margin}"
        if unsaturated > with_margin:
            words += f", to stay below {self.saturated_pct:g} % of them {unsaturated}"
        return Wish(max(with_margin, unsaturated), words)

    def _saturated(self, last: Sample) -> bool:
        had = min(last.held_cores, float(last.granted_vcpus))
        shrunk = last.held_cores > last.granted_vcpus and not steady(last)
        limit = had * self.saturated_pct / 100 - _FLOAT_NOISE
        return had > 0 and not shrunk and demand_cores(last) >= limit

    def _hold(self, view: View, wish: Wish) -> Wish:
        words = f"{wish.reason}; held at {view.granted} until {self.window_s:g} s are seen"
        return Wish(view.granted, words)


def _at_least_the_request(view: View, last: Sample, wish: Wish) -> Wish:
    if wish.vcpus > view.request:
        return wish
    words = f"saturated: {demand_cores(last):.1f} of {last.granted_vcpus} cores wanted; "
    return Wish(view.request, words + f"back to the request of {view.request}")
