"""The policy ``window``."""

from __future__ import annotations

import pytest

from decide.views import sample, steady, view
from hotslot.decide.policy import View
from hotslot.decide.window import Window
from hotslot.model import Sample, Wish


def wish(samples: list[Sample], request: int = 4, granted: int | None = None) -> Wish:
    return Window().wish(view(samples, request=request, granted=granted))


def test_the_peak_of_the_window_plus_the_margin_is_wished_for() -> None:
    samples = [*steady(0.5, 8, 30), sample(2.1, 8), *steady(0.3, 8, 29)]
    assert wish(samples, request=8) == Wish(3, "peak of 60 s is 2.1 of 8 cores; with 10 % margin 3")


def test_a_peak_is_forgotten_when_it_leaves_the_window() -> None:
    samples = [sample(3.5, 8), *steady(0.3, 8, 60)]
    assert wish(samples, request=8).vcpus == 1


@pytest.mark.parametrize(
    ("threads", "expected"),
    [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (8, 9), (9, 11), (10, 12), (16, 18)],
)
def test_busy_threads_get_room_to_show_more(threads: int, expected: int) -> None:
    assert wish(steady(threads, 20, 60), request=20).vcpus == expected


def test_a_size_that_a_constant_load_would_saturate_is_not_wished_for() -> None:
    found = wish(steady(9.0, 16, 60), request=16)
    assert found.reason == (
        "peak of 60 s is 9.0 of 16 cores; with 10 % margin 10, to stay below 90 % of them 11"
    )
    assert wish(steady(1.8, 4, 60)).vcpus == 3
    assert wish(steady(1.8, 3, 60)).vcpus == 3


def test_a_peak_that_noise_could_lift_to_saturation_gets_one_more() -> None:
    assert wish(steady(8.95, 16, 60), request=16).vcpus == 11
    assert wish(steady(8.89, 16, 60), request=16).vcpus == 10


def test_float_dust_costs_no_vcpu() -> None:
    assert Window(saturated_pct=100).wish(view(steady(10.0, 20, 60), request=20)).vcpus == 11


@pytest.mark.parametrize("measured", [0.999, 1.0, 1.0000001, 1.01])
def test_one_busy_thread_settles_at_2_however_it_is_measured(measured: float) -> None:
    for granted in (4, 3, 2):
        assert wish(steady(measured, granted, 60)).vcpus == 2


def test_one_busy_thread_on_one_vcpu_may_be_more_and_gets_the_request_back() -> None:
    assert wish(steady(1.0, 1, 60)) == Wish(
        4, "saturated: 1.0 of 1 cores wanted; back to the request of 4"
    )


def test_saturation_of_the_last_sample_alone_gives_the_request_back_at_once() -> None:
    samples = [*steady(0.5, 2, 60), sample(1.85, 2)]
    assert wish(samples) == Wish(4, "saturated: 1.9 of 2 cores wanted; back to the request of 4")


def test_saturation_is_seen_before_a_whole_window_is() -> None:
    assert wish([sample(1.9, 2)]).vcpus == 4


def test_a_worker_with_its_request_is_never_saturated() -> None:
    assert "saturated" not in wish(steady(4.0, 4, 60)).reason


def test_an_interval_in_which_vcpus_were_taken_away_does_not_count_as_saturated() -> None:
    assert wish([*steady(0.2, 4, 60), sample(0.95, 1, held=1.2)]).vcpus == 2
    assert wish([*steady(0.2, 4, 60), sample(0.95, 1)]).vcpus == 4


def test_an_interval_in_which_vcpus_came_counts_against_what_was_held() -> None:
    assert wish([*steady(0.2, 1, 60), sample(1.5, 2, held=1.6)]).vcpus == 4


def test_nothing_is_taken_away_before_a_whole_window_was_seen() -> None:
    assert wish(steady(0.1, 4, 59)) == Wish(
        4, "peak of 59 s is 0.1 of 4 cores; with 10 % margin 1; held at 4 until 60 s are seen"
    )
    assert wish(steady(0.1, 4, 60)).vcpus == 1


def test_a_worker_above_its_request_is_not_held_above_its_demand_for_ever() -> None:
    assert wish(steady(1.0, 8, 60), request=4).vcpus == 2


def test_waiting_for_a_core_of_the_host_is_no_idleness() -> None:
    starved = [sample(0.1, 4, waited=3.9) for _ in range(60)]
    assert wish(starved).vcpus >= 4


def test_a_wait_that_is_counted_late_asks_for_no_more_than_there_was() -> None:
    assert wish([*steady(0.2, 2, 59), sample(0.5, 2, waited=9.0)], granted=4).vcpus == 3


def test_a_long_time_without_the_agent_proves_demand_but_no_idleness() -> None:
    away = sample(0.4, 4, interval_s=300.0)
    assert wish([*steady(0.1, 4, 60), away]).vcpus == 4
    assert wish([away, *steady(0.1, 4, 59)]).vcpus == 4
    assert wish([away, *steady(0.1, 4, 60)]).vcpus == 1
    assert wish([sample(3.1, 4, interval_s=300.0), *steady(0.1, 4, 30)]).vcpus == 4


def test_a_sample_that_is_too_short_tells_nothing() -> None:
    blink = sample(2.0, 2, interval_s=0.01)
    assert wish([*steady(0.5, 2, 60), blink]).vcpus == 2 - 1
    assert wish([blink]) == Wish(2, "samples all too short; keep 2")


def test_a_step_of_the_wall_clock_changes_nothing() -> None:
    before = view([sample(3.0, 8), *steady(0.3, 8, 59)], request=8)
    stepped = View(8, 8, [*before.samples[:30], *(_later(s) for s in before.samples[30:])])
    assert Window().wish(stepped).vcpus == Window().wish(before).vcpus == 4


def _later(one: Sample) -> Sample:
    return sample(one.used_cores, one.granted_vcpus, at=one.at + 7200)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("window_s", 0), ("margin_pct", -1), ("saturated_pct", 101), ("window_s", "60")],
)
def test_a_parameter_out_of_range_is_named(parameter: str, value: object) -> None:
    parameters: dict[str, object] = {parameter: value}
    with pytest.raises(ValueError, match=f"{parameter} is {value!r}, not a number from"):
        Window(**parameters)  # type: ignore[arg-type]
