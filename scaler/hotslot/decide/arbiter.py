"""What each worker of a host gets when all are looked at together, and what can be lent: pure.

Order: floors; workers below their request that want it, owners before borrowers; offers to queued
jobs; growth beyond the request. The arithmetic is decide/arbiter_law.py's, which the replay
compiles; here are its words. docs/arbiter.md has the reasons and worked numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

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
from hotslot.decide.parameters import refuse_outside

LEAST_WEIGHT, MOST_WEIGHT = 1 / 64, 64.0
"""Weights outside are cut: the arithmetic needs them above nothing."""


@dataclass(frozen=True, slots=True)
class Lending:
    """A site's rules for one host.

    - ``overcommit``: vCPUs granted are never more than cores x this.
    - ``tolerated_pct``: above 1, vCPUs beyond the cores are granted as far as others have been
      idle within their grants, and so much more, in % of the cores.
    - ``lent_part``: what a borrower's weight counts beside an owner's; 0: owners first, all of it.
    - ``start_part``: a queued job may start when this part of its request is free.
    - ``requeue``: name the youngest borrower that may be requeued while an owner is short.
    """

    overcommit: float = 1.0
    tolerated_pct: float = 0.0
    lent_part: float = 0.0
    start_part: float = 1.0
    requeue: bool = False

    def __post_init__(self) -> None:
        refuse_outside(
            overcommit=(self.overcommit, 1, 8),
            tolerated_pct=(self.tolerated_pct, 0, 100),
            lent_part=(self.lent_part, 0, 1),
            start_part=(self.start_part, 0.05, 1),
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker as it stands; all in vCPUs.

    ``held``: what is plugged, and what is being plugged. ``request``: 0 without a job; such a
    worker has its floor, whatever others want: it runs nothing, so that costs no core. ``burst``:
    how far it may grow beyond its request. ``started_at`` orders jobs, oldest first.
    """

    worker: str
    floor: int
    ceiling: int
    held: int
    wish: int
    request: int = 0
    weight: float = 1.0
    started_at: float = 0.0
    burst: int = 0
    may_requeue: bool = False

    @property
    def due(self) -> int:
        """What it may want of its entitlement."""
        return max(self.floor, min(self.wish, self.request, self.ceiling))

    @property
    def uncounted(self) -> int:
        """What it holds without a job for it."""
        return 0 if self.request else self.floor


@dataclass(frozen=True, slots=True)
class Grant:
    """What one worker is to have: ``target`` in the end, ``now`` at once; ``reason`` is '' where
    the policy's own words say it all. ``lent``: its job runs on cores lent by others."""

    worker: str
    target: int
    now: int
    lent: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Clawback:
    """One step of taking back what others are entitled to."""

    worker: str
    from_vcpus: int
    to_vcpus: int
    reason: str


@dataclass(frozen=True, slots=True)
class Arbitration:
    """The answer for one host, at one moment.

    ``capacity``: vCPUs that may be granted in all. ``headroom``: those that nobody has, wants or
    may want back soon. ``promise``: what the schedulers' limits may add up to, running jobs'
    requests included: the ``cores`` of ``decide.offers``. ``requeue``: whom, '' for none.
    """

    grants: dict[str, Grant]
    clawback: tuple[Clawback, ...]
    capacity: int
    headroom: int
    promise: int
    requeue: str


def shared_out(
    cores: int,
    claims: Sequence[Claim],
    lending: Lending = Lending(),
    *,
    offered: int = 0,
    keep: int = 0,
    idle: float = 0.0,
) -> Arbitration:
    """Share a host's cores out among its workers.

    Workers without a job count only for what they still hold beyond their floors.

    ``keep``: vCPUs that jobs may soon want back beyond their wishes (``Forecast.see``).
    ``offered``: CPUs that schedulers may fill at any moment: no growth beyond requests on these.
    ``idle``: cores that stayed idle within all grants lately (``Forecast.idle``).
    """
    capacity = int(room(float(cores), lending.overcommit, lending.tolerated_pct, idle))
    table = _table(claims)
    order = [float(at) for at in _by_start(claims)]
    borrow(float(cores), len(order), order, table[REQUEST], table[LENT])
    arbitrate(float(capacity), float(offered), lending.lent_part, len(claims), table)
    said = _Said(cores, capacity, claims, table)
    grants = {claim.worker: said.grant(at, claim) for at, claim in enumerate(claims)}
    headroom = max(0, capacity - _reserved(claims, grants, keep))
    requests = sum(claim.request for claim in claims)
    return Arbitration(
        grants=grants,
        clawback=tuple(_steps(claims, grants)),
        capacity=capacity,
        headroom=headroom,
        promise=requests + math.floor(headroom / lending.start_part),
        requeue=_youngest(claims, grants) if lending.requeue else "",
    )


