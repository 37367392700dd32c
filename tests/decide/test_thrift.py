"""The policy ``hotslot``."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decide.views import sample, steady, view
from hotslot.decide.limits import limited
from hotslot.decide.policies import build
from hotslot.decide.policy import View
from hotslot.decide.thrift import Thrift
from hotslot.model import Sample

NAMES = ("static", "threshold", "window", "vpa", "autopilot", "holt", "harvest", "hotslot")


def wish(samples: list[Sample], request: int = 8, granted: int | None = None) -> tuple[int, str]:
    found = Thrift().wish(view(samples, request=request, granted=granted))
    return found.vcpus, found.reason


def test_it_is_registered_under_its_name() -> None:
    assert build("hotslot", {"harm_budget_pct": 0.25}) == Thrift(0.25)


def test_what_idles_is_taken_back_once_it_is_worth_a_change() -> None:
    """20 s x 8 cores of patience: five cores that idle are worth it after 33 s."""
    assert wish(steady(2.0, 8, 31))[0] == 8
    vcpus, reason = wish(steady(2.0, 8, 34))
    assert vcpus == 3
    assert reason.startswith("3 of 8 cores would have done for 34 s: 170 core-seconds idle, worth")


def test_more_idle_cores_are_taken_sooner() -> None:
    def taken_after(used: float) -> int:
        return next(s for s in range(5, 400) if wish(steady(used, 8, s))[0] < 8)

    assert taken_after(0.1) < taken_after(4.0) < taken_after(6.0)


def test_a_larger_budget_is_less_patient() -> None:
    samples = steady(1.0, 8, 12)
    assert Thrift(0.1).wish(view(samples, request=8)).vcpus == 8
    assert Thrift(0.5).wish(view(samples, request=8)).vcpus == 2


def test_saturation_gives_the_request_back_at_once() -> None:
    samples = [*steady(1.0, 8, 60), *steady(1.0, 2, 5), sample(2.0, 2)]
    assert wish(samples) == (8, "saturated: 2.0 of 2 cores wanted; back to the request of 8")


def test_a_false_alarm_is_over_without_waiting_anew() -> None:
    quiet = [*steady(1.0, 8, 120), *steady(1.0, 2, 60), sample(2.0, 2)]
    after = [*quiet, sample(1.5, 8), *steady(1.0, 8, 12)]
    assert wish(after)[0] < 8
    assert wish([*quiet, sample(8.0, 8), *steady(1.0, 8, 12)])[0] == 8, "it was none"


def test_a_long_time_without_the_agent_proves_no_idleness() -> None:
    assert wish([*steady(1.0, 8, 30), sample(0.1, 8, interval_s=300)])[0] == 8


def test_nothing_is_taken_right_after_a_change() -> None:
    assert "changed a moment ago" in wish([*steady(0.1, 8, 60), *steady(0.1, 4, 2)])[1]


def test_waiting_for_a_core_of_the_host_is_no_idleness() -> None:
    assert wish([sample(0.1, 8, waited=7.9) for _ in range(200)])[0] == 8


@given(st.sampled_from(NAMES), st.floats(-1e6, 1e6), st.integers(1, 119))
def test_a_step_of_the_wall_clock_changes_no_policy(name: str, by_s: float, at: int) -> None:
    loads = [6.0] * 30 + [0.5] * 60 + [3.0] * 30
    before = view([sample(load, 8) for load in loads], request=8)
    moved = [replace(one, at=one.at + by_s) for one in before.samples[at:]]
    after = View(8, 8, [*before.samples[:at], *moved])
    assert build(name, {}).wish(after) == build(name, {}).wish(before)


def one_job(policy: object, past: list[Sample], course: list[float], request: int = 8) -> list[int]:
    """Run a job on a worker whose size follows at once; return sizes."""
    sizes, granted = [], request
    samples: list[Sample] = []
    for load in course:
        samples.append(sample(min(load, granted), granted))
        granted = policy.wish(View(request, granted, samples)).vcpus  # type: ignore[attr-defined]
        sizes.append(granted)
    past.extend(samples)
    return sizes


def test_a_worker_whose_jobs_lost_much_is_more_patient_with_the_next_job() -> None:
    policy = limited(Thrift(), floor=1, ceiling=8, cooldown_s=0, max_step_down=99)
    quiet = [0.5] * 100
    first = one_job(policy, [], quiet)
    one_job(policy, [], ([0.5] * 60 + [8.0] * 10) * 80)
    after = one_job(policy, [], quiet)
    assert first.index(1) < after.index(1)


def test_short_gaps_once_met_are_left_alone() -> None:
    policy = limited(Thrift(), floor=1, ceiling=8, cooldown_s=0, max_step_down=99)
    sizes = one_job(policy, [], ([8.0] * 60 + [1.0] * 35) * 40)
    changes = [at for at in range(1, len(sizes)) if sizes[at] != sizes[at - 1]]
    assert 2 <= len(changes) <= 6, "of 80 that a window would have made"


@given(st.sampled_from(NAMES), st.lists(st.floats(0, 40), min_size=1, max_size=80), st.data())
def test_every_policy_wishes_for_one_vcpu_to_the_request_or_a_step_more(
    name: str, loads: list[float], data: st.DataObject
) -> None:
    request = data.draw(st.integers(1, 32))
    granted = data.draw(st.integers(1, request))
    policy = build(name, {})
    seen = view([sample(min(load, granted), granted) for load in loads], request=request)
    first, again = policy.wish(seen), policy.wish(seen)
    assert first == again
    assert first.vcpus >= 1
    assert "\n" not in first.reason


@pytest.mark.parametrize("name", ["vpa", "autopilot", "holt", "harvest", "hotslot"])
def test_parameters_out_of_range_are_named(name: str) -> None:
    kind = type(build(name, {}))
    with pytest.raises(ValueError, match=r"is -1, not a number from"):
        kind(**{next(iter(kind.__dataclass_fields__)): -1})  # type: ignore[attr-defined]
