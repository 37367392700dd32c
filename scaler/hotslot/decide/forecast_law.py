"""The arithmetic of the forecast: what jobs take back within a horizon, learned as it happens.

Plain functions over flat lists of floats, as policies' laws are: the agent interprets them, the
replay compiles them. ``decide/forecast.py`` keeps the lists for the agent.

Two parts. *Tables* know how far jobs come back: of spans that began at one size, how many reached
which other one; by job, by application, by host. They give an expected rise and its spread. An
*account* of the host compares what was expected with what came, and takes from that how many
spreads must be kept for a stated risk: so the risk is right even where the tables are not.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from hotslot.decide.law import DUST, RING, State, length_of, peak_of, remember

LEVELS = 8
"""Sizes are told apart in eighths of the request."""

TABLE = LEVELS * LEVELS
"""Counts of a table, a row for each level that spans began at."""

_SPAN_S, _FROM, _TOP, _SPOILT, IN, _COUNTS = 0, 1, 2, 3, 4, 5
ROOM = _COUNTS + TABLE
"""Numbers of one job's state; ``IN``: it ran when the host's span began."""

OWN_SPANS, FAMILY_SPANS, HOST_SPANS = 10.0, 10.0, 1.0
"""So many spans until a job's own count as much as its application's, these as much as the host's,
and these as much as caution, which expects the whole request."""

MEMORY = 200.0
"""Spans of a level after which the old ones count half."""

SCORES = 128
LOWEST, WIDTH = -2.0, 0.0625
"""The account's scores: (what came - what was expected) in spreads, from -2 to 6."""

FIRST_SCORE, FIRST_SPANS = 3.0, 3.0
"""A new account begins as if so many spans had come to so much: careful until more are known."""

SCORES_KEPT = 2000.0
"""Spans after which old scores count half: 67 h of 120 s each."""

LEAST_SPREAD = 0.5
"""Cores: a host on which nothing ever moved is not sure for ever."""

_RUN_S, _BEGAN, _MOST, _EXPECTED, _SPREAD, _SAID = 0, 1, 2, 3, 4, 5
TOLD, EXCEEDED, _SCORE = 6, 7, 8
ACCOUNT = _SCORE + SCORES
"""Numbers of a host's account. ``TOLD`` spans are over; in ``EXCEEDED`` of them jobs took back more
than was kept for them."""

SURELY = 4096.0
"""More cores than any host has."""

WHOLE = 0.95
"""Of a window: so much must have been seen before anything counts as idle."""

IDLE_ROOM = RING
"""Numbers of what ``idle_within`` remembers."""


class Rise(NamedTuple):
    """How much a job may take back, in vCPUs: expected, and its variance."""

    mean: float
    variance: float


def level_of(vcpus: float, request: float) -> int:
    """Return the eighth of the request that a size lies in, 1 to ``LEVELS``."""
    level = math.ceil(vcpus / request * LEVELS - DUST) if request > 0 else 1
    return max(1, min(LEVELS, level))


def expects(own: State, family: State, host: State, wish: float, request: float) -> Rise:
    """Return how far a job is expected to come back within a horizon.

    A job's spans are filled up with its application's, these with the host's, and the host's with
    caution. Worked: a job of 8 that wishes 2; of 10 spans of its own none rose, of its many
    relatives' one in 10 went to 8: 5 % in the mean: 6 x 0.05 = 0.3 vCPUs, variance 36 x 0.0475.
    """
    level = level_of(wish, request)
    at = (level - 1) * LEVELS
    own_all, family_all, host_all = OWN_SPANS, FAMILY_SPANS, HOST_SPANS
    for cell in range(at, at + LEVELS):
        own_all += own[_COUNTS + cell]
        family_all += family[cell]
        host_all += host[cell]
    mean, square = 0.0, 0.0
    for top in range(level + 1, LEVELS + 1):
        cell = at + top - 1
        part = (host[cell] + (HOST_SPANS if top == LEVELS else 0.0)) / host_all
        part = (family[cell] + FAMILY_SPANS * part) / family_all
        part = (own[_COUNTS + cell] + OWN_SPANS * part) / own_all
        more = max(0.0, top * request / LEVELS - wish)
        mean += part * more
        square += part * more * more
    return Rise(mean, max(0.0, square - mean * mean))


def begin(own: State) -> None:
    """Forget another job."""
    for one in range(ROOM):
        own[one] = 0.0


