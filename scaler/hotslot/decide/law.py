"""Laws: the arithmetic of policies, one sample of one worker at a time.

A law is a plain function over numbers: ``law(numbers, state, seen) -> Choice``. ``numbers`` are the
policy's parameters, ``state`` is a flat list of floats that starts as zeros and is the law's own.
So the agent interprets it, and ``hotslot replay`` compiles the very same function. Words are made
apart, from the choice's ``why`` and figures, when somebody reads them.

What a law may use, so that it compiles: floats, ``math``, loops, and functions of ``decide``.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from typing import NamedTuple

State = MutableSequence[float]
Numbers = tuple[float, ...]


class Seen(NamedTuple):
    """One sample as laws see it.

    ``demand`` are the cores wanted, at most what there was: usage is cut at what is granted.
    ``before`` are the vCPUs at the sample's end, ``granted`` those of now; ``steady`` is 0.0 when
    vCPUs came or went within the interval.
    """

    interval_s: float
    demand: float
    held: float
    before: float
    granted: float
    request: float
    steady: float


class Choice(NamedTuple):
    """What a law wants: vCPUs, why (the policy's own number for it), and figures for the words."""

    vcpus: int
    why: int
    a: float
    b: float
    c: float


Law = Callable[[Numbers, State, Seen], Choice]

SHORTEST_S = 0.05
"""A shorter sample tells nothing: the kernel counts in ticks of up to 10 ms."""

DUST = 1e-9
"""Float noise that must not cost a vCPU."""

SLOTS = 64
RING = 2 + 3 * SLOTS
"""Numbers that a ring takes in a state: head, count, then lengths, peaks and sums."""


def remember(state: State, at: int, span_s: float, interval_s: float, demand: float) -> None:
    """Put a sample into the ring at ``at``; one that is short beside the span joins the last."""
    head, count = int(state[at]), int(state[at + 1])
    lengths, peaks, sums = at + 2, at + 2 + SLOTS, at + 2 + 2 * SLOTS
    if count == 0 or state[lengths + head] + interval_s > span_s / (SLOTS - 4):
        head = (head + 1) % SLOTS
        state[lengths + head] = 0.0
        state[peaks + head] = 0.0
        state[sums + head] = 0.0
        state[at] = float(head)
        state[at + 1] = float(min(SLOTS, count + 1))
    state[lengths + head] += interval_s
    state[sums + head] += demand * interval_s
    if interval_s >= SHORTEST_S:
        state[peaks + head] = max(state[peaks + head], demand)


def peak_of(state: State, at: int, span_s: float) -> float:
    """Return the highest demand of the last ``span_s`` seconds."""
    head, count = int(state[at]), int(state[at + 1])
    lengths, peaks = at + 2, at + 2 + SLOTS
    seen_s, peak = 0.0, 0.0
    for back in range(count):
        if seen_s >= span_s - DUST:
            break
        slot = (head - back) % SLOTS
        seen_s += state[lengths + slot]
        peak = max(peak, state[peaks + slot])
    return peak


def length_of(state: State, at: int, span_s: float) -> float:
    """Return the seconds that the ring holds of the last ``span_s``, whole samples."""
    head, count = int(state[at]), int(state[at + 1])
    seen_s = 0.0
    for back in range(count):
        if seen_s >= span_s - DUST:
            break
        seen_s += state[at + 2 + (head - back) % SLOTS]
    return seen_s


def mean_of(state: State, at: int, span_s: float) -> float:
    """Return the mean demand of the last ``span_s`` seconds; 0 for none."""
    head, count = int(state[at]), int(state[at + 1])
    lengths, sums = at + 2, at + 2 + 2 * SLOTS
    seen_s, total = 0.0, 0.0
    for back in range(count):
        if seen_s >= span_s - DUST:
            break
        slot = (head - back) % SLOTS
        seen_s += state[lengths + slot]
        total += state[sums + slot]
    return total / seen_s if seen_s > 0 else 0.0


def forget(state: State, at: int) -> None:
    """Empty the ring."""
    state[at] = 0.0
    state[at + 1] = 0.0


def saturated(seen: Seen, part: float) -> bool:
    """Tell whether a worker below its request wanted ``part`` of what it had, or more.

    Demand is hidden then, and may be all of the request. An interval in which vCPUs were taken
    away does not count, since the guest works for that.
    """
    if seen.granted >= seen.request or seen.interval_s < SHORTEST_S:
        return False
    had = min(seen.held, seen.before)
    shrunk = seen.held > seen.before and seen.steady == 0.0
    return had > 0 and not shrunk and seen.demand >= had * part - DUST
