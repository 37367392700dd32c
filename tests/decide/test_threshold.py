"""The policy ``threshold``."""

from __future__ import annotations

import pytest

from decide.views import sample, steady, view
from hotslot.decide.threshold import Threshold
from hotslot.model import Sample, Wish


def wish(samples: list[Sample], granted: int | None = None) -> Wish:
    return Threshold().wish(view(samples, granted=granted))


def test_above_80_percent_one_is_added() -> None:
    assert wish(steady(1.82, 2, 5)) == Wish(3, "mean of 5 s is 91 % of 2 cores, above 80 %; add 1")


def test_below_30_percent_one_is_removed() -> None:
    assert wish(steady(1.0, 4, 5)) == Wish(
        3, "mean of 5 s is 25 % of 4 cores, below 30 %; remove 1"
    )


def test_between_nothing_changes() -> None:
    assert wish(steady(1.1, 2, 5)) == Wish(2, "mean of 5 s is 55 % of 2 cores; keep 2")


def test_the_last_vcpu_stays() -> None:
    assert wish(steady(0.0, 1, 5)).vcpus == 1


def test_only_samples_since_the_last_change_are_judged() -> None:
    assert wish([*steady(0.5, 2, 5), *steady(3.0, 3, 4)]) == Wish(
        3, "3 cores for 4 s, judged after 5 s"
    )
    assert wish([*steady(0.5, 2, 5), sample(2.0, 3, held=2.5), *steady(3.0, 3, 4)]).vcpus == 3
    assert wish([*steady(0.5, 2, 5), *steady(3.0, 3, 5)]).vcpus == 4


def test_a_change_after_the_last_sample_starts_over() -> None:
    assert wish(steady(2.0, 2, 9), granted=3).vcpus == 3


def test_the_mean_is_weighted_by_time() -> None:
    samples = [sample(0.0, 2, interval_s=4.0), sample(2.0, 2, interval_s=1.0)]
    assert "is 20 %" in wish(samples).reason


def test_waiting_for_a_core_of_the_host_counts_as_use() -> None:
    assert wish([sample(0.1, 2, waited=1.8) for _ in range(5)]).vcpus == 3


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"step": 0}, "step is 0, not a number from 1 to 1024"),
        ({"step": 1.5}, "step is 1.5, not a whole number"),
        ({"every_s": -1, "step": True}, "step is True, not a number .*every_s is -1"),
        ({"remove_below_pct": 80}, "remove_below_pct 80 is not below add_above_pct 80"),
    ],
)
def test_parameters_that_make_no_sense_are_named(parameters: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Threshold(**parameters)  # type: ignore[arg-type]
