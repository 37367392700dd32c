"""The model: one job on one worker, second by second, sized by a law within limits.

Each tick the job does what it can with what is granted; the law sees usage, cut at what is
granted; what it decides takes effect ``latency`` ticks later and stalls the job. Unmet demand is
carried over and lengthens the job: speed = min(1, granted / demand).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hotslot.decide.law import Law, Numbers, Seen, State
from hotslot.decide.limits import Limits, within


class Rules(NamedTuple):
    """Of the model: seconds from decision to effect, and what an event stalls the job for."""

    latency_s: int = 1
    event_s: float = 0.5


class Faults(NamedTuple):
    """What may go wrong: parts of samples lost, relative error of a sample, a VM that is suspended
    for some seconds every so many, parts of actions that fail or are slow."""

    lost: float = 0.0
    jitter: float = 0.0
    suspended_s: float = 0.0
    suspended_every_s: float = 1e18
    failing: float = 0.0
    slow: float = 0.0
    slow_s: int = 10


class Outcome(NamedTuple):
    """Of one job: core-seconds held, seconds lost by throttling, events, seconds it ran."""

    held_core_s: float
    throttled_s: float
    events: int
    run_s: float


NO_FAULTS = Faults()
STANDARD = Rules()
FARTHEST_S = 30 * 86_400.0
"""A job that takes this much longer than it should is given up: it is starved."""


def run_job(
    law: Law,
    numbers: Numbers,
    state: State,
    limits: Limits,
    rules: Rules,
    faults: Faults,
    cap: int,
    dt: float,
    cores: Sequence[float],
    first: int,
    n: int,
    seed: int,
    trail: State,
) -> Outcome:
    """Run one job; ``trail`` takes what was granted at each second, as far as it has room."""
    life_s, position, ran_s = n * dt, 0.0, 0.0
    granted, due, aim = cap, -1, cap
    held, throttled, events, stall = 0.0, 0.0, 0, 0.0
    changed_at, tick = -1e18, 0
    away_s, away_used, away_held = 0.0, 0.0, 0.0
    suspend_at, dice = faults.suspended_every_s, seed
    while position < life_s - 1e-9 and ran_s < life_s + FARTHEST_S:
        if due == tick:
            due = -1
            dice = (dice * 1103515245 + 12345) % 2147483648
            stall = rules.event_s
            events += 1
            if dice / 2147483648 >= faults.failing:
                granted = aim
                changed_at = ran_s
        if tick < len(trail):
            trail[tick] = float(granted)
        tick += 1
        demand = min(cores[first + int(position / dt)], float(cap))
        if ran_s >= suspend_at:
            suspend_at += faults.suspended_every_s
            frozen = faults.suspended_s
            held += granted * frozen
            ran_s += frozen
            away_s += frozen
            away_held += granted * frozen
        speed = 1.0 if demand <= granted else granted / demand
        working = 1.0 - stall
        used = min(demand, float(granted))
        if position + speed * working >= life_s:
            part = (life_s - position) / (speed * working) if speed > 0 else 0.0
            held += granted * (stall + working * part)
            throttled += (1 - speed) * working * part
            ran_s += stall + working * part
            break
        position += speed * working
        held += granted
        throttled += (1 - speed) * working
        ran_s += 1.0
        stall = 0.0
        away_s += 1.0
        away_used += used
        away_held += granted
        if faults.lost > 0:
            dice = (dice * 1103515245 + 12345) % 2147483648
            if dice / 2147483648 < faults.lost:
                continue
        if faults.jitter > 0:
            dice = (dice * 1103515245 + 12345) % 2147483648
            away_used *= 1 + faults.jitter * (2 * (dice / 2147483648) - 1)
        mean_held = away_held / away_s
        wanted = min(away_used / away_s, max(mean_held, float(granted)))
        still = 1.0 if abs(mean_held - granted) < 0.01 else 0.0
        size = float(granted)
        seen = Seen(away_s, wanted, mean_held, size, size, float(cap), still)
        choice = law(numbers, state, seen)
        away_s, away_used, away_held = 0.0, 0.0, 0.0
        wish = within(limits, choice.vcpus, granted, cap, ran_s - changed_at)
        if wish != granted and due < 0:
            aim = wish
            due = tick + rules.latency_s
            if faults.slow > 0:
                dice = (dice * 1103515245 + 12345) % 2147483648
                if dice / 2147483648 < faults.slow:
                    due = tick + faults.slow_s
    return Outcome(held, throttled, events, ran_s)


def run_jobs(
    law: Law,
    numbers: Numbers,
    state: State,
    limits: Limits,
    rules: Rules,
    faults: Faults,
    caps: Sequence[int],
    dts: Sequence[float],
    cores: Sequence[float],
    firsts: Sequence[int],
    ns: Sequence[int],
    kept: int,
    begin: int,
    end: int,
    seed: int,
    out: Sequence[State],
) -> None:
    """Run jobs ``begin`` to ``end``, each with a fresh state, into the rows of ``out``."""
    trail = state[:0]
    for job in range(begin, end):
        for one in range(kept, len(state)):
            state[one] = 0.0
        cap = int(caps[job])
        bounds = Limits(limits.floor, float(cap), limits.cooldown_s, limits.max_step_down)
        done = run_job(
            law, numbers, state, bounds, rules, faults, cap, dts[job], cores, firsts[job], ns[job],
            seed + job, trail,
        )  # fmt: skip
        row = out[job]
        row[0] = done.held_core_s
        row[1] = done.throttled_s
        row[2] = float(done.events)
        row[3] = done.run_s


def foresee(
    hold_s: float,
    rules: Rules,
    caps: Sequence[int],
    dts: Sequence[float],
    cores: Sequence[float],
    firsts: Sequence[int],
    ns: Sequence[int],
    out: Sequence[State],
) -> None:
    """Run jobs sized by an oracle that knows the demand until its action takes effect and
    ``hold_s`` longer, in the same model."""
    for job in range(len(caps)):
        cap, dt, first, n = int(caps[job]), dts[job], firsts[job], ns[job]
        life_s, position, ran_s, tick = n * dt, 0.0, 0.0, 0
        granted, due, aim, stall = cap, -1, cap, 0.0
        held, throttled, events = 0.0, 0.0, 0
        while position < life_s - 1e-9:
            if due == tick:
                due, granted, stall = -1, aim, rules.event_s
                events += 1
            tick += 1
            demand = min(cores[first + int(position / dt)], float(cap))
            speed = 1.0 if demand <= granted else granted / demand
            working = 1.0 - stall
            part = min(1.0, (life_s - position) / (speed * working))
            position += speed * working * part
            held += granted * (stall + working * part)
            throttled += (1 - speed) * working * part
            ran_s += stall + working * part
            stall = 0.0
            if due >= 0 or position >= life_s - 1e-9:
                continue
            last = min(n - 1, int((position + rules.latency_s + 1 + hold_s) / dt))
            peak = 0.0
            for k in range(int((position + rules.latency_s) / dt), last + 1):
                peak = max(peak, cores[first + k])
            need = max(1, min(cap, int(-(-(peak - 1e-6) // 1))))
            if need != granted:
                aim = need
                due = tick + rules.latency_s
        row = out[job]
        row[0] = held
        row[1] = throttled
        row[2] = float(events)
        row[3] = ran_s
