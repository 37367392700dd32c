"""Figures have a denominator, add up over parts, and hold for jobs of any length."""

from __future__ import annotations

from dataclasses import fields, replace
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import sample
from hotslot.model import CloseReason, EventResult, JobPhase, ResultKind, Sample, Totals
from hotslot.record.batch import LeaseRow, RollUp
from hotslot.record.reports import Summed
from hotslot.report.efficiency import (
    Attempts,
    Figures,
    Job,
    Suggestion,
    attempts,
    demand_of,
    figures_of,
    figures_of_sum,
    jobs_of,
    quantile,
    suggested,
    summed,
)
from report.reported import START, array_job, event, load_then_wait, part, some_jobs

amounts = st.floats(0, 1e9)
figures = st.builds(Figures, *[amounts] * 8)


def test_the_worked_example_of_the_model() -> None:
    life = [sample(START + 30, interval_s=30, granted=4, used=1.5)]
    life += [sample(START + 100, interval_s=70, granted=2, used=1.5)]
    found = figures_of(part(life=life))
    assert found.requested_core_s == 400
    assert found.held_core_s == 260
    assert found.used_core_s == 150
    assert found.returned_core_s == 140
    assert found.efficiency_of_request == 0.375
    assert found.efficiency_of_holding == pytest.approx(0.577, abs=0.001)


def test_what_is_borrowed_does_not_hide_what_was_returned() -> None:
    totals = Totals(life_s=100, requested_core_s=400, held_core_s=280, borrowed_core_s=20)
    found = figures_of(part(totals=totals))
    assert found.returned_core_s == 140
    assert found.returned_share == 0.35


def test_a_job_of_two_seconds_has_all_of_its_figures() -> None:
    life = [sample(START + 1, used=1.0), sample(START + 2, used=1.0)]
    found = figures_of(part(closed_at=START + 2, life=life))
    assert (found.requested_core_s, found.held_core_s, found.used_core_s) == (8, 8, 2)
    assert found.efficiency_of_request == found.efficiency_of_holding == 0.25


def test_without_a_denominator_there_is_no_efficiency() -> None:
    found = figures_of(part(closed_at=START))
    assert found.efficiency_of_request is None
    assert found.efficiency_of_holding is None
    assert found.returned_share is None
    assert summed([]).efficiency_of_request is None


@given(st.lists(figures, max_size=6))
def test_sums_are_right_in_any_order(parts: list[Figures]) -> None:
    assert summed(parts) == summed(reversed(parts))
    if parts:
        assert summed(parts).used_core_s == pytest.approx(sum(p.used_core_s for p in parts))
        assert summed(parts).peak_cores == max(p.peak_cores for p in parts)


@given(st.lists(figures, min_size=1, max_size=6))
def test_the_efficiency_of_a_sum_lies_between_those_of_its_parts(parts: list[Figures]) -> None:
    ratios = [r for p in parts if (r := p.efficiency_of_request) is not None]
    whole = summed(p for p in parts if p.efficiency_of_request is not None)
    if ratios and whole.efficiency_of_request is not None:
        assert min(ratios) <= whole.efficiency_of_request * (1 + 1e-9)
        assert whole.efficiency_of_request <= max(ratios) * (1 + 1e-9)


@given(st.lists(st.tuples(st.floats(0.1, 100), st.integers(0, 8), st.floats(0, 1)), max_size=20))
def test_returned_less_borrowed_is_requested_less_held(
    life: list[tuple[float, int, float]],
) -> None:
    samples = [
        Sample(START + i, seconds, granted, granted, granted * busy, 0.0)
        for i, (seconds, granted, busy) in enumerate(life)
    ]
    returned = sum(max(0, 4 - s.granted_vcpus) * s.interval_s for s in samples)
    found = figures_of(part(life=samples))
    assert found.returned_core_s == pytest.approx(returned, abs=1e-6)


def test_an_array_is_one_job_with_parts() -> None:
    rows = array_job().job.parts
    (job,) = jobs_of(rows)
    assert job.id == "100"
    assert job.figures.used_core_s == pytest.approx(3 * figures_of(rows[0]).used_core_s)
    assert job.requested_vcpus == 12
    assert job.state == "2 COMPLETED, 1 FAILED"


def test_one_task_of_an_array_has_its_own_name() -> None:
    (row, *_) = array_job().job.parts
    assert Job((row,)).id == "100_1"


def test_the_parts_of_a_heterogeneous_job_are_one_job() -> None:
    rows = [part("70", het_job_id="70"), part("71", lease_id=2, het_job_id="70")]
    assert [job.id for job in jobs_of(rows)] == ["70"]


def test_a_requeued_job_counts_all_it_cost_and_asks_once() -> None:
    first = part(reason=CloseReason.REQUEUED, outcome="", life=load_then_wait())
    again = part(lease_id=2, run=1, opened_at=START + 200, closed_at=START + 300)
    again = replace(again, lease=replace(again.lease, totals=first.lease.totals))
    (job,) = jobs_of([again, first])
    assert job.parts == (first, again)
    assert job.requested_vcpus == 4
    assert job.figures.requested_core_s == 800
    assert job.state == "COMPLETED"
    assert (job.opened_at, job.closed_at) == (START, START + 300)


def test_jobs_of_two_schedulers_are_never_one() -> None:
    rows = [part(), part(lease_id=2, scheduler="condor")]
    assert len(jobs_of(rows)) == 2


