"""What one user is told about their jobs, in plain words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import fsum

from hotslot.record.reports import Summed
from hotslot.report.advice import MEMORY, Advice, Verdict, saying
from hotslot.report.efficiency import Figures, Job, figures_of_sum
from hotslot.report.period import Period
from hotslot.report.sheet import Sheet
from hotslot.report.sheets import added, jobs_sheet
from hotslot.report.words import core_hours, duration, many, percent, short

MOST_SUGGESTIONS = 3
LONG_WAIT_S = 3600.0
LIMITED = 0.01
"""From this share of their time at a limit on, jobs are said to have been limited."""


@dataclass(frozen=True, slots=True)
class UserSummary:
    """``sums`` are those of all jobs that ended in the period, ``jobs`` the largest that ran."""

    user: str
    period: Period
    sums: Summed
    jobs: Sequence[Job]
    advice: Sequence[Advice]

    @property
    def figures(self) -> Figures:
        """The figures of all jobs that ended."""
        return figures_of_sum(self.sums)


def summary(
    user: str,
    period: Period,
    sums: Sequence[Summed],
    jobs: Sequence[Job],
    advice: Sequence[Advice],
) -> UserSummary:
    """Put together what a user is told."""
    return UserSummary(user, period, added(sums), jobs, advice)


def lines(told: UserSummary) -> list[str]:
    """Return what was asked for, held, used and given back, as sentences."""
    figures, sums = told.figures, told.sums
    if not sums.leases:
        return [f"No jobs ended {told.period.days}."]
    said = [
        f"{many(sums.jobs, 'job')} ended {told.period.days}.",
        f"Asked for {core_hours(figures.requested_core_s)} core-hours, held "
        f"{core_hours(figures.held_core_s)}, used {core_hours(figures.used_core_s)}: "
        f"{percent(figures.efficiency_of_request)} of what was asked for, "
        f"{percent(figures.efficiency_of_holding)} of what was held.",
    ]
    if figures.returned_core_s:
        share = percent(figures.returned_share)
        said.append(
            f"{core_hours(figures.returned_core_s)} core-hours ({share} of what was asked for) "
            "went back to others while the jobs ran. Thank you."
        )
    return said


def suggestions(told: UserSummary) -> list[str]:
    """Return what to change, at most MOST_SUGGESTIONS, what saves most first."""
    return list(_all(told))[:MOST_SUGGESTIONS]


def _all(told: UserSummary) -> Iterator[str]:
    ranked = sorted(told.advice, key=lambda one: -one.saved_core_s)
    for one in ranked[:2]:
        if one.verdict is Verdict.LESS:
            yield saying(replace(one, name=short(one.name, 40)))
    sums, figures = told.sums, told.figures
    if sums.timed_out:
        yield (
            f"{many(sums.timed_out, 'run')} of {sums.leases} came to the time limit: ask for more "
            "time (-t), or save the state of the work now and then."
        )
    if sums.failed:
        lost = fsum(job.figures.used_core_s for job in told.jobs if job.state.startswith("FAILED"))
        cost = f" The largest of them used {core_hours(lost)} core-hours." if lost else ""
        yield f"{many(sums.failed, 'run')} of {sums.leases} failed: try a short one first.{cost}"
    if figures.saturated_s > LIMITED * figures.life_s:
        yield (
            f"Jobs were at their limit, below their request, for {duration(figures.saturated_s)} "
            f"of {duration(figures.life_s)}: keep these requests, and tell your administrator."
        )
    for one in ranked[2:]:
        if one.verdict is Verdict.LESS:
            yield saying(replace(one, name=short(one.name, 40)))
    if sums.waits and sums.wait_s / sums.waits > LONG_WAIT_S:
        yield (
            f"Jobs waited {duration(sums.wait_s / sums.waits)} on average to start: those that ask "
            "for fewer CPUs or less time fit into gaps sooner."
        )
    for one in ranked:
        if one.verdict is not Verdict.LESS:
            yield saying(replace(one, name=short(one.name, 40)))


def user_sheet(told: UserSummary, now: float) -> Sheet:
    """Return the largest jobs, and in the notes the sums and what to change."""
    sheet = jobs_sheet(told.jobs, told.period, now, len(told.jobs) + 1)
    notes = ("", *lines(told), "", *(f"- {one}" for one in suggestions(told)), "", MEMORY)
    largest = f"the largest {many(len(told.jobs), 'job')}" if told.jobs else "no jobs"
    title = f"{told.user}: {largest} between {told.period.words.replace(' to ', ' and ')}"
    return replace(sheet, report="user", title=title, notes=notes)
