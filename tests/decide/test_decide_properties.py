"""What holds for every worker, every policy and every limit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from decide.views import in_order, sample, steady, view
from hotslot.decide.limits import CoolDown, limited
from hotslot.decide.policy import Policy, View
from hotslot.decide.threshold import Threshold
from hotslot.decide.window import Window
from hotslot.model import Sample

vcpus = st.integers(1, 32)
cores = st.floats(0, 40)
policies: st.SearchStrategy[Policy] = st.one_of(
    st.builds(
        Window,
        window_s=st.floats(1, 30),
        margin_pct=st.floats(0, 100),
        saturated_pct=st.floats(50, 100),
    ),
    st.builds(
        Threshold,
        add_above_pct=st.floats(50, 100),
        remove_below_pct=st.floats(0, 49),
        step=st.integers(1, 3),
        every_s=st.floats(1, 10),
    ),
)
samples = st.builds(
    sample,
    used=cores,
    granted=vcpus,
    waited=cores,
    held=st.one_of(st.none(), st.floats(0, 32)),
    interval_s=st.floats(0.001, 100),
)
views = st.builds(
    view,
    samples=st.lists(samples, min_size=1, max_size=40),
    request=vcpus,
    granted=st.one_of(st.none(), vcpus),
    changed_s_ago=st.one_of(st.none(), st.floats(-5, 100)),
)


@given(policies, views)
def test_the_same_view_gives_the_same_wish_of_at_least_one(policy: Policy, seen: View) -> None:
    assert policy.wish(seen) == policy.wish(seen)
    assert policy.wish(seen).vcpus >= 1


@given(policies, views, vcpus, vcpus, st.floats(0, 60), st.integers(1, 8))
def test_limits_keep_every_wish_within_bounds(
    policy: Policy, seen: View, one: int, other: int, cooldown_s: float, step: int
) -> None:
    floor, ceiling = sorted((one, other))
    whole = limited(policy, floor=floor, ceiling=ceiling, cooldown_s=cooldown_s, max_step_down=step)
    wish = whole.wish(seen)
    assert floor <= wish.vcpus <= ceiling
    assert wish.vcpus <= max(floor, seen.request, seen.granted)
    assert wish.vcpus >= min(ceiling, seen.granted - step)


@given(policies, views, st.lists(cores, min_size=40, max_size=40))
def test_more_demand_never_gives_less(policy: Policy, seen: View, more: list[float]) -> None:
    raised = [
        replace(one, used_cores=one.used_cores + added)
        for one, added in zip(seen.samples, more, strict=False)
    ]
    whole = limited(policy, floor=1, ceiling=32, cooldown_s=10, max_step_down=4)
    for decider in (policy, whole):
        less = decider.wish(seen).vcpus
        assert decider.wish(replace(seen, samples=raised)).vcpus >= less


@given(policies, views)
def test_waiting_counts_like_running(policy: Policy, seen: View) -> None:
    starved = [replace(one, used_cores=0.0, waited_cores=one.wanted_cores) for one in seen.samples]
    assert policy.wish(replace(seen, samples=starved)).vcpus == policy.wish(seen).vcpus


@given(st.lists(samples, max_size=20), vcpus, vcpus, st.floats(0.9, 1.2))
def test_a_saturated_worker_gets_at_least_its_request(
    past: list[Sample], granted: int, request: int, part: float
) -> None:
    assume(granted < request)
    seen = view([*past, sample(granted * part, granted)], request=request)
    assert Window().wish(seen).vcpus >= request


@given(policies, views, st.floats(1, 60), st.floats(0, 0.99))
def test_nothing_shrinks_during_the_cool_down(
    policy: Policy, seen: View, cooldown_s: float, part: float
) -> None:
    seen = replace(seen, changed_at=seen.now - part * cooldown_s)
    assert CoolDown(policy, cooldown_s).wish(seen).vcpus >= seen.granted


@given(st.lists(samples, min_size=1, max_size=40), vcpus, st.floats(0.1, 1.4))
def test_window_takes_nothing_from_a_worker_it_has_not_seen_for_a_window(
    past: list[Sample], request: int, interval_s: float
) -> None:
    seen = view([replace(one, interval_s=interval_s) for one in past], request=request)
    assert Window().wish(seen).vcpus >= seen.granted


@given(st.floats(0, 1), vcpus, st.floats(0, 50), st.floats(50, 100))
def test_a_constant_load_is_given_one_size_for_good(
    load: float, request: int, margin_pct: float, saturated_pct: float
) -> None:
    whole = limited(
        Window(margin_pct=margin_pct, saturated_pct=saturated_pct),
        floor=1,
        ceiling=32,
        cooldown_s=0,
        max_step_down=32,
    )
    wanted = load * request
    size = whole.wish(view(steady(wanted, request, 60), request=request)).vcpus
    assert size >= wanted
    again = whole.wish(view(steady(wanted, size, 60), request=request))
    assert again.vcpus == size


@given(st.floats(0, 1), vcpus, st.data())
def test_measurement_noise_never_saturates_what_window_gave(
    load: float, request: int, data: st.DataObject
) -> None:
    noise = st.floats(0.995, 1.004)
    drawn = data.draw(st.lists(noise, min_size=61, max_size=61))
    past = [sample(load * request * factor, request) for factor in drawn[:60]]
    size = Window().wish(view(past, request=request)).vcpus
    assume(size < request)
    now = sample(load * request * drawn[60], size)
    assert "saturated" not in Window().wish(view([*past[1:], now], request=request)).reason


@given(policies, st.floats(0, 1), vcpus)
def test_a_policy_that_keeps_a_size_under_a_constant_load_goes_on_keeping_it(
    policy: Policy, load: float, granted: int
) -> None:
    seen = view(steady(load * granted, granted, 40), request=32)
    assume(policy.wish(seen).vcpus == granted)
    later = view(steady(load * granted, granted, 41), request=32)
    assert policy.wish(later).vcpus == granted


@given(policies, views)
def test_a_reason_is_one_line_with_its_numbers(policy: Policy, seen: View) -> None:
    whole = limited(policy, floor=1, ceiling=8, cooldown_s=10, max_step_down=1)
    reason = whole.wish(seen).reason
    assert reason == reason.strip()
    assert "\n" not in reason
    sizes = {seen.granted, *(one.granted_vcpus for one in seen.samples)}
    assert any(f"{size} cores" in reason or f"keep {size}" in reason for size in sizes)


def test_samples_are_told_apart_by_order_alone() -> None:
    assert [one.at for one in in_order([sample(1, 1), sample(2, 1)])] == pytest.approx(
        [1_699_999_999.0, 1_700_000_000.0]
    )
