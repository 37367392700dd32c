"""Reads what a report needs from the record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hotslot.record.batch import LeaseRow
from hotslot.record.history import History
from hotslot.record.reports import By, Owned, Sort, Summed
from hotslot.report.advice import Advice, Verdict, advice, busiest_minute
from hotslot.report.by_state import summed_by_state
from hotslot.report.efficiency import Job, jobs_of
from hotslot.report.job import JobDetail, PartDetail
from hotslot.report.period import Period

MOST_LOOKED_AT = 50
"""Names whose samples are read for advice: those that could save most."""

MOST_PARTS = 4
"""Of a job of more parts, only so many have a timeline."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which jobs a report is about; '' leaves a name open."""

    period: Period
    user: str | None = None
    account: str | None = None
    partition: str | None = None
    state: str | None = None

    @property
    def owned(self) -> Owned:
        """Whose jobs, for sums."""
        return Owned(self.user, self.account, self.partition)


def jobs(
    history: History, asked: Asked, sort: Sort, limit: int, *, lowest_first: bool = False
) -> list[Job]:
    """Return the first ``limit`` jobs that ran within the period, by rank."""
    found = history.jobs(
        since=asked.period.since,
        until=asked.period.until,
        user=asked.user,
        account=asked.account,
        partition=asked.partition,
        state=asked.state,
        sort=sort,
        lowest_first=lowest_first,
        limit=limit,
    )
    return jobs_of(found)


def sums(history: History, asked: Asked, by: By) -> list[Summed]:
    """Return the sums over the jobs that ended on the days of the period."""
    period = asked.period
    if asked.state is not None:
        return summed_by_state(history, by, period, asked.owned, asked.state)
    return history.summed(by, period.since, period.until, asked.owned)


def is_known(history: History, owned: Owned) -> bool:
    """Whether the record has any job of these names, ended or not."""
    if history.summed("cluster", owned=owned):
        return True
    return any(
        owned.user in (None, one.user)
        and owned.account in (None, one.account)
        and owned.partition in (None, one.partition)
        for one in (lease.placement for lease in history.open_leases())
    )


def detail(history: History, job: Job) -> JobDetail:
    """Return a job's parts with their events and samples: of many, those that idled most."""
    ranked = sorted(job.parts, key=_idle, reverse=True)[:MOST_PARTS]
    return JobDetail(
        tuple(
            PartDetail(row, history.events(row.lease.id), history.samples(row.lease.id))
            for row in job.parts
            if row in ranked
        )
    )


def _idle(row: LeaseRow) -> float:
    return row.lease.totals.held_core_s - row.lease.totals.used_core_s


def all_advice(
    history: History, user: str | None, name: str | None, last: int, limit: int
) -> list[Advice]:
    """Return advice for each name of a user's jobs, or of everybody's.

    First from the busiest seconds, which every lease has; then, where most could be saved, from
    the busiest minutes, for which samples are read.
    """
    names = [one for one in history.names(user) if name in (None, one[1])]
    first = [one for one in (_advice(history, *both, last) for both in names) if one]
    first.sort(key=lambda one: (one.verdict is not Verdict.LESS, -one.saved_core_s))
    looked = max(limit, MOST_LOOKED_AT)
    again = (_advice(history, one.user, one.name, last, minutes=True) for one in first[:looked])
    return [*(one for one in again if one), *first[looked:]]


def _advice(
    history: History, user: str, name: str, last: int, *, minutes: bool = False
) -> Advice | None:
    runs = history.alike(user, name, last)
    needs: Iterable[tuple[int, float | None]] = (
        ((run.lease.id, busiest_minute(history.samples(run.lease.id))) for run in runs)
        if minutes
        else ()
    )
    return advice(user, name, runs, {lease: need for lease, need in needs if need is not None})
