"""Limits round a policy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from decide.views import Fixed, sample, view
from hotslot.decide.limits import Bounded, CoolDown, Stepped, UpToRequest, limited
from hotslot.decide.policy import Policy, View
from hotslot.model import Wish


def worker(granted: int = 8, request: int = 8, changed_s_ago: float | None = None) -> View:
    return view([sample(1.0, granted)], request=request, changed_s_ago=changed_s_ago)


def test_floor_and_ceiling_hold_and_say_so() -> None:
    assert Bounded(Fixed(1), 2, 6).wish(worker()) == Wish(2, "always 1; held at the floor of 2")
    assert Bounded(Fixed(9), 2, 6).wish(worker()) == Wish(6, "always 9; held at the ceiling of 6")
    assert Bounded(Fixed(5), 2, 6).wish(worker()) == Wish(5, "always 5")


def test_soon_after_a_change_nothing_is_taken_away() -> None:
    assert CoolDown(Fixed(3), 10).wish(worker(changed_s_ago=9.9)) == Wish(
        8, "always 3; held at 8 until 10 s after the last change"
    )
    assert CoolDown(Fixed(3), 10).wish(worker(changed_s_ago=10)).vcpus == 3
    assert CoolDown(Fixed(3), 10).wish(worker()).vcpus == 3


def test_growing_never_waits() -> None:
    assert CoolDown(Fixed(9), 10).wish(worker(changed_s_ago=0)) == Wish(9, "always 9")


def test_a_change_after_the_last_sample_cools_down_too() -> None:
    assert CoolDown(Fixed(3), 10).wish(worker(changed_s_ago=-1)).vcpus == 8


def test_a_clock_that_was_set_back_does_not_stop_shrinking_for_hours() -> None:
    assert CoolDown(Fixed(3), 10).wish(worker(changed_s_ago=-3600)).vcpus == 3


def test_large_steps_down_are_cut() -> None:
    assert Stepped(Fixed(3), 2).wish(worker()) == Wish(6, "always 3; at most 2 down at once, so 6")
    assert Stepped(Fixed(6), 2).wish(worker()) == Wish(6, "always 6")
    assert Stepped(Fixed(64), 2).wish(worker()) == Wish(64, "always 64")


def test_nothing_above_the_request_is_given() -> None:
    assert UpToRequest(Fixed(5)).wish(worker(request=4)) == Wish(
        4, "always 5; limited to the request of 4"
    )


def all_limits(policy: Policy, floor: int = 1, ceiling: int = 16) -> Policy:
    return limited(policy, floor=floor, ceiling=ceiling, cooldown_s=10, max_step_down=2)


def test_the_floor_wins_over_the_request() -> None:
    assert all_limits(Fixed(1), floor=3).wish(worker(3, request=2)).vcpus == 3


def test_the_ceiling_wins_over_the_cool_down() -> None:
    assert all_limits(Fixed(1), ceiling=6).wish(worker(8, changed_s_ago=1)).vcpus == 6


def test_the_cool_down_wins_over_the_step() -> None:
    assert all_limits(Fixed(1)).wish(worker(8, changed_s_ago=1)).vcpus == 8
    assert all_limits(Fixed(1)).wish(worker(8, changed_s_ago=11)).vcpus == 6


def test_a_worker_above_its_request_goes_down_slowly_too() -> None:
    assert all_limits(Fixed(9)).wish(worker(8, request=2)) == Wish(
        6, "always 9; limited to the request of 2; at most 2 down at once, so 6"
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: Bounded(Fixed(1), 0, 4),
        lambda: Bounded(Fixed(1), 5, 4),
        lambda: CoolDown(Fixed(1), -1),
        lambda: Stepped(Fixed(1), 0),
    ],
)
def test_limits_that_make_no_sense_are_refused(make: Callable[[], Policy]) -> None:
    with pytest.raises(ValueError, match=r"floor|cooldown_s|max_step_down"):
        make()