@pytest.mark.parametrize(
    ("phases", "state"),
    [
        ([JobPhase.RUNNING], "running"),
        ([JobPhase.SUSPENDED], "suspended"),
        ([JobPhase.SUSPENDED, JobPhase.RUNNING], "running"),
    ],
)
def test_an_open_job_is_in_its_phase(phases: list[JobPhase], state: str) -> None:
    rows = tuple(part(lease_id=i, closed_at=None, phase=p) for i, p in enumerate(phases))
    assert Job(rows).state == state
    assert Job(rows).closed_at is None


def test_a_job_without_an_outcome_says_why_its_lease_was_closed() -> None:
    assert Job((part(outcome="", reason=CloseReason.LOST),)).state == "lost"


def test_events_are_counted_over_all_parts() -> None:
    rows: tuple[LeaseRow, ...] = tuple(part(roll_up=RollUp(applied=2, failed=1)) for _ in "ab")
    job = Job(rows)
    assert (job.count(ResultKind.APPLIED), job.count(ResultKind.FAILED)) == (4, 2)


def test_jobs_keep_the_order_in_which_they_came() -> None:
    rows = [row for job in some_jobs() for row in job.parts]
    assert [job.id for job in jobs_of(rows)] == [job.id for job in some_jobs()]


def test_a_job_waited_from_its_submission_to_its_first_start() -> None:
    asked = {"submitted_at": START - 60, "started_at": START}
    first = part(reason=CloseReason.REQUEUED, **asked)
    again = part(lease_id=2, run=1, opened_at=START + 900, **asked | {"started_at": START + 900})
    assert Job((first, again)).wait_s == 60
    assert Job((part(submitted_at=START - 5),)).wait_s == 5
    assert Job((part(),)).wait_s is None


def test_attempts_are_counted_and_timed_by_how_they_ended() -> None:
    told = [event(n, (4, 2)) for n in (1.0, 2.0)]
    told.append(replace(event(3.0, (4, 2), result=EventResult.TIMED_OUT), took_s=15.0))
    found = attempts(reversed(told))
    assert found == {
        EventResult.APPLIED: Attempts(2, 1.0),
        EventResult.TIMED_OUT: Attempts(1, 15.0),
    }
    assert list(found) == [EventResult.APPLIED, EventResult.TIMED_OUT]


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([4, 1, 3, 2], 0.5) == 2
    assert quantile([4, 1, 3, 2], 0.95) == 4
    assert quantile([7], 0.0) == 7
    assert quantile([], 0.5) is None


def test_demand_is_weighed_by_time() -> None:
    life = [sample(START + 90, interval_s=90, used=1.0), sample(START + 100, interval_s=10, used=4)]
    assert demand_of(life, 0.9) == 1
    assert demand_of(life, 0.95) == 4
    assert demand_of([], 0.9) is None


def run(lease_id: int, peak: float, *, cpus: int = 8, life_s: float = 3600) -> LeaseRow:
    totals = Totals(life_s, cpus * life_s, cpus * life_s, peak * life_s / 2, peak_cores=peak)
    return part(str(lease_id), lease_id=lease_id, totals=totals, cpus=cpus)


def test_the_worked_example_of_a_suggestion() -> None:
    found = suggested([run(1, 1.2), run(2, 2.9), run(3, 3.1)], "the last 3 jobs")
    assert found == Suggestion(4, "the last 3 jobs", 3, 0.95, 0.15, 3.1, 3 * 4 * 3600, 0)


def test_a_run_that_used_all_it_asked_for_is_not_told_to_ask_for_less_or_more() -> None:
    found = suggested([run(1, 7.8)], "this job")
    assert found is not None
    assert (found.vcpus, found.saved_core_s) == (8, 0)


def test_a_suggestion_goes_above_the_request_only_for_what_was_used_above_it() -> None:
    found = suggested([run(1, 9.5)], "this job")
    assert found is not None
    assert (found.vcpus, found.short_runs) == (10, 0)


def test_better_knowledge_of_a_run_counts_and_short_runs_are_told() -> None:
    found = suggested([run(1, 6.0)], "this job", needs={1: 1.5})
    assert found is not None
    assert (found.vcpus, found.need_cores, found.short_runs) == (2, 1.5, 1)


def test_nothing_is_suggested_for_jobs_that_never_ran() -> None:
    assert suggested([], "this job") is None
    assert suggested([run(1, 0.0, life_s=0)], "this job") is None


@given(st.lists(st.tuples(st.floats(0, 64), st.integers(1, 64)), min_size=1, max_size=20))
def test_a_suggestion_is_between_one_and_the_most_that_was_asked_or_used(
    runs: list[tuple[float, int]],
) -> None:
    rows = [run(n, peak, cpus=cpus) for n, (peak, cpus) in enumerate(runs)]
    found = suggested(rows, "these")
    assert found is not None
    assert 1 <= found.vcpus <= max(max(cpus, ceil(peak)) for peak, cpus in runs)
    asked = sum(row.lease.totals.requested_core_s for row in rows)
    assert 0 <= found.saved_core_s <= asked


def test_sums_of_roll_ups_have_the_same_figures() -> None:
    names = [one.name for one in fields(Summed)]
    sums = Summed(**{name: "alice" if name == "key" else 1 for name in names})  # type: ignore[arg-type]
    found = figures_of_sum(replace(sums, requested_core_s=4, held_core_s=2, used_core_s=1))
    assert (found.efficiency_of_request, found.efficiency_of_holding) == (0.25, 0.5)