def observe(
    horizon_s: float,
    own: State,
    family: State,
    host: State,
    interval_s: float,
    wish: float,
    request: float,
    free: float,
) -> None:
    """Take in one sample of a job: its policy's wish, and whether it is granted (1.0).

    Spans of one horizon follow one another; one in which the job was kept short tells nothing, as
    what it wanted is hidden then.
    """
    level = level_of(wish, request)
    if own[_FROM] > 0:
        own[_TOP] = max(own[_TOP], float(level))
        own[_SPAN_S] += interval_s
        if free <= 0:
            own[_SPOILT] = 1.0
        if own[_SPAN_S] < horizon_s:
            return
        if own[_SPOILT] == 0.0:
            at = (int(own[_FROM]) - 1) * LEVELS
            cell = at + int(own[_TOP]) - 1
            _count(own, _COUNTS + at, _COUNTS + cell, LEVELS, MEMORY)
            _count(family, at, cell, LEVELS, MEMORY)
            _count(host, at, cell, LEVELS, MEMORY)
    own[_SPAN_S], own[_FROM], own[_TOP] = 0.0, float(level), float(level)
    own[_SPOILT] = 1.0 if free <= 0 else 0.0


def taken_back(risk: float, account: State, mean: float, spread: float) -> float:
    """Return the vCPUs that jobs take back within a horizon, but for the risk."""
    return max(0.0, mean + _spreads(risk, account) * max(LEAST_SPREAD, spread))


def follow(
    horizon_s: float,
    risk: float,
    account: State,
    interval_s: float,
    wishes_in: float,
    wishes: float,
    mean: float,
    spread: float,
) -> float:
    """Take in one sample of the host; return 1.0 when a span begins: all jobs are ``IN`` it then.

    ``wishes_in``: what those jobs wish for together that are in the span and still run,
    ``wishes`` what all do, with the ``mean`` and ``spread`` of their rises.
    """
    account[_RUN_S] += interval_s
    if account[_SPREAD] > 0.0:
        account[_MOST] = max(account[_MOST], wishes_in)
        if account[_RUN_S] < horizon_s:
            return 0.0
        rose = account[_MOST] - account[_BEGAN]
        account[TOLD] += 1.0
        if rose > account[_SAID] + DUST:
            account[EXCEEDED] += 1.0
        score = (rose - account[_EXPECTED]) / account[_SPREAD]
        _count(account, _SCORE, _place(score), SCORES, SCORES_KEPT)
    else:
        account[_place(FIRST_SCORE)] += FIRST_SPANS
    account[_RUN_S], account[_BEGAN], account[_MOST] = 0.0, wishes, wishes
    account[_EXPECTED], account[_SPREAD] = mean, max(LEAST_SPREAD, spread)
    account[_SAID] = math.ceil(taken_back(risk, account, mean, spread) - DUST)
    return 1.0


def idle_within(
    ring: State, window_s: float, interval_s: float, granted: float, wanted: float
) -> float:
    """Return the cores that were idle within all grants of a host throughout ``window_s`` seconds.

    Nobody's core is lent on the ground of a moment: the least of the window counts. Worked: 64
    granted; 52, 57 and 49 wanted in the last seconds: 7.
    """
    remember(ring, 0, window_s, interval_s, SURELY - max(0.0, granted - wanted))
    if length_of(ring, 0, window_s) < WHOLE * window_s:
        return 0.0
    return SURELY - peak_of(ring, 0, window_s)


def _spreads(risk: float, account: State) -> float:
    """Return how many spreads above the mean no more than this part of the spans came to."""
    total, above = 0.0, 0.0
    for one in range(SCORES):
        total += account[_SCORE + one]
    if total == 0.0:
        return FIRST_SCORE
    for one in range(SCORES - 1, -1, -1):
        above += account[_SCORE + one]
        if above > risk * total:
            return LOWEST + WIDTH * (one + 1)
    return LOWEST


def _place(score: float) -> int:
    """Return where a score is counted: below the upper edge of its bin."""
    place = math.ceil((score - LOWEST) / WIDTH - DUST) - 1
    return _SCORE + max(0, min(SCORES - 1, place))


def _count(table: State, at: int, cell: int, cells: int, most: float) -> None:
    total = 0.0
    for one in range(at, at + cells):
        total += table[one]
    if total >= most:
        for one in range(at, at + cells):
            table[one] /= 2
    table[cell] += 1.0
