"""The policy ``harvest``: an online learner of the next period's peak, like SmartHarvest's."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hotslot.decide.law import DUST, Choice, Numbers, Seen, State, saturated
from hotslot.decide.parameters import refuse_outside
from hotslot.decide.policy import ESCAPED, SETTLED, YOUNG, Periodic

FEATURES = 6
"""Of a period: 1, mean, peak, deviation, last sample, and the period before's peak."""

_SINCE_S, _SUM, _SQUARES, _PEAK, _COUNT, _BEFORE, _SIZE, _READY, _ESCAPES = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
)
_X, _WEIGHTS = 9, 9 + FEATURES


def law(numbers: Numbers, state: State, seen: Seen) -> Choice:
    """See ``Harvest``. The choice's figure: the predicted peak."""
    every_s, rate, under, margin = numbers[0], numbers[1], numbers[2], numbers[3]
    state[_SINCE_S] += seen.interval_s
    state[_SUM] += seen.demand
    state[_SQUARES] += seen.demand * seen.demand
    state[_COUNT] += 1.0
    state[_PEAK] = max(state[_PEAK], seen.demand)
    if saturated(seen, 0.99):
        state[_SIZE] = seen.request
        state[_ESCAPES] = 1.0
        return Choice(int(seen.request), ESCAPED, seen.demand, 0.0, 0.0)
    if state[_SINCE_S] < every_s - DUST:
        kept = int(state[_SIZE]) if state[_SIZE] > 0 else int(seen.granted)
        why = SETTLED if state[_SIZE] > 0 else YOUNG
        return Choice(kept, why, state[_PEAK], 0.0, 0.0)
    peak = seen.request if state[_ESCAPES] > 0 else state[_PEAK]
    if state[_READY] > 0:
        _learn(state, peak / seen.request, rate, under)
    else:
        state[_WEIGHTS + 2] = 1.0  # until it has learned: the last period's peak
    mean = state[_SUM] / state[_COUNT]
    spread = math.sqrt(max(0.0, state[_SQUARES] / state[_COUNT] - mean * mean))
    state[_X] = 1.0
    state[_X + 1] = mean / seen.request
    state[_X + 2] = peak / seen.request
    state[_X + 3] = spread / seen.request
    state[_X + 4] = seen.demand / seen.request
    state[_X + 5] = state[_BEFORE] / seen.request
    state[_BEFORE] = peak
    state[_READY] += 1.0
    predicted = 0.0
    for one in range(FEATURES):
        predicted += state[_WEIGHTS + one] * state[_X + one]
    predicted = min(1.0, max(0.0, predicted)) * seen.request
    for used in (_SINCE_S, _SUM, _SQUARES, _PEAK, _COUNT, _ESCAPES):
        state[used] = 0.0
    vcpus = max(1, math.ceil(predicted + margin - DUST))
    state[_SIZE] = float(min(int(seen.request), vcpus))
    return Choice(int(state[_SIZE]), SETTLED, predicted, 0.0, 0.0)


def _learn(state: State, peak: float, rate: float, under: float) -> None:
    """Move the weights against the gradient of the cost: too few cost ``under`` times too many."""
    predicted = 0.0
    norm = 0.0
    for one in range(FEATURES):
        predicted += state[_WEIGHTS + one] * state[_X + one]
        norm += state[_X + one] * state[_X + one]
    error = peak - predicted
    step = rate * (under * error if error > 0 else error) / max(norm, 1e-6)
    if under * rate > 1.0 and error > 0:
        step = error / max(norm, 1e-6)  # never beyond what would have been right
    for one in range(FEATURES):
        state[_WEIGHTS + one] += step * state[_X + one]


@dataclass(frozen=True)
class Harvest(Periodic):
    """Every ``every_s``: a linear model of the last period's features predicts the next one's peak;
    it learns online, and cores that were missing cost ``under`` times those that were too many.
    One ``margin`` core on top; saturation gives the request back.

    Source: Wang et al., SmartHarvest, EuroSys 2021 (cost-sensitive classification there).
    """

    every_s: float = 5.0
    rate: float = 0.05
    under: float = 10.0
    margin: float = 0.5
    law = staticmethod(law)

    def __post_init__(self) -> None:
        refuse_outside(
            every_s=(self.every_s, 0.1, 86_400),
            rate=(self.rate, 0, 1),
            under=(self.under, 1, 1000),
            margin=(self.margin, 0, 1024),
        )

    def room(self, request: int) -> int:  # noqa: ARG002
        return _WEIGHTS + FEATURES

    def words(self, seen: Seen, choice: Choice) -> str:
        if words := self.unsettled(seen, choice):
            return words
        cores = f"{seen.granted:.0f} cores"
        return f"the next {self.every_s:g} s will want up to {choice.a:.1f} of {cores}, it learned"
