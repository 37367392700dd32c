"""The policy ``hotslot``: take back what has idled for longer than taking it back could cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hotslot.decide.law import DUST, SHORTEST_S, Choice, Numbers, Seen, State, saturated
from hotslot.decide.parameters import refuse_outside
from hotslot.decide.policy import Ruled

EVENT_S = 0.5
"""What a change of a worker's vCPUs costs its job: it stands still that long."""

SETTLE_S = 3.0
"""After a change: until samples show what the job does with it."""

GROWN_S = 6.0
"""After growing: so long a burst may last before it counts as a new phase, if patience allows."""

ALLOWANCE_S = 2000.0
"""A job's loss is weighed against its life and this: a few changes of a young job are no sign."""

KNOWN_S = 7200.0
"""The account of a worker begins as if its jobs had spent just their budget for so long."""

CHEAPEST = 0.45
"""Patience goes down to this part when less than the budget is spent."""

STEEP = 4.0
"""How much dearer: twice the aim spent makes a change e to the power of this as dear."""

AIM = 0.9
"""Of the budget, what is aimed at: what comes late is counted late."""

COARSE_S = 15.0
"""A sample longer than this proves demand, but not that there was none: peaks average away."""

SATURATED = 0.99

LATE_S = 1.5
"""From hidden demand to what it asks for: half a sample, and the action."""

_LOST, _RUN, _NOW, _SIZE, _CHANGED, _GROWN, _HARM, _SHORT, _LAST_NEEDED = 0, 1, 2, 3, 4, 5, 6, 7, 8
_KEEP, _SHRINK, _SATURATED, _SETTLING, _SPENT = 0, 1, 2, 3, 4


def law(numbers: Numbers, state: State, seen: Seen) -> Choice:
    """See ``Thrift``. The choice's figures: the most wanted, seconds without more, patience."""
    patience_s, budget, margin = numbers[0], numbers[1], numbers[2]
    state[_NOW] += seen.interval_s
    now = state[_NOW]
    state[_RUN] += seen.interval_s * seen.request
    _notice_change(state, seen.granted, seen.request, now)
    granted, request = int(seen.granted), int(seen.request)
    if state[_SHORT] > 0 and seen.before > state[_SHORT] and seen.steady > 0:
        late = LATE_S * max(0.0, 1 - state[_SHORT] / max(seen.demand, state[_SHORT]))
        state[_HARM] += late
        state[_LOST] += late * request
        state[_SHORT] = 0.0
    if seen.interval_s < SHORTEST_S:
        return Choice(granted, _SETTLING, 0.0, 0.0, 0.0)
    hidden = saturated(seen, SATURATED)
    needed = min(request, math.ceil(seen.demand * (1 + margin) - DUST))
    if seen.interval_s > COARSE_S:
        needed = request
    if hidden:
        needed = max(needed, int(seen.before) + 1)
    for level in range(1, min(needed, request)):
        state[_LAST_NEEDED + level] = now
    if hidden:
        state[_SHORT] = seen.before
        return Choice(request, _SATURATED, seen.demand, 0.0, 0.0)
    if now - state[_CHANGED] < SETTLE_S or now - state[_GROWN] < min(GROWN_S, patience_s / 3):
        return Choice(granted, _SETTLING, seen.demand, now - state[_CHANGED], 0.0)
    idle, best = 0.0, granted
    for level in range(1, granted):
        area = (granted - level) * (now - state[_LAST_NEEDED + level])
        if area > idle:
            idle, best = area, level
    own = 100 * state[_HARM] / (budget * (now + ALLOWANCE_S))
    known = KNOWN_S * request
    spent = (100 * state[_LOST] / (AIM * budget) + known) / (state[_RUN] + known)
    price = max(CHEAPEST, math.exp(min(50.0, STEEP * (spent - 1))))
    wait = patience_s * price * (1 + own) * request
    idle_s = now - state[_LAST_NEEDED + best] if best < granted else 0.0
    if best < granted and idle >= wait:
        return Choice(best, _SHRINK, idle_s, idle, wait)
    return Choice(granted, _KEEP, idle_s, idle, wait)


def _notice_change(state: State, granted: float, request: float, now: float) -> None:
    """Note when the size changed, which way, and what that cost."""
    if state[_SIZE] == 0.0:
        state[_SIZE] = granted
        state[_CHANGED] = state[_GROWN] = now - GROWN_S
    elif granted != state[_SIZE]:
        if granted > state[_SIZE]:
            state[_GROWN] = now
        state[_SIZE] = granted
        state[_CHANGED] = now
        state[_HARM] += EVENT_S
        state[_LOST] += EVENT_S * request


@dataclass(frozen=True)
class Thrift(Ruled):
    """Take vCPUs back once they have idled for longer than taking them back could cost.

    For each size below what is granted it knows for how long demand (plus a margin) would have
    fitted. Idle core-seconds of a size = cores it would free x that time; the size with the most
    of them is taken when they reach patience x request. So half of a worker is taken back after
    twice the patience, a tenth after ten times: ski rental, with changes as the price.

    - ``harm_budget_pct``: run time that jobs may lose, in % of core-hours, by changes and by late
      growth together. Patience is 0.9 s x budget^-1.35 (20 s at 0.1 %) at first; then it follows
      what the worker's jobs have lost: x exp(4 x (spent - 1)), spent of the budget, 0.45 at least.
    - A job that lost much itself waits longer: x (1 + its own loss / its own budget).
    - Saturated (99 % of what is granted, below the request): demand is hidden; back to the request
      at once. What was wanted before still counts, so a false alarm is soon over.
    - ``margin_pct`` and ``patience_s``, if above 0, replace what follows from the budget.
    Worked: 2 of 8 busy at 0.1 %: 3 would do; 5 x 33 s = 165 core-seconds, from 20 x 8 on.
    """

    harm_budget_pct: float = 0.1
    margin_pct: float = 0.0
    patience_s: float = 0.0
    law = staticmethod(law)

    def __post_init__(self) -> None:
        refuse_outside(
            harm_budget_pct=(self.harm_budget_pct, 0.001, 100),
            margin_pct=(self.margin_pct, 0, 1000),
            patience_s=(self.patience_s, 0, 86_400),
        )

    @property
    def patience(self) -> float:
        """Seconds that a whole request must idle before it is worth an event, at first."""
        return self.patience_s or max(1.0, 0.9 * self.harm_budget_pct**-1.35)

    @property
    def margin(self) -> float:
        """Part of demand that is kept free: 5 % at 0.1 %, 2 % from 0.25 % on."""
        return self.margin_pct / 100 or min(0.05, max(0.02, 0.005 / self.harm_budget_pct))

    kept = 2

    def numbers(self) -> Numbers:
        return (float(self.patience), float(self.harm_budget_pct), self.margin)

    def room(self, request: int) -> int:
        return _LAST_NEEDED + request + 1

    def words(self, seen: Seen, choice: Choice) -> str:
        cores = f"{seen.granted:.0f} cores"
        wanted = f"{seen.demand:.1f} of {cores} wanted"
        if choice.why == _SATURATED:
            return f"saturated: {wanted}; back to the request of {choice.vcpus}"
        if choice.why == _SETTLING:
            return f"{wanted}, changed a moment ago; keep {choice.vcpus}"
        if choice.why == _SHRINK:
            return (
                f"{choice.vcpus} of {cores} would have done for {choice.a:.0f} s: "
                f"{choice.b:.0f} core-seconds idle, worth a change from {choice.c:.0f} on"
            )
        return f"{wanted}; {choice.b:.0f} core-seconds idle of {choice.c:.0f}; keep {choice.vcpus}"
