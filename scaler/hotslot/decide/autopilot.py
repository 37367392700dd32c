"""The policy ``autopilot``: the window recommender of Google's Autopilot."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hotslot.decide.histogram import BUCKETS, add_weight, fade, quantile
from hotslot.decide.law import DUST, Choice, Numbers, Seen, State, saturated
from hotslot.decide.parameters import refuse_outside
from hotslot.decide.policy import ESCAPED, SETTLED, YOUNG, Periodic

_SINCE_S, _USED, _AGE_S, _SIZE, _MEAN, _WEIGHT, _PEAK, _HISTOGRAM = 0, 1, 2, 3, 4, 5, 6, 7


def law(numbers: Numbers, state: State, seen: Seen) -> Choice:
    """See ``Autopilot``. The choice's figure: the statistic."""
    percentile, margin_pct, half_life_s = numbers[0], numbers[1], numbers[2]
    every_s, escape = numbers[3], numbers[4]
    state[_SINCE_S] += seen.interval_s
    state[_AGE_S] += seen.interval_s
    state[_USED] += seen.demand * seen.interval_s
    if escape > 0 and saturated(seen, escape / 100):
        state[_SIZE] = seen.request
        state[_SINCE_S] = 0.0
        state[_USED] = 0.0
        return Choice(int(seen.request), ESCAPED, seen.demand, 0.0, 0.0)
    if state[_SINCE_S] < every_s - DUST:
        kept = int(state[_SIZE]) if state[_SIZE] > 0 else int(seen.granted)
        why = SETTLED if state[_SIZE] > 0 else YOUNG
        return Choice(kept, why, state[_PEAK], 0.0, 0.0)
    faded = 0.5 ** (state[_SINCE_S] / half_life_s)
    mean = state[_USED] / state[_SINCE_S]
    fade(state, _HISTOGRAM, faded)
    add_weight(state, _HISTOGRAM, mean, seen.request, max(mean, 0.1))
    state[_MEAN] = state[_MEAN] * faded + mean
    state[_WEIGHT] = state[_WEIGHT] * faded + 1.0
    state[_SINCE_S] = 0.0
    state[_USED] = 0.0
    if percentile > 0:
        state[_PEAK] = quantile(state, _HISTOGRAM, percentile / 100, seen.request)
    else:
        state[_PEAK] = state[_MEAN] / state[_WEIGHT]
    vcpus = max(1, math.ceil(state[_PEAK] * (1 + margin_pct / 100) - DUST))
    state[_SIZE] = float(min(int(seen.request), vcpus))
    return Choice(int(state[_SIZE]), SETTLED, state[_PEAK], 0.0, 0.0)


@dataclass(frozen=True)
class Autopilot(Periodic):
    """Every ``every_s``: a statistic of demand, older demand counting half after ``half_life_s``:
    the load-weighted ``percentile`` (Autopilot's for serving jobs: 95), or with 0 the mean (its
    choice for batch jobs); plus ``margin_pct``. With ``escape_pct`` above 0, wanting that part of
    what is granted gives the request back.

    Source: Rzadca et al., Autopilot, EuroSys 2020, section 3.2 (windowed recommenders).
    """

    percentile: float = 0.0
    margin_pct: float = 10.0
    half_life_s: float = 300.0
    every_s: float = 60.0
    escape_pct: float = 0.0
    law = staticmethod(law)

    def __post_init__(self) -> None:
        refuse_outside(
            percentile=(self.percentile, 0, 100),
            margin_pct=(self.margin_pct, 0, 1000),
            half_life_s=(self.half_life_s, 1, 1e7),
            every_s=(self.every_s, 0.1, 86_400),
            escape_pct=(self.escape_pct, 0, 100),
        )

    def room(self, request: int) -> int:  # noqa: ARG002
        return _HISTOGRAM + BUCKETS

    def words(self, seen: Seen, choice: Choice) -> str:
        if words := self.unsettled(seen, choice):
            return words
        cores = f"{seen.granted:.0f} cores"
        what = f"p{self.percentile:g}" if self.percentile > 0 else "mean"
        return (
            f"{what} of demand is {choice.a:.1f} of {cores}; "
            f"with {self.margin_pct:g} % margin {choice.vcpus}"
        )
