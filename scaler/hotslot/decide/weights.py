"""How much a job counts when cores are short: the schedulers' own word, and its deadline; pure.

Equal for all unless a site's scheduler tells jobs apart. A weight is the product of two factors,
and is kept from ``LEAST`` to ``MOST``, so that nobody is starved and nobody takes all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

LEAST, MOST = 0.25, 4.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What a scheduler says of a job, each from 0 to 1; None where it says nothing.

    Slurm: ``priority`` is the job's priority as part of the highest one's on this host,
    ``fair_share`` its fair-share factor (0.5: what its account is due was used, 1: none of it).
    HTCondor: ``fair_share`` is 0.5 for the mean effective user priority, higher for a better one.
    """

    priority: float | None = None
    fair_share: float | None = None


@dataclass(frozen=True, slots=True)
class Urgency:
    """A job's work and its time.

    ``left_core_s``: core-seconds that it may still need; ``time_left_s``: until its time limit or
    deadline, whichever is first; ``granted``: vCPUs that it has now.
    """

    left_core_s: float
    time_left_s: float
    granted: int


def weight(standing: Standing = Standing(), urgency: Urgency | None = None) -> float:
    """Return a job's weight, 0.25 to 4, 1 where nothing is known.

    Priority and fair share each count from half to double: 2^(2 x - 1), 1 in the middle. Worked:
    priority 1.0, fair share 0.25: 2 x 2^-0.5 = 1.41; twice too much work for its time: x 2 = 2.83.
    """
    both = _factor(standing.priority) * _factor(standing.fair_share)
    return min(MOST, max(LEAST, both * pressure(urgency)))


def pressure(urgency: Urgency | None) -> float:
    """Return how many times the present grant a job needs to end in time, 1 to 4.

    Worked: 7,200 core-seconds left, 30 min, 2 vCPUs granted: it needs 4 vCPUs: 2. Past its time, or
    with no work left, nothing presses.
    """
    if urgency is None or not urgency.left_core_s > 0 or not urgency.time_left_s > 0:
        return 1.0
    needed = urgency.left_core_s / urgency.time_left_s / max(1, urgency.granted)
    return min(MOST, max(1.0, needed)) if math.isfinite(needed) else 1.0


def left_core_s(request: int, limit_s: float, used_core_s: float, ran_s: float) -> float:
    """Return what a job may still need: what it asked for, less what it has used.

    Users ask for more time than they need, so this is the most that it can be: request x the limit,
    scaled by how much of its request it has used so far once it has run for a tenth of the limit.
    Worked: 8 CPUs for 1 h; after 30 min it has used 7,200 core-s, half of what it could:
    8 x 3600 x 0.5 - 7200 = 7200 left.
    """
    if limit_s <= 0 or not math.isfinite(limit_s):
        return 0.0
    whole = request * limit_s
    if ran_s >= limit_s / 10:
        whole *= min(1.0, used_core_s / max(1.0, request * ran_s))
    return max(0.0, whole - used_core_s)


def fair_share_of(user_priority: float, mean_priority: float) -> float | None:
    """Return HTCondor's effective user priority (lower is better) as a factor from 0 to 1.

    Worked: half the mean: 2/3; twice: 1/3. None for what is no priority.
    """
    total = user_priority + mean_priority
    if not (user_priority >= 0 and mean_priority > 0 and math.isfinite(total)):
        return None
    return mean_priority / total


def _factor(part: float | None) -> float:
    if part is None or not math.isfinite(part):
        return 1.0
    return float(2 ** (2 * min(1.0, max(0.0, part)) - 1))
