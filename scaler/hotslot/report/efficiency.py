"""The figures of a lease and of a job. Pure: sums and quotients, no clock, no I/O.

All sums are core-seconds over the whole life of a lease; a core-hour is 3600 of them. The
figures of a job are the sums over its leases, and its efficiencies are quotients of these sums:
never means of quotients, which is how a job on many nodes comes to 1228 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, fsum
from types import MappingProxyType

from hotslot.model import Event, EventResult, JobPhase, Lease, Placement, ResultKind, Sample
from hotslot.record.batch import LeaseRow
from hotslot.record.reports import Summed

CORE_HOUR_S = 3600.0

QUANTILE, MARGIN = 0.95, 0.15
"""A suggestion is enough for this share of the runs, and leaves this part of it to spare."""

NOTHING_KNOWN: Mapping[int, float] = MappingProxyType({})


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
    def wait_s(self) -> float | None:
        """How long it waited for its first start, as the scheduler says; None when it does not.

        Worked: submitted at 100, started at 160 (opened at 158): 60 s. Without a start of the
        scheduler's, until the lease was opened: 58 s.
        """
        first = self.first
        if first.submitted_at is None:
            return None
        return max(0.0, (first.started_at or self.opened_at) - first.submitted_at)

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


@dataclass(frozen=True, slots=True)
class Attempts:
    """How many attempts ended in one way, and how long they took together."""

    count: int
    took_s: float


def attempts(events: Iterable[Event]) -> dict[EventResult, Attempts]:
    """Return number and time of attempts by how they ended, in the order of EventResult.

    Worked: two applied in 0.5 and 1.5 s, one timed out after 15 s: applied 2 in 2 s, timed out
    1 in 15 s. Ways in which none ended are left out.
    """
    took: dict[EventResult, list[float]] = {}
    for event in events:
        took.setdefault(event.result, []).append(event.took_s)
    return {one: Attempts(len(took[one]), fsum(took[one])) for one in EventResult if one in took}


def quantile(values: Iterable[float], share: float) -> float | None:
    """Return the smallest value that at least this share of them does not exceed; None of none.

    Worked: of 1, 2, 3, 4 the 0.5 quantile is 2, the 0.95 quantile 4.
    """
    ranked = sorted(values)
    return ranked[max(0, ceil(share * len(ranked) - 1e-9) - 1)] if ranked else None


def demand_of(samples: Iterable[Sample], share: float) -> float | None:
    """Return the cores that were enough for this share of a run's time; None without samples.

    Worked: 1 core for 90 s, 4 for 10 s: 1 was enough for 0.9 of the time, 4 for 0.95.
    """
    ranked = sorted((one.wanted_cores, one.interval_s) for one in samples)
    left = share * fsum(seconds for _, seconds in ranked) - 1e-9
    for cores, seconds in ranked:
        left -= seconds
        if left <= 0:
            return cores
    return ranked[-1][0] if ranked else None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to ask for next time, on each worker, and why.

    ``basis`` says whose runs were looked at, ``runs`` how many. ``vcpus`` is enough for
    ``need_cores``, which ``quantile`` of these runs did not exceed, and ``margin`` to spare.
    ``saved_core_s`` is what these runs would have asked for less in all, ``short_runs`` how many
    of them needed more than ``vcpus`` at some time.
    """

    vcpus: int
    basis: str
    runs: int
    quantile: float
    margin: float
    need_cores: float
    saved_core_s: float
    short_runs: int


def suggested(
    runs: Sequence[LeaseRow],
    basis: str,
    *,
    share: float = QUANTILE,
    margin: float = MARGIN,
    needs: Mapping[int, float] = NOTHING_KNOWN,
) -> Suggestion | None:
    """Return what would do for runs like these; None when none of them ran.

    A run needs what its busiest interval used, unless ``needs`` knows better, by lease (see
    ``demand_of``). Where that comes to all that it asked for, no less is suggested, since what it
    would have done with more is not known; and more only if it used more.
    Worked: three runs of an hour with 8 CPUs needed 1.2, 2.9 and 3.1 cores. The 0.95 quantile is
    3.1, with 15 % to spare 3.57, so 4 CPUs: saved 3 x 4 x 3600 core-seconds, none short.
    """
    ran = [run.lease for run in runs if run.lease.totals.life_s > 0]
    need = quantile((needs.get(run.id, run.totals.peak_cores) for run in ran), share)
    if need is None:
        return None
    most = max(max(run.request, ceil(run.totals.peak_cores)) for run in ran)
    vcpus = min(max(1, ceil(need * (1 + margin) - 1e-9)), most)
    return Suggestion(
        vcpus=vcpus,
        basis=basis,
        runs=len(ran),
        quantile=share,
        margin=margin,
        need_cores=need,
        saved_core_s=fsum(max(0, run.request - vcpus) * run.totals.life_s for run in ran),
        short_runs=sum(run.totals.peak_cores > vcpus for run in ran),
    )


def figures_of_sum(one: Summed) -> Figures:
    """Return the figures of roll-ups; sums know no peak, which is 0."""
    return Figures(
        life_s=one.life_s,
        requested_core_s=one.requested_core_s,
        held_core_s=one.held_core_s,
        used_core_s=one.used_core_s,
        waited_core_s=one.waited_core_s,
        borrowed_core_s=one.borrowed_core_s,
        saturated_s=one.saturated_s,
        peak_cores=0.0,
    )


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
    """Return ``123_4`` for an array task, else the job's id.

    The id ``12.3@schedd`` says by itself which part of its cluster it is.
    """
    if placement.array_job_id and placement.array_task_id and "@" not in placement.job_id:
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
