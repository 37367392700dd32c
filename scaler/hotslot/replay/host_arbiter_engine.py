"""The model of a whole host with the arbiter, second by second: laws compiled or interpreted."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hotslot.decide.arbiter_law import (
    FLOOR,
    HELD,
    LENT,
    MOST,
    NOW,
    REQUEST,
    ROWS,
    TARGET,
    WEIGHT,
    WISH,
    arbitrate,
    borrow,
    room,
)
from hotslot.decide.forecast_law import (
    IN,
    begin,
    expects,
    follow,
    idle_within,
    observe,
    taken_back,
)
from hotslot.decide.law import Law, Numbers, Seen, State
from hotslot.decide.limits import Limits, within
from hotslot.replay.engine import Rules

ARGUMENTS = (
    "law floats rows int limits rules floats ints floats floats ints ints ints "
    "rows rows rows rows floats floats floats rows int returned"
)
"""Of ``run_arbitrated``, and what it returns."""

STARTED, ENDED, EVENTS, SHORT_S, OWN_RUN_S, OWN_LOST_S, OWN_STALLED_S = range(7)
OUT = 7
"""Columns of a job's outcome. Owning: seconds of its run done, seconds lost, those of them by
changes; what is left of its loss came about while it borrowed."""

_CORES, _OVERCOMMIT, _TOLERATED, _LENT_PART, _START_PART, _HORIZON, _RISK, _WINDOW = range(8)
_JOB, _AT, _GRANTED, _DUE, _AIM, _STALL, _CHANGED, _DEMAND = range(8)
SLOT = 8


def run_arbitrated(
    law: Law,
    numbers: Numbers,
    states: Sequence[State],
    kept: int,
    limits: Limits,
    rules: Rules,
    host: Numbers,
    caps: Sequence[int],
    dts: Sequence[float],
    cores: Sequence[float],
    firsts: Sequence[int],
    ns: Sequence[int],
    families: Sequence[int],
    slots: Sequence[State],
    table: Sequence[State],
    forecasts: Sequence[State],
    seen_before: Sequence[State],
    order: State,
    account: State,
    ring: State,
    out: Sequence[State],
    most_s: int,
) -> int:
    """Run the queue; returns the seconds that it took.

    A column of ``table`` and a row of ``slots``, ``states`` and ``forecasts`` is a worker;
    ``seen_before`` are the forecast's tables of families, the host's first; ``order`` lists the
    workers with a job, the oldest first.
    """
    jobs = len(caps)
    queued, done, tick, running, count = 0, 0, 0, 0, 0
    capacity, wishes, back = host[_CORES], 0.0, 0.0
    for worker in range(len(slots)):
        slots[worker][_JOB] = -1.0
    while done < jobs and tick < most_s:
        held, reserved, requests = 0.0, 0.0, 0.0
        for worker in range(count):
            if slots[worker][_JOB] >= 0:
                size = _taken_effect(slots[worker], rules, tick, out)
                held += size
                reserved += max(size, table[TARGET][worker], table[WISH][worker])
                requests += table[REQUEST][worker]
        reserved = max(reserved, min(requests, wishes + back))
        while queued < jobs and running < len(slots):
            cap = float(caps[queued])
            fits = (capacity - reserved) >= cap * host[_START_PART]
            if not fits or capacity - held < limits.floor:
                break
            worker = _free_slot(slots)
            size = min(cap, capacity - held)
            _start(queued, size, cap, limits.floor, worker, slots[worker], table)
            begin(forecasts[worker])
            for one in range(kept, len(states[worker])):
                states[worker][one] = 0.0
            out[queued][STARTED] = float(tick)
            held, reserved = held + size, reserved + cap
            order[running] = float(worker)
            running, queued, count = running + 1, queued + 1, max(count, worker + 1)
        borrow(host[_CORES], running, order, table[REQUEST], table[LENT])
        busy = 0.0
        for worker in range(count):
            slot = slots[worker]
            if slot[_JOB] >= 0:
                job = int(slot[_JOB])
                at = firsts[job] + int(slot[_AT] / dts[job])
                slot[_DEMAND] = min(cores[at], table[REQUEST][worker])
                busy += min(slot[_DEMAND], slot[_GRANTED])
        share = 1.0 if busy <= host[_CORES] else host[_CORES] / busy
        tick += 1
        plugged = 0.0
        for worker in range(count):
            slot = slots[worker]
            if slot[_JOB] < 0:
                continue
            job, granted, request = int(slot[_JOB]), slot[_GRANTED], table[REQUEST][worker]
            _work(slot, out[job], share, table[LENT][worker])
            if slot[_AT] >= ns[job] * dts[job] - 1e-9:
                out[job][ENDED] = float(tick)
                running = _end(worker, slot, table, order, running)
                done += 1
                continue
            plugged += granted
            used = min(slot[_DEMAND], granted)
            choice = law(
                numbers, states[worker], Seen(1.0, used, granted, granted, granted, request, 1.0)
            )
            bounds = Limits(limits.floor, request, limits.cooldown_s, limits.max_step_down)
            since_s = tick - slot[_CHANGED]
            wish = float(within(bounds, choice.vcpus, int(granted), int(request), since_s))
            table[WISH][worker] = wish
            table[HELD][worker] = max(granted, slot[_AIM]) if slot[_DUE] >= 0 else granted
        idle = idle_within(ring, host[_WINDOW], 1.0, plugged, busy)
        capacity = room(host[_CORES], host[_OVERCOMMIT], host[_TOLERATED], idle)
        borrow(host[_CORES], running, order, table[REQUEST], table[LENT])
        arbitrate(capacity, 0.0, host[_LENT_PART], count, table)
        wishes, back = _foreseen(
            host, count, slots, table, families, forecasts, seen_before, account
        )
        for worker in range(count):
            slot = slots[worker]
            if slot[_JOB] >= 0 and slot[_DUE] < 0 and table[NOW][worker] != slot[_GRANTED]:
                slot[_AIM], slot[_DUE] = table[NOW][worker], float(tick + rules.latency_s)
    return tick


def _taken_effect(slot: State, rules: Rules, tick: int, out: Sequence[State]) -> float:
    """Let a change that is due come about; return what the worker holds, plugs on their way too."""
    if slot[_DUE] == tick:
        slot[_GRANTED], slot[_DUE] = slot[_AIM], -1.0
        slot[_STALL], slot[_CHANGED] = rules.event_s, float(tick)
        out[int(slot[_JOB])][EVENTS] += 1.0
    return max(slot[_GRANTED], slot[_AIM]) if slot[_DUE] >= 0 else slot[_GRANTED]


def _foreseen(
    host: Numbers,
    count: int,
    slots: Sequence[State],
    table: Sequence[State],
    families: Sequence[int],
    forecasts: Sequence[State],
    seen_before: Sequence[State],
    account: State,
) -> tuple[float, float]:
    """Feed the forecast; return what all wish for, and what they may take back beyond it."""
    wishes, wishes_in, mean, variance = 0.0, 0.0, 0.0, 0.0
    for worker in range(count):
        if slots[worker][_JOB] < 0:
            continue
        own, family = forecasts[worker], seen_before[families[int(slots[worker][_JOB])]]
        wish, request = table[WISH][worker], table[REQUEST][worker]
        free = 1.0 if table[TARGET][worker] >= wish else 0.0
        wishes += wish
        if host[_RISK] < 1:
            observe(host[_HORIZON], own, family, seen_before[0], 1.0, wish, request, free)
            rise = expects(own, family, seen_before[0], wish, request)
            mean, variance = mean + rise.mean, variance + rise.variance
            wishes_in += wish if own[IN] > 0 else 0.0
    if host[_RISK] >= 1:
        return wishes, 0.0
    horizon_s, risk, spread = host[_HORIZON], host[_RISK], math.sqrt(variance)
    if follow(horizon_s, risk, account, 1.0, wishes_in, wishes, mean, spread) > 0:
        for worker in range(count):
            forecasts[worker][IN] = 1.0
    return wishes, taken_back(risk, account, mean, spread)


def _free_slot(slots: Sequence[State]) -> int:
    worker = 0
    while slots[worker][_JOB] >= 0:
        worker += 1
    return worker


def _start(
    job: int,
    size: float,
    cap: float,
    floor: float,
    worker: int,
    slot: State,
    table: Sequence[State],
) -> None:
    slot[_JOB], slot[_AT], slot[_GRANTED] = float(job), 0.0, size
    slot[_DUE], slot[_AIM], slot[_STALL], slot[_CHANGED] = -1.0, 0.0, 0.0, -1e18
    table[FLOOR][worker], table[WEIGHT][worker] = floor, 1.0
    table[REQUEST][worker] = table[MOST][worker] = table[WISH][worker] = cap
    table[TARGET][worker] = size


def _work(slot: State, row: State, share: float, lent: float) -> None:
    """Do what the job can in this second, and count what it cannot."""
    granted, demand, working = slot[_GRANTED], slot[_DEMAND], 1.0 - slot[_STALL]
    speed = 1.0 if demand <= granted else granted / demand
    row[SHORT_S] += speed * (1.0 - share) * working
    went = speed * share * working
    slot[_AT] += went
    if lent <= 0:
        row[OWN_RUN_S] += went
        row[OWN_LOST_S] += 1.0 - went
        row[OWN_STALLED_S] += slot[_STALL]
    slot[_STALL] = 0.0


def _end(worker: int, slot: State, table: Sequence[State], order: State, running: int) -> int:
    """Free a worker; return how many run now."""
    slot[_JOB] = -1.0
    for row in range(ROWS):
        table[row][worker] = 0.0
    place = 0
    while int(order[place]) != worker:
        place += 1
    for at in range(place, running - 1):
        order[at] = order[at + 1]
    return running - 1
