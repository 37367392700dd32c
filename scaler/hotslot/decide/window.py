"""The policy ``window``: the most that a job wanted lately, plus a margin."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hotslot.decide.law import (
    DUST,
    RING,
    SHORTEST_S,
    Choice,
    Numbers,
    Seen,
    State,
    length_of,
    peak_of,
    remember,
    saturated,
)
from hotslot.decide.parameters import refuse_outside
from hotslot.decide.policy import Ruled

NOISE_PCT = 1.0
"""What a constant load may seem to differ by between two samples: one busy thread shows as
0.999–1.01 cores."""

COARSE_PART = 0.25
"""A sample longer than this part of the window (the agent was away) averages its peaks away: it
proves demand, but not that there was none."""

_WHOLE_S, _TELLING, _RING = 0, 1, 2
_PEAK, _HELD, _SATURATED, _NOTHING = 0, 1, 2, 3


def law(numbers: Numbers, state: State, seen: Seen) -> Choice:
    """See ``Window``. The choice's figures: peak, vCPUs with margin, vCPUs not saturated."""
    window_s, margin_pct, saturated_pct = numbers[0], numbers[1], numbers[2]
    coarse = seen.interval_s > COARSE_PART * window_s
    state[_WHOLE_S] = 0.0 if coarse else state[_WHOLE_S] + seen.interval_s
    remember(state, _RING, window_s, seen.interval_s, seen.demand)
    if seen.interval_s >= SHORTEST_S:
        state[_TELLING] = 1.0
    if state[_TELLING] == 0.0:
        return Choice(int(seen.granted), _NOTHING, 0.0, 0.0, 0.0)
    peak = peak_of(state, _RING, window_s)
    with_margin = max(1, math.ceil(peak * (1 + margin_pct / 100) - DUST))
    unsaturated = math.floor(peak * (100 + NOISE_PCT) / saturated_pct) + 1
    vcpus = max(with_margin, unsaturated)
    if saturated(seen, saturated_pct / 100) and vcpus <= seen.request:
        return Choice(int(seen.request), _SATURATED, peak, float(with_margin), float(unsaturated))
    whole = state[_WHOLE_S] >= window_s - DUST
    if whole or vcpus >= seen.granted:
        span_s = length_of(state, _RING, window_s)
        return Choice(vcpus, _PEAK, peak, float(with_margin), min(window_s, span_s))
    return Choice(int(seen.granted), _HELD, peak, float(with_margin), state[_WHOLE_S])


@dataclass(frozen=True)
class Window(Ruled):
    """Wish for the peak of the last ``window_s`` seconds plus ``margin_pct`` percent.

    - wish = ceil(peak x (1 + margin)), at least 1, and so many that the peak stays below
      ``saturated_pct`` of them: a constant load never saturates what it was given.
      Worked with the defaults: 1.0 cores → 2; 2.1 → 3; 9.0 → 11 (of 10, it would be 90 %).
    - Never shrink before a whole window was seen since the lease began, coarse samples excepted.
    - Saturated: a sample wanted ``saturated_pct`` of what was granted or more, and that was less
      than the request. Demand is hidden then, and may be all of it: back to the request at once.

    After growing, the window before still counts, so the worker shrinks again as soon as limits
    allow if the demand was short; the cool-down gives it time to show.
    """

    window_s: float = 60.0
    margin_pct: float = 10.0
    saturated_pct: float = 90.0
    law = staticmethod(law)

    def __post_init__(self) -> None:
        refuse_outside(
            window_s=(self.window_s, 1, 86_400),
            margin_pct=(self.margin_pct, 0, 1000),
            saturated_pct=(self.saturated_pct, 1, 100),
        )

    def numbers(self) -> Numbers:
        return (float(self.window_s), float(self.margin_pct), float(self.saturated_pct))

    def room(self, request: int) -> int:  # noqa: ARG002
        return _RING + RING

    def words(self, seen: Seen, choice: Choice) -> str:
        if choice.why == _NOTHING:
            return f"samples all too short; keep {choice.vcpus}"
        if choice.why == _SATURATED:
            return (
                f"saturated: {seen.demand:.1f} of {seen.before:.0f} cores wanted; "
                f"back to the request of {seen.request:.0f}"
            )
        span_s = choice.c
        words = f"peak of {span_s:.0f} s is {choice.a:.1f} of {seen.granted:.0f} cores; "
        words += f"with {self.margin_pct:g} % margin {choice.b:.0f}"
        if choice.why == _HELD:
            return f"{words}; held at {choice.vcpus} until {self.window_s:g} s are seen"
        if choice.vcpus > choice.b:
            words += f", to stay below {self.saturated_pct:g} % of them {choice.vcpus}"
        return words