def _table(claims: Sequence[Claim]) -> list[list[float]]:
    table = [[0.0] * len(claims) for _ in range(ROWS)]
    for at, claim in enumerate(claims):
        table[WEIGHT][at] = min(MOST_WEIGHT, max(LEAST_WEIGHT, claim.weight))
        table[HELD][at] = float(max(0, claim.held - claim.uncounted))
        if claim.request:
            table[FLOOR][at] = float(claim.floor)
            table[REQUEST][at] = float(min(claim.request, claim.ceiling))
            table[MOST][at] = float(min(claim.ceiling, claim.request + claim.burst))
            table[WISH][at] = float(min(claim.ceiling, claim.wish))
    return table


def _by_start(claims: Sequence[Claim]) -> list[int]:
    jobs = [at for at, claim in enumerate(claims) if claim.request]
    return sorted(jobs, key=lambda at: (claims[at].started_at, claims[at].worker))


def _reserved(claims: Sequence[Claim], grants: dict[str, Grant], keep: int) -> int:
    """Return what must not be lent: what is held, granted, wanted, or may be wanted back soon."""
    jobs = [claim for claim in claims if claim.request]
    wanted = [claim.due for claim in jobs]
    most = sum(max(claim.floor, min(claim.request, claim.ceiling)) for claim in jobs)
    taken = [max(claim.held, grants[claim.worker].target) for claim in jobs]
    now = sum(max(have, want) for have, want in zip(taken, wanted, strict=True))
    idle = sum(max(0, claim.held - claim.floor) for claim in claims if not claim.request)
    return idle + max(now, min(most, sum(wanted) + keep))


class _Said:
    """The words for each grant."""

    def __init__(
        self, cores: int, capacity: int, claims: Sequence[Claim], table: list[list[float]]
    ) -> None:
        self._cores, self._capacity, self._table = cores, capacity, table
        self._weights = sum(
            table[WEIGHT][at] for at, one in enumerate(claims) if one.request and one.due > 0
        )

    def grant(self, at: int, claim: Claim) -> Grant:
        """Return one worker's grant with its reason."""
        target = int(self._table[TARGET][at]) + claim.uncounted
        now = int(self._table[NOW][at]) + claim.uncounted
        lent = self._table[LENT][at] > 0
        words = self._why(at, claim, target, lent)
        if now < target:
            words += f"{'; ' if words else ''}{now} until others have given up theirs"
        return Grant(claim.worker, target, now, lent, words)

    def _why(self, at: int, claim: Claim, target: int, lent: bool) -> str:
        wanted = max(claim.floor, min(claim.wish, claim.ceiling))
        if target >= wanted or not claim.request:
            return ""
        if target >= claim.request > 0:
            return f"nobody's cores beyond its request of {claim.request} are left"
        weight = f"weight {self._table[WEIGHT][at]:g} of {self._weights:g}"
        share = f"{target} of {self._capacity} vCPUs' share, {weight}"
        if lent:
            return f"its request is {claim.request}, on lent cores that owners want back; {share}"
        return f"its request is {claim.request}; {share}"


def _steps(claims: Sequence[Claim], grants: dict[str, Grant]) -> Iterator[Clawback]:
    """Yield what is taken from whom against its wish: growth beyond requests, borrowers, others."""
    for claim in claims:
        to = max(claim.request, grants[claim.worker].target)
        if claim.request and to < min(claim.held, claim.wish):
            words = f"grown beyond its request of {claim.request}; others are entitled to these"
            yield Clawback(claim.worker, claim.held, to, words)
    for lent in (True, False):
        for claim in sorted(claims, key=attrgetter("started_at"), reverse=True):
            grant = grants[claim.worker]
            have = min(claim.held, max(claim.floor, claim.request))
            if grant.lent is lent and grant.target < min(have, claim.wish):
                yield Clawback(claim.worker, have, grant.target, grant.reason)


def _youngest(claims: Sequence[Claim], grants: dict[str, Grant]) -> str:
    """Return the worker of the youngest borrower that may be requeued while an owner is short."""
    short = any(
        claim.request and not grants[claim.worker].lent and grants[claim.worker].target < claim.due
        for claim in claims
    )
    able = [one for one in claims if grants[one.worker].lent and one.may_requeue]
    if not short or not able:
        return ""
    return max(able, key=lambda one: (one.started_at, one.worker)).worker
