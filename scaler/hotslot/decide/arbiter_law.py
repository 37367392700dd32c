"""The arithmetic of arbitration: a host's cores shared out among its workers, in whole vCPUs.

Plain functions over a table of numbers, a row a property, a column a worker: the agent interprets
them, ``hotslot replay --host-cores`` compiles the very same. ``decide/arbiter.py`` puts words to
what comes out. Worked numbers are in docs/arbiter.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from hotslot.decide.law import DUST, State

FLOOR, REQUEST, MOST, WISH, HELD, WEIGHT, LENT = 0, 1, 2, 3, 4, 5, 6
TARGET, NOW, LOW, HIGH, PART, REST = 7, 8, 9, 10, 11, 12
ROWS = 13
"""Rows of the table.

In go: floor; request (0 without a job); the most that it may grow to beyond the request; the
policy's wish; what it holds now, plugs under way included; weight; 1.0 if it borrows. Out come
``TARGET``, what is its due, and ``NOW``, what it may be told at once. The others are scratch.
"""

Table = Sequence[State]

ROUNDS = 60
"""Of the search for the level, at most; some five are needed."""


def fill(capacity: float, count: int, table: Table) -> None:
    """Share ``capacity`` by weight between ``LOW`` and ``HIGH``, in whole vCPUs, into ``REST``.

    Water filling: each has clip(level x PART, low, high), with the one level at which they add up
    to the capacity. What rounding leaves goes first to those who hold it already, so that equal
    conditions move nothing, then by largest remainder, then in order. Worked: 10 among three that
    want 8, weights 1, 1, 2: level 2.5: 2.5, 2.5, 5.0: 3, 2, 5.
    """
    low, high, part, rest = table[LOW], table[HIGH], table[PART], table[REST]
    least, most = 0.0, 0.0
    for one in range(count):
        least += low[one]
        most += high[one]
    if most <= capacity or least >= capacity:
        bound = high if most <= capacity else low
        for one in range(count):
            rest[one] = bound[one]
        return
    level = _level(capacity, least, count, table)
    left = capacity
    for one in range(count):
        size = float(math.floor(min(max(level * part[one], low[one]), high[one]) + DUST))
        rest[one] = size
        left -= size
    held = table[HELD]
    for _ in range(int(left + DUST)):
        best, found = -1.0, -1
        for one in range(count):
            size = rest[one]
            due = level * part[one] - size
            if size < high[one] and due > DUST:
                worth = due + 1.0 if held[one] > size else due
                if worth > best + DUST:
                    best, found = worth, one
        if found < 0:
            return
        rest[found] += 1.0


def _level(capacity: float, least: float, count: int, table: Table) -> float:
    """Find the level: Newton's steps within a bracket, on a sum that is made of straight pieces."""
    low, high, part = table[LOW], table[HIGH], table[PART]
    below, above, slope = 0.0, 0.0, 0.0
    for one in range(count):
        if high[one] > low[one]:
            above = max(above, high[one] / part[one])
            slope += part[one]
    level = min(above, (capacity - least) / slope)
    for _ in range(ROUNDS):
        total, slope = 0.0, 0.0
        for one in range(count):
            size = level * part[one]
            if size <= low[one]:
                total += low[one]
            elif size >= high[one]:
                total += high[one]
            else:
                total += size
                slope += part[one]
        if abs(total - capacity) < DUST:
            return level
        if total < capacity:
            below = level
        else:
            above = level
        level = level + (capacity - total) / slope if slope > 0 else -1.0
        if level <= below or level >= above:
            level = (below + above) / 2
    return level


