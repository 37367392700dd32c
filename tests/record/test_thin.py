"""Thinned samples are fewer and add up to the same."""

from __future__ import annotations

from itertools import pairwise
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import sample
from hotslot.model import Sample
from hotslot.record.thin import thin
from record.recorded import lives

points = st.integers(1, 40)


def integral(samples: list[Sample], name: str) -> float:
    return fsum(getattr(one, name) * one.interval_s for one in samples)


@given(lives(), points)
def test_integrals_stay_the_same(life: list[Sample], points: int) -> None:
    thinned = thin(life, points)
    for name in ("held_cores", "used_cores", "waited_cores"):
        assert integral(thinned, name) == pytest.approx(integral(life, name), rel=1e-12)
    assert fsum(s.interval_s for s in thinned) == pytest.approx(fsum(s.interval_s for s in life))


@given(lives(), points)
def test_every_change_and_gap_stays_as_it_was(life: list[Sample], points: int) -> None:
    thinned = thin(life, points)
    for before, after in pairwise(life):
        gap_s = after.at - after.interval_s - before.at
        if before.granted_vcpus != after.granted_vcpus or gap_s > 0.5:
            assert before in thinned
            assert after in thinned
    assert thinned[:1] == life[:1]
    assert thinned[-1:] == life[-1:]


@given(lives(), points)
def test_thinning_again_changes_nothing(life: list[Sample], points: int) -> None:
    once = thin(life, points)
    assert thin(once, points) == once


@given(lives(), points)
def test_thinned_samples_do_not_overlap(life: list[Sample], points: int) -> None:
    for before, after in pairwise(thin(life, points)):
        assert after.at - after.interval_s >= before.at - 1e-9


def test_a_day_of_seconds_with_one_change_fits_into_the_target() -> None:
    day = [sample(float(at), granted=4 if at < 50_000 else 2) for at in range(86_400)]
    assert 500 < len(thin(day, 600)) <= 600


def test_the_worked_example_of_the_docstring() -> None:
    life = [sample(float(at), granted=4 if at < 500 else 2) for at in range(1000)]
    assert len(thin(life, 100)) == 4 + 2 * -(-498 // 11)


def test_a_life_of_nothing_but_changes_keeps_all_of_them() -> None:
    life = [sample(float(at), granted=1 + at % 2) for at in range(50)]
    assert thin(life, 10) == life


def test_a_short_life_is_left_alone() -> None:
    life = [sample(1.0), sample(2.0)]
    assert thin(life, 600) == life
