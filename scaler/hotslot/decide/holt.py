"""The policy ``holt``: double exponential smoothing, level and trend."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hotslot.decide.law import DUST, Choice, Numbers, Seen, State, saturated
from hotslot.decide.parameters import refuse_outside
from hotslot.decide.policy import ESCAPED, SETTLED, YOUNG, Periodic

_SINCE_S, _USED, _SEEN, _LEVEL, _TREND, _ERROR, _SIZE = 0, 1, 2, 3, 4, 5, 6


def law(numbers: Numbers, state: State, seen: Seen) -> Choice:
    """See ``Holt``. The choice's figures: forecast, spread."""
    alpha, beta, spreads, every_s, ahead = (
        numbers[0],
        numbers[1],
        numbers[2],
        numbers[3],
        numbers[4],
    )
    state[_SINCE_S] += seen.interval_s
    state[_USED] += seen.demand * seen.interval_s
    if saturated(seen, 0.95):
        state[_SIZE] = seen.request
        state[_LEVEL] = max(state[_LEVEL], seen.demand)
        return Choice(int(seen.request), ESCAPED, seen.demand, 0.0, 0.0)
    if state[_SINCE_S] < every_s - DUST:
        kept = int(state[_SIZE]) if state[_SIZE] > 0 else int(seen.granted)
        why = SETTLED if state[_SIZE] > 0 else YOUNG
        return Choice(kept, why, state[_LEVEL], state[_ERROR], 0.0)
    mean = state[_USED] / state[_SINCE_S]
    state[_SINCE_S] = 0.0
    state[_USED] = 0.0
    if state[_SEEN] == 0.0:
        state[_LEVEL] = mean
        state[_ERROR] = 0.25 * seen.request
    else:
        error = mean - (state[_LEVEL] + state[_TREND])
        state[_ERROR] += alpha * (abs(error) - state[_ERROR])
        before = state[_LEVEL]
        state[_LEVEL] = state[_LEVEL] + state[_TREND] + alpha * error
        state[_TREND] += beta * (state[_LEVEL] - before - state[_TREND])
    state[_SEEN] += 1.0
    forecast = state[_LEVEL] + ahead * state[_TREND]
    vcpus = max(1, math.ceil(forecast + spreads * state[_ERROR] - DUST))
    state[_SIZE] = float(min(int(seen.request), vcpus))
    return Choice(int(state[_SIZE]), SETTLED, forecast, state[_ERROR], 0.0)


@dataclass(frozen=True)
class Holt(Periodic):
    """Every ``every_s``: level and trend of demand, ``ahead`` steps on, plus ``spreads`` times the
    mean absolute error of the forecasts. Wanting 95 % of what is granted gives the request back.

    Source: Holt 1957; error band as in statespace forecasting, with mean absolute deviation.
    """

    alpha: float = 0.2
    beta: float = 0.05
    spreads: float = 3.0
    every_s: float = 5.0
    ahead: float = 1.0
    law = staticmethod(law)

    def __post_init__(self) -> None:
        refuse_outside(
            alpha=(self.alpha, 0.001, 1),
            beta=(self.beta, 0, 1),
            spreads=(self.spreads, 0, 100),
            every_s=(self.every_s, 0.1, 86_400),
            ahead=(self.ahead, 0, 1000),
        )

    def room(self, request: int) -> int:  # noqa: ARG002
        return 7

    def words(self, seen: Seen, choice: Choice) -> str:
        if words := self.unsettled(seen, choice):
            return words
        cores = f"{seen.granted:.0f} cores"
        return (
            f"forecast is {choice.a:.1f} of {cores}, off by {choice.b:.2f} on average; "
            f"with {self.spreads:g} times that {choice.vcpus}"
        )
