"""The policy ``vpa``: the recommender of Kubernetes' vertical pod autoscaler."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hotslot.decide.histogram import BUCKETS, add_weight, fade, quantile
from hotslot.decide.law import DUST, Choice, Numbers, Seen, State
from hotslot.decide.parameters import refuse_outside
from hotslot.decide.policy import SETTLED, YOUNG, Periodic

_SINCE_S, _USED, _WEIGHT, _SIZE, _HISTOGRAM = 0, 1, 2, 3, 4


def law(numbers: Numbers, state: State, seen: Seen) -> Choice:
    """See ``Vpa``. The choice's figure: the quantile."""
    percentile, margin_pct, half_life_s, every_s = numbers[0], numbers[1], numbers[2], numbers[3]
    state[_SINCE_S] += seen.interval_s
    state[_USED] += seen.demand * seen.interval_s
    if state[_SINCE_S] < every_s - DUST:
        kept = int(state[_SIZE]) if state[_SIZE] > 0 else int(seen.granted)
        why = SETTLED if state[_SIZE] > 0 else YOUNG
        return Choice(kept, why, state[_WEIGHT], 0.0, 0.0)
    fade(state, _HISTOGRAM, 0.5 ** (state[_SINCE_S] / half_life_s))
    mean = state[_USED] / state[_SINCE_S]
    add_weight(state, _HISTOGRAM, mean, seen.request, max(mean, 0.1))
    state[_SINCE_S] = 0.0
    state[_USED] = 0.0
    target = quantile(state, _HISTOGRAM, percentile / 100, seen.request)
    vcpus = max(1, math.ceil(target * (1 + margin_pct / 100) - DUST))
    state[_WEIGHT] = target
    state[_SIZE] = float(min(int(seen.request), vcpus))
    return Choice(int(state[_SIZE]), SETTLED, target, 0.0, 0.0)


@dataclass(frozen=True)
class Vpa(Periodic):
    """Every ``every_s``: the ``percentile`` of demand plus ``margin_pct``, where older demand
    counts half as much after each ``half_life_s``, and a sample weighs as much as it used.

    Source: kubernetes/autoscaler, vertical-pod-autoscaler/pkg/recommender (p90 + 15 %, 24 h).
    Demand hidden by its own limit ratchets it down: there is no escape but the margin.
    """

    percentile: float = 90.0
    margin_pct: float = 15.0
    half_life_s: float = 86_400.0
    every_s: float = 60.0
    law = staticmethod(law)

    def __post_init__(self) -> None:
        refuse_outside(
            percentile=(self.percentile, 1, 100),
            margin_pct=(self.margin_pct, 0, 1000),
            half_life_s=(self.half_life_s, 1, 1e7),
            every_s=(self.every_s, 0.1, 86_400),
        )

    def room(self, request: int) -> int:  # noqa: ARG002
        return _HISTOGRAM + BUCKETS

    def words(self, seen: Seen, choice: Choice) -> str:
        if words := self.unsettled(seen, choice):
            return words
        cores = f"{seen.granted:.0f} cores"
        return (
            f"p{self.percentile:g} of demand is {choice.a:.1f} of {cores}; "
            f"with {self.margin_pct:g} % margin {choice.vcpus}"
        )
