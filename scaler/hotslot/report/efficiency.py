"""The figures of a lease and of a job. Pure: sums and quotients, no clock, no I/O.

All sums are core-seconds over the whole life of a lease; a core-hour is 3600 of them. The
figures of a job are the sums over its leases, and its efficiencies are quotients of these sums:
never means of quotients, which is how a job on many nodes comes to 1228 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum

from hotslot.model import JobPhase, Lease, Placement, ResultKind
from hotslot.record.batch import LeaseRow

CORE_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What was asked for, held, used and given back.

    ``borrowed`` is what was held above the request, ``waited`` was ready to run without a host
    core, ``saturated_s`` is time at the limit while held below the request. ``life_s`` counts
    every lease: two workers for 10 s are 20 s. ``peak_cores`` is the busiest interval of any
    one worker.
    """

    life_s: float
    requested_core_s: float
    held_core_s: float
    used_core_s: float
    waited_core_s: float
    borrowed_core_s: float
    saturated_s: float
    peak_cores: float

    @property
    def returned_core_s(self) -> float:
        """What was asked for and not held: requested - held, where held was below.

        Worked: request 4 for 100 s, held 6 for 10 s, 4 for 20 s, 2 for 70 s. Requested 400,
        held 280, borrowed 20: returned 400 - 280 + 20 = 140, the 2 x 70 below the request.
        """
        return max(0.0, self.requested_core_s - self.held_core_s + self.borrowed_core_s)

    @property
    def efficiency_of_request(self) -> float | None:
        """Used / requested, what seff shows; None when nothing was requested.

        Worked: 4 CPUs for 100 s, busy 1.5 cores throughout: 150 / 400 = 0.375.
        """
        return _ratio(self.used_core_s, self.requested_core_s)

    @property
    def efficiency_of_holding(self) -> float | None:
        """Used / held, against the allocation as it changed; None when nothing was held.

        Worked: the same job, held at 4 for 30 s and at 2 for 70 s: 150 / 260 = 0.577.
        """
        return _ratio(self.used_core_s, self.held_core_s)

    @property
    def returned_share(self) -> float | None:
        """Returned / requested; worked: 140 / 400 = 0.35."""
        return _ratio(self.returned_core_s, self.requested_core_s)


@dataclass(frozen=True, slots=True)
class Job:
    """The leases of one job, oldest first; never empty.

    Several workers, array tasks, parts of a heterogeneous job and the runs of a requeued job are
    all parts of one job.
    """

    parts: tuple[LeaseRow, ...]

    @property
    def first(self) -> Placement:
        """What the scheduler says of the oldest part; user, account and so on are the same."""
        return self.parts[0].lease.placement

    @property
    def id(self) -> str:
        """What a user calls the job: ``12``, ``123_4`` for one array task, ``123`` for more."""
        if len({part.lease.placement.job_id for part in self.parts}) > 1:
            return family(self.first)
        return task_id(self.first)

    @property
    def figures(self) -> Figures:
        """The sums over all parts."""
        return summed(figures_of(part) for part in self.parts)

    @property
    def is_open(self) -> bool:
        """Whether a part of it runs."""
        return any(part.lease.closed_at is None for part in self.parts)

    @property
    def opened_at(self) -> float:
        """When its first lease began."""
        return min(part.lease.opened_at for part in self.parts)

    @property
    def closed_at(self) -> float | None:
        """When its last lease ended; None while one is open."""
        ends = [part.lease.closed_at for part in self.parts]
        return None if self.is_open else max(end for end in ends if end is not None)

    @property
    def last_runs(self) -> tuple[LeaseRow, ...]:
        """The parts without the runs that a requeue ended."""
        last: dict[str, int] = {}
        for part in self.parts:
            placement = part.lease.placement
            last[placement.job_id] = max(placement.run, last.get(placement.job_id, 0))
        return tuple(
            part
            for part in self.parts
            if part.lease.placement.run == last[part.lease.placement.job_id]
        )

    @property
    def requested_vcpus(self) -> int:
        """VCPUs that its last runs asked for, together."""
        return sum(part.lease.request for part in self.last_runs)

    @property
    def state(self) -> str:
        """``running`` and so on; ended, the scheduler's word, or how many ended with which."""
        phases = {part.lease.placement.phase for part in self.parts if part.lease.closed_at is None}
        if phases:
            return next(iter(phases)).value if len(phases) == 1 else JobPhase.RUNNING.value
        outcomes = Counter(outcome_of(part.lease) for part in self.last_runs)
        if len(outcomes) == 1:
            return next(iter(outcomes))
        return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())

    def count(self, kind: ResultKind) -> int:
        """Return the number of events that ended so."""
        return sum(part.roll_up.count(kind) for part in self.parts)


def figures_of(part: LeaseRow) -> Figures:
    """Return the figures of one lease; of an open one, those until now.

    Worked: a 2-second job with 4 CPUs that held 4 throughout and used 1 core: requested 8,
    held 8, used 2 core-seconds, efficiency 0.25 of both.
    """
    totals = part.lease.totals
    return Figures(
        life_s=totals.life_s,
        requested_core_s=totals.requested_core_s,
        held_core_s=totals.held_core_s,
        used_core_s=totals.used_core_s,
        waited_core_s=totals.waited_core_s,
        borrowed_core_s=totals.borrowed_core_s,
        saturated_s=totals.saturated_s,
        peak_cores=totals.peak_cores,
    )


def summed(parts: Iterable[Figures]) -> Figures:
    """Return the sums; peaks do not add up, so the highest one.

    Worked: one worker used 10 of 40 requested core-seconds, another 30 of 40: together 40 of
    80, efficiency 0.5.
    """
    all_parts = list(parts)
    return Figures(
        life_s=fsum(one.life_s for one in all_parts),
        requested_core_s=fsum(one.requested_core_s for one in all_parts),
        held_core_s=fsum(one.held_core_s for one in all_parts),
        used_core_s=fsum(one.used_core_s for one in all_parts),
        waited_core_s=fsum(one.waited_core_s for one in all_parts),
        borrowed_core_s=fsum(one.borrowed_core_s for one in all_parts),
        saturated_s=fsum(one.saturated_s for one in all_parts),
        peak_cores=max((one.peak_cores for one in all_parts), default=0.0),
    )


def jobs_of(rows: Sequence[LeaseRow]) -> list[Job]:
    """Put leases together into jobs, in the order in which each job first comes up."""
    found: dict[tuple[str, str], list[LeaseRow]] = {}
    for row in rows:
        placement = row.lease.placement
        found.setdefault((placement.scheduler, family(placement)), []).append(row)
    return [Job(tuple(sorted(parts, key=_age))) for parts in found.values()]


def family(placement: Placement) -> str:
    """Return the id that the parts of an array or heterogeneous job share."""
    return placement.array_job_id or placement.het_job_id or placement.job_id


def task_id(placement: Placement) -> str:
    """Return ``123_4`` for an array task, else the job's id."""
    if placement.array_job_id and placement.array_task_id:
        return f"{placement.array_job_id}_{placement.array_task_id}"
    return placement.job_id


def outcome_of(lease: Lease) -> str:
    """Return how a lease ended, in the scheduler's word if it has one; '' while it is open."""
    if lease.close_reason is None:
        return ""
    return lease.placement.outcome or lease.close_reason.value


def _age(part: LeaseRow) -> tuple[float, int]:
    return (part.lease.opened_at, part.lease.id)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
