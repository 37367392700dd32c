"""Samples side by side are read back as they were put in."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import sample
from hotslot.measure.past import Samples

STEPS = st.lists(st.tuples(st.floats(0.01, 30), st.integers(1, 64), st.floats(0, 64)), max_size=300)


@given(STEPS, st.floats(1, 600))
def test_samples_are_those_of_a_list_of_objects(
    steps: list[tuple[float, int, float]], history_s: float
) -> None:
    kept, objects, at = Samples(), deque[object](), 1.0
    for interval_s, granted, used in steps:
        at += interval_s
        one = sample(at, interval_s=interval_s, granted=granted, used=used)
        kept.append(one)
        objects.append(one)
        kept.forget_before(at - history_s)
        while objects[0].at < at - history_s:  # type: ignore[attr-defined]
            objects.popleft()
        assert kept[-1] is one
        assert len(kept) < 2 or kept[-2] is objects[-2]
    assert list(kept) == list(objects)
    assert list(reversed(kept)) == list(reversed(objects))
    assert len(kept) == len(objects)


def test_no_samples_are_false_and_have_no_last() -> None:
    kept = Samples([sample(100.0)])
    kept.clear()
    assert not kept
    with pytest.raises(IndexError):
        kept[-1]


def test_a_part_of_the_samples_is_a_list() -> None:
    kept = Samples(sample(100.0 + second) for second in range(5))
    assert [one.at for one in kept[1:3]] == [101.0, 102.0]
