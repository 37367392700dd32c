"""Figures have a denominator, add up over parts, and hold for jobs of any length."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import sample
from hotslot.model import CloseReason, JobPhase, ResultKind, Sample, Totals
from hotslot.record.batch import LeaseRow, RollUp
from hotslot.report.efficiency import Figures, Job, figures_of, jobs_of, summed
from report.reported import START, array_job, load_then_wait, part, some_jobs

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