def arbitrate(capacity: float, offered: float, lent_part: float, count: int, table: Table) -> None:
    """Fit all wishes into ``capacity`` vCPUs: ``TARGET``, then ``NOW``.

    1. Floors, even if they are more than the capacity.
    2. Up to the request, who wants it: weighted max-min. Who borrows counts for ``lent_part`` of
       its weight; at 0 it comes after all others.
    3. Beyond the request, of what is left when ``offered`` vCPUs are kept for queued jobs.
    """
    floor, request, wish, lent = table[FLOOR], table[REQUEST], table[WISH], table[LENT]
    weight, part, low, high = table[WEIGHT], table[PART], table[LOW], table[HIGH]
    target, rest, most = table[TARGET], table[REST], table[MOST]
    after, beyond = False, False
    for one in range(count):
        low[one] = floor[one]
        high[one] = max(floor[one], min(wish[one], request[one]))
        part[one] = weight[one]
        if lent[one] > 0:
            part[one] = weight[one] * lent_part
            if lent_part <= 0:
                after = True
                high[one] = floor[one]
        if wish[one] > request[one] and most[one] > max(floor[one], request[one]):
            beyond = True
    fill(capacity, count, table)
    if after:
        for one in range(count):
            low[one] = high[one] = rest[one]
            if lent[one] > 0:
                high[one] = max(floor[one], min(wish[one], request[one]))
                part[one] = weight[one]
        fill(capacity, count, table)
    for one in range(count):
        target[one] = rest[one]
    if beyond:
        for one in range(count):
            low[one] = high[one] = target[one]
            if target[one] >= request[one]:
                high[one] = max(target[one], min(wish[one], most[one]))
            part[one] = weight[one]
        fill(capacity - offered, count, table)
        for one in range(count):
            target[one] = rest[one]
    _now(capacity, count, table)


def _now(capacity: float, count: int, table: Table) -> None:
    """Say what each may be told at once: whoever is to shrink shrinks; who is to grow shares what
    others have given up already, owners first. What is held adds up to no more, floors apart."""
    held, target, now, rest = table[HELD], table[TARGET], table[NOW], table[REST]
    floor = table[FLOOR]
    free, wanted = capacity, 0.0
    for one in range(count):
        least = max(held[one], floor[one])
        free -= least
        wanted += max(0.0, target[one] - least)
        now[one] = target[one]
    if wanted <= max(0.0, free):
        return
    for one in range(count):
        now[one] = min(max(held[one], floor[one]), target[one])
    request, lent, weight = table[REQUEST], table[LENT], table[WEIGHT]
    low, high, part = table[LOW], table[HIGH], table[PART]
    for step in range(3):
        if free < 1:
            return
        asked = 0.0
        for one in range(count):
            low[one] = high[one] = now[one]
            part[one] = weight[one]
            if target[one] > held[one]:
                if step == 2:
                    high[one] = target[one]
                elif step == 1 or lent[one] <= 0:
                    high[one] = max(now[one], min(target[one], request[one]))
                asked += high[one] - now[one]
        if asked <= 0:
            continue
        total = free
        for one in range(count):
            total += now[one]
        fill(total, count, table)
        for one in range(count):
            free -= rest[one] - now[one]
            now[one] = rest[one]


def borrow(capacity: float, count: int, order: State, request: State, lent: State) -> None:
    """Tell owners from borrowers: ``lent`` becomes 1.0 for who borrows.

    ``order`` are the columns of jobs as they started, oldest first. The oldest whose requests fit
    the capacity together own theirs, the others borrow, and come to own as older ones end: just
    when they would have started without lending. The oldest always owns.
    """
    total, over = 0.0, False
    for place in range(count):
        one = int(order[place])
        total += request[one]
        if place > 0 and total > capacity:
            over = True
        lent[one] = 1.0 if over else 0.0


def room(cores: float, overcommit: float, tolerated_pct: float, idle: float) -> float:
    """Return the vCPUs that may be granted in all, a whole number.

    The cores, and as many more as were idle within grants lately and are tolerated, but never more
    than cores x overcommit. Worked: 64 cores, 1.25, 0 %, 10.7 idle: 74; 20 idle: 80.
    """
    most = cores * overcommit
    more = cores + max(0.0, idle) + cores * tolerated_pct / 100
    return float(math.floor(max(cores, min(most, more)) + DUST))
