"""A host's account of its vCPUs at one moment: who asked for, has, gave back and lent what; pure.

Owners and borrowers are those of docs/arbiter.md. What is granted adds up to what owners,
borrowers, growth and idle workers have; what may be granted, to what is taken, kept and free.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any, Self

from hotslot.decide.offers import first_come_first
from hotslot.model import Waiting


@dataclass(frozen=True, slots=True)
class Holding:
    """One worker: what it has and what its job is entitled to, in vCPUs.

    ``request``: as far as the worker was built for it, 0 without a job. ``lent``: its job borrows.
    ``started_at`` orders jobs, oldest first.
    """

    worker: str
    floor: int
    granted: int
    job: str = ""
    request: int = 0
    lent: bool = False
    started_at: float = 0.0
    used_cores: float = 0.0

    @property
    def within(self) -> int:
        """What its job has of its request."""
        return min(self.granted, self.request)

    @property
    def grown(self) -> int:
        """What its job has beyond its request."""
        return self.granted - self.within if self.request else 0

    @property
    def rest(self) -> int:
        """What its job does not have of its request."""
        return self.request - self.within

    @property
    def idle(self) -> int:
        """What it has without a job."""
        return 0 if self.request else self.granted

    @property
    def counted(self) -> int:
        """What it takes of the host: an idle worker's floor runs nothing."""
        return self.granted if self.request else max(0, self.granted - self.floor)


@dataclass(frozen=True, slots=True)
class Loan:
    """What a borrower runs on that others own: ``vcpus`` of what ``lenders`` (workers whose jobs
    have less than their requests) gave back, all of them together: cores have no names."""

    worker: str
    job: str
    vcpus: int
    lenders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offered:
    """CPUs that a scheduler may still fill in one of its groups."""

    scheduler: str
    group: str
    cpus: int


@dataclass(frozen=True, slots=True)
class Foretold:
    """What the forecast keeps, and how good it was.

    ``kept_vcpus``: jobs may want them back within ``horizon_s``. In ``exceeded_spans`` of ``spans``
    horizons that are over they took back more than was kept; ``risk`` is the part that is meant.
    """

    kept_vcpus: int = 0
    horizon_s: float = 60.0
    risk: float = 0.1
    spans: int = 0
    exceeded_spans: int = 0


@dataclass(frozen=True, slots=True)
class HostAccount:
    """One host's vCPUs at one moment.

    - ``granted_vcpus`` = owners + borrowers + grown + idle: what jobs that own their requests have
      of them, what jobs that borrow have of theirs, what any has beyond, what workers without a
      job have.
    - ``requested_vcpus`` = owners + returned + borrowers + unfilled: returned is what owners do not
      have of their requests, unfilled what borrowers do not have of theirs.
    - ``capacity_vcpus`` + ``over_vcpus`` = taken + reserved + headroom. Taken is all that is
      granted but idle workers' floors, which run nothing. Reserved is free, and wanted or kept;
      headroom can be lent. Over: floors, or what is still being unplugged.
    - ``lent_vcpus`` is the sum of ``loans``: never more than borrowers have, or owners returned.
    - ``offered_cpus`` is the sum of ``offers``.

    Worked: 12 cores. A asked for 8 and has 2, S has its 4, C (4) borrows and has 3, an idle worker
    has its floor of 1; the arbiter sees a headroom of 1. Requested 16, granted 10 = 6 + 3 + 0 + 1,
    returned 6, unfilled 1; taken 9, reserved 2; lent 3, to C by A.
    """

    cores: int
    capacity_vcpus: int
    requested_vcpus: int
    granted_vcpus: int
    owners_vcpus: int
    borrowers_vcpus: int
    grown_vcpus: int
    idle_vcpus: int
    returned_vcpus: int
    unfilled_vcpus: int
    taken_vcpus: int
    reserved_vcpus: int
    headroom_vcpus: int
    over_vcpus: int
    used_cores: float
    lent_vcpus: int
    offered_cpus: int
    lending: bool = False
    forecast: Foretold = Foretold()
    loans: tuple[Loan, ...] = ()
    offers: tuple[Offered, ...] = ()

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """Read an account as JSON has it; keys that this version does not know are left aside.

        Raises KeyError, TypeError, AttributeError or ValueError when it is not one.
        """
        loans = [_known(Loan, one) for one in told.get("loans", ())]
        parts: dict[str, Any] = {
            "forecast": Foretold(**_known(Foretold, told.get("forecast", {}))),
            "loans": tuple(replace(Loan(**one), lenders=tuple(one["lenders"])) for one in loans),
            "offers": tuple(Offered(**_known(Offered, one)) for one in told.get("offers", ())),
        }
        return cls(**_known(cls, told) | parts)


