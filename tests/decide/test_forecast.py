"""What jobs take back: learned, calibrated, remembered; and what idles within grants."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot.decide.forecast import Forecast, Foresight, Outlook
from hotslot.decide.forecast_law import (
    LEVELS,
    ROOM,
    TABLE,
    begin,
    expects,
    level_of,
    observe,
)


def job(name: str, wish: int, request: int = 8, family: str = "f", *, granted: bool = True):  # type: ignore[no-untyped-def]
    return Outlook(name, family, wish, request, granted)


def test_nothing_known_keeps_the_whole_request() -> None:
    assert Forecast().see(1.0, [job("a", 2)]) == 6
    assert Forecast(Foresight(risk=1)).see(1.0, [job("a", 2)]) == 0


def test_a_job_that_stays_small_is_believed_more_and_more() -> None:
    forecast = Forecast(Foresight(horizon_s=10, risk=0.1))
    kept = [forecast.see(1.0, [job("a", 2)]) for _ in range(3000)]
    assert kept[0] == 6
    assert kept[-1] <= 1
    assert sorted(kept, reverse=True)[-1] == kept[-1]


def test_a_family_that_comes_back_is_known_when_its_next_job_runs() -> None:
    forecast = Forecast(Foresight(horizon_s=10, risk=0.1))
    for run in range(20):
        for second in range(200):
            wish = 8 if second % 20 == 15 else 2
            forecast.see(1.0, [job(f"r{run}", wish, family="restless"), job(f"q{run}", 2)])
    own = [0.0] * ROOM
    begin(own)
    families = forecast.remembered()["families"]
    host = forecast.remembered()["host"]
    assert isinstance(families, dict)
    assert isinstance(host, list)
    restless = expects(own, families["restless"], host, 2.0, 8.0)
    quiet = expects(own, families["f"], host, 2.0, 8.0)
    assert restless.mean > 2
    assert quiet.mean < 0.5


@pytest.mark.parametrize("risk", [0.05, 0.1, 0.2])
def test_the_stated_risk_is_about_what_happens(risk: float) -> None:
    """Jobs that come back at random, each in its own way; predictions come before what happens."""
    dice = Random(4)
    forecast = Forecast(Foresight(horizon_s=10, risk=risk))
    wishes = [2] * 8
    rates = [0.002 * (1 + at % 4) for at in range(8)]
    for _ in range(12_000):
        for at, rate in enumerate(rates):
            if dice.random() < rate:
                wishes[at] = dice.choice((4, 8, 16))
            elif dice.random() < 0.1:
                wishes[at] = 2
        forecast.see(1.0, [job(f"j{at}", wish, 16) for at, wish in enumerate(wishes)])
    assert forecast.told > 1000
    assert 0.2 * risk < forecast.exceeded < 1.1 * risk, "sizes are whole: on the safe side"


def test_a_job_that_is_kept_short_teaches_nothing() -> None:
    own, family, host = [0.0] * ROOM, [0.0] * TABLE, [0.0] * TABLE
    for _ in range(100):
        observe(10.0, own, family, host, 1.0, 8.0, 8.0, 0.0)
    assert sum(family) == sum(host) == 0


def test_what_was_learned_survives_as_json() -> None:
    forecast = Forecast(Foresight(horizon_s=10))
    for _ in range(500):
        forecast.see(1.0, [job("a", 2)])
    again = Forecast(Foresight(horizon_s=10))
    again.recall(json.loads(json.dumps(forecast.remembered())))
    assert again.told == forecast.told
    assert again.see(1.0, [job("b", 2)]) <= 2 < Forecast().see(1.0, [job("b", 2)])


JUNK = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(("host", "account", "families", "x")), JUNK))
def test_what_does_not_look_like_it_is_not_recalled(junk: dict[str, object]) -> None:
    forecast = Forecast()
    forecast.recall(junk)
    assert forecast.see(1.0, [job("a", 2)]) == 6


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 8), st.booleans()), max_size=60),
    st.floats(0.1, 5),
)
def test_no_more_is_kept_than_requests_leave_room_for(
    course: list[tuple[int, int, bool]], interval_s: float
) -> None:
    forecast = Forecast(Foresight(horizon_s=4, risk=0.05))
    for count, wish, granted in course:
        kept = forecast.see(interval_s, [job(f"j{n}", wish, granted=granted) for n in range(count)])
        assert 0 <= kept <= count * (8 - wish)


def test_cores_are_idle_only_when_nobody_used_them_throughout_the_window() -> None:
    forecast = Forecast(Foresight(idle_s=10))
    found = [forecast.idle(1.0, 64, 50.0) for _ in range(12)]
    assert found[0] == 0
    assert found[-1] == 14
    assert forecast.idle(1.0, 64, 61.5) == pytest.approx(2.5)
    assert [forecast.idle(1.0, 64, 50.0) for _ in range(11)][-1] == 14


def test_sizes_are_eighths_of_the_request() -> None:
    assert [level_of(n, 16) for n in (1, 2, 3, 16)] == [1, 1, 2, LEVELS]
    assert [level_of(n, 2) for n in (1, 2)] == [4, 8]
