"""Totals and the ledger add up."""

from __future__ import annotations

from dataclasses import asdict
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import sample
from hotslot.model import Sample, Totals
from hotslot.record.totals import ledger_minutes, plus, totals_of
from record.recorded import lives


@given(lives(), st.integers(1, 8))
def test_totals_of_all_samples_are_the_running_totals(life: list[Sample], request_: int) -> None:
    running = Totals()
    for one in life:
        running = plus(running, one, request_)
    assert asdict(totals_of(life, request_)) == pytest.approx(asdict(running), rel=1e-9)


def test_the_worked_example_of_the_model_adds_up() -> None:
    life = [sample(30.0, interval_s=30, granted=4, used=1.5)]
    life += [sample(100.0, interval_s=70, granted=2, used=1.5)]
    totals = totals_of(life, request=4)
    assert (totals.requested_core_s, totals.held_core_s, totals.used_core_s) == (400, 260, 150)


def test_no_samples_add_up_to_nothing() -> None:
    assert totals_of([], request=4) == Totals()


@given(st.floats(1e9, 2e9), st.floats(0.001, 5000), st.floats(0, 1e6), st.floats(0, 1e6))
def test_the_minutes_of_an_interval_add_up_to_it(
    at: float, interval_s: float, held: float, used: float
) -> None:
    minutes = list(ledger_minutes(at, interval_s, held, used, host_cores=64))
    assert fsum(m.span_s for m in minutes) == pytest.approx(interval_s, rel=1e-3, abs=1e-6)
    assert fsum(m.held_core_s for m in minutes) == pytest.approx(held, rel=1e-3)
    assert fsum(m.used_core_s for m in minutes) == pytest.approx(used, rel=1e-3)
    assert all(m.minute_at % 60 == 0 for m in minutes)
    assert all(m.span_s <= 60 for m in minutes)


def test_an_interval_over_a_minutes_end_is_split_in_proportion() -> None:
    before, after = ledger_minutes(150.0, 90.0, 180.0, 90.0, host_cores=64)
    assert (before.minute_at, before.span_s, before.held_core_s) == (60, 60.0, 120.0)
    assert (after.minute_at, after.span_s, after.held_core_s) == (120, 30.0, 60.0)


def test_an_interval_of_no_length_gives_no_minute() -> None:
    assert list(ledger_minutes(150.0, 0.0, 0.0, 0.0, host_cores=64)) == []