def account(
    cores: int,
    holdings: Sequence[Holding],
    *,
    capacity: int,
    headroom: int,
    lending: bool = False,
    forecast: Foretold = Foretold(),
    offers: Sequence[Offered] = (),
) -> HostAccount:
    """Return a host's account. ``capacity`` and ``headroom`` are the arbiter's, of its last look;
    of the headroom no more is told than is free now."""
    owners = [one for one in holdings if not one.lent]
    borrowers = [one for one in holdings if one.lent]
    taken = sum(one.counted for one in holdings)
    free = max(0, capacity - taken)
    lendable = max(0, min(headroom, free))
    loans = tuple(_loans(capacity, owners, borrowers))
    return HostAccount(
        cores=cores,
        capacity_vcpus=capacity,
        requested_vcpus=sum(one.request for one in holdings),
        granted_vcpus=sum(one.granted for one in holdings),
        owners_vcpus=sum(one.within for one in owners),
        borrowers_vcpus=sum(one.within for one in borrowers),
        grown_vcpus=sum(one.grown for one in holdings),
        idle_vcpus=sum(one.idle for one in holdings),
        returned_vcpus=sum(one.rest for one in owners),
        unfilled_vcpus=sum(one.rest for one in borrowers),
        taken_vcpus=taken,
        reserved_vcpus=free - lendable,
        headroom_vcpus=lendable,
        over_vcpus=max(0, taken - capacity),
        used_cores=sum(one.used_cores for one in holdings),
        lent_vcpus=sum(loan.vcpus for loan in loans),
        offered_cpus=sum(one.cpus for one in offers),
        lending=lending,
        forecast=forecast,
        loans=loans,
        offers=tuple(offers),
    )


def _loans(
    capacity: int, owners: Sequence[Holding], borrowers: Sequence[Holding]
) -> Iterable[Loan]:
    """Yield who runs on what others own: cores that nobody owns go to the oldest borrowers.

    Worked: 8 vCPUs, owners asked for 6 and have 3; two borrowers have 3 and 2: 2 are nobody's, so
    1 is lent to the older and 2 to the younger one.
    """
    unowned = max(0, capacity - sum(one.request for one in owners))
    returned = sum(one.rest for one in owners)
    lenders = tuple(one.worker for one in owners if one.rest)
    for one in sorted(borrowers, key=attrgetter("started_at", "worker")):
        alone = min(one.within, unowned)
        vcpus = min(one.within - alone, returned)
        unowned, returned = unowned - alone, returned - vcpus
        if vcpus:
            yield Loan(one.worker, one.job, vcpus, lenders)


@dataclass(frozen=True, slots=True)
class Queued:
    """A job that waits: ``cpus`` on each of ``workers`` workers, since ``since_at``.

    ``missing_cpus`` and ``missing_workers``: what it lacks if those before it start first. Both 0:
    it can start as soon as its scheduler has been told and has looked.
    """

    scheduler: str
    job: str
    cpus: int
    workers: int
    since_at: float
    missing_cpus: int = 0
    missing_workers: int = 0


def queue(
    free_cpus: int,
    waiting: Mapping[str, Iterable[Waiting]],
    room: Mapping[str, Iterable[int]],
) -> list[Queued]:
    """Return who waits, first come first, each scheduler's jobs in its own order, and for what.

    ``free_cpus`` may be promised to jobs that start; ``room`` are the ceilings of each scheduler's
    workers that could take one. Worked: 3 free; jobs of 2 and of 2 wait: the first lacks nothing,
    the second 1 CPU.
    """
    left = {name: sorted(ceilings) for name, ceilings in room.items()}
    found: list[Queued] = []
    for name, job in first_come_first(waiting):
        takers = [ceiling for ceiling in left.get(name, ()) if ceiling >= job.cpus][: job.workers]
        for ceiling in takers:
            left[name].remove(ceiling)
        free_cpus -= job.cpus * job.workers
        lacking = max(0, -free_cpus), job.workers - len(takers)
        found.append(Queued(name, job.job_id, job.cpus, job.workers, job.since, *lacking))
    return found


def _known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {one.name: values[one.name] for one in fields(kind) if one.name in values}
