"""What a new agent goes on from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot.drains import Span
from hotslot.record.batch import Beat
from hotslot.wiring import away_spans


def test_the_time_between_agents_is_away() -> None:
    beats = [Beat(100, 200), Beat(260, 300)]
    assert away_spans(beats, 330) == [Span(200, 260), Span(300, 330)]


def test_the_first_agent_was_never_away() -> None:
    assert away_spans([], 330) == []


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e5)), max_size=20))
def test_no_span_covers_a_beat(raw: list[tuple[float, float]]) -> None:
    beats, at = [], 0.0
    for pause, alive in raw:
        beats.append(Beat(at + pause, at + pause + alive))
        at = beats[-1].last_at
    for span in away_spans(beats, at + 1):
        assert span.end > span.start
        assert all(span.end <= b.started_at or span.start >= b.last_at for b in beats)


@pytest.mark.parametrize("now", [150.0, 200.0])
def test_a_clock_that_was_set_back_makes_no_span(now: float) -> None:
    assert away_spans([Beat(100, 200)], now) == []
