"""How much a job counts when cores are short."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot.decide.weights import (
    LEAST,
    MOST,
    Standing,
    Urgency,
    fair_share_of,
    left_core_s,
    pressure,
    weight,
)

ANY = st.floats(allow_nan=True, allow_infinity=True)


def test_who_is_told_apart_by_nobody_counts_the_same() -> None:
    assert weight() == weight(Standing(0.5, 0.5)) == weight(Standing(0.5)) == 1


def test_priority_and_fair_share_count_from_half_to_double_each() -> None:
    assert weight(Standing(1.0)) == 2
    assert weight(Standing(fair_share=0.0)) == 0.5
    assert weight(Standing(0.0, 0.0)) == 0.25
    assert weight(Standing(1.0, 0.25)) == pytest.approx(2**0.5)


def test_a_job_that_will_not_be_done_in_time_counts_more() -> None:
    assert pressure(Urgency(7200, 1800, 2)) == 2
    assert pressure(Urgency(7200, 1800, 8)) == 1, "it is in time"
    assert pressure(Urgency(7200, 10, 1)) == 4
    assert pressure(Urgency(7200, -5, 1)) == 1, "too late anyway"
    assert weight(Standing(1.0, 0.25), Urgency(7200, 1800, 2)) == pytest.approx(2**1.5)


def test_what_is_left_follows_what_was_used() -> None:
    assert left_core_s(8, 3600, 7200, 1800) == 7200
    assert left_core_s(8, 3600, 10, 60) == 8 * 3600 - 10, "too early to tell"
    assert left_core_s(8, math.inf, 10, 60) == 0, "no limit, no hurry"


def test_a_condor_user_with_a_better_priority_counts_more() -> None:
    assert fair_share_of(500, 500) == 0.5
    assert fair_share_of(250, 500) == pytest.approx(2 / 3)
    assert fair_share_of(math.nan, 500) is None


@given(st.none() | ANY, st.none() | ANY, ANY, ANY, st.integers(-1, 2000))
def test_weights_stay_within_their_bounds_whatever_comes(
    priority: float | None, share: float | None, left: float, time_left: float, granted: int
) -> None:
    found = weight(Standing(priority, share), Urgency(left, time_left, granted))
    assert LEAST <= found <= MOST


@given(st.integers(0, 1000), ANY, ANY, ANY)
def test_what_is_left_is_never_negative(
    request: int, limit: float, used: float, ran: float
) -> None:
    assert not left_core_s(request, limit, used, ran) < 0
