"""The model: what a second costs, and that compiled and interpreted code agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotslot.decide.policies import build
from hotslot.decide.policy import View
from hotslot.decide.static import Static
from hotslot.decide.thrift import Thrift
from hotslot.decide.window import Window
from hotslot.model import Sample
from hotslot.replay.engine import Faults
from hotslot.replay.figures import figures, sums
from hotslot.replay.replay import ORACLES, Setting, foreseen, outcomes, row
from synthetic_sets import jobs_of

NAMES = ("static", "threshold", "window", "vpa", "autopilot", "holt", "harvest", "hotslot")


def test_static_changes_nothing() -> None:
    found = row("static", Static(), [jobs_of([[1.0] * 100, [8.0] * 60])])
    assert found.reclaimed_pct == found.slowdown_total_pct == found.events_per_job_hour == 0
    assert found.oracle_pct == pytest.approx(100 * 700 / 1280)


def test_a_decision_takes_effect_a_second_later_and_stalls_for_half_a_second() -> None:
    ((held, throttled, events, run_s),) = outcomes(Window(window_s=60), jobs_of([[1.0] * 100]))
    assert (throttled, events, run_s) == (0, 1, 100.5)
    assert held == 61 * 8 + 39.5 * 2, "60 samples, one second until it takes effect"


def test_what_is_not_granted_lengthens_the_job() -> None:
    ((_, throttled, events, run_s),) = outcomes(
        Window(window_s=10), jobs_of([[1.0] * 50 + [8.0] * 50])
    )
    assert events == 2
    assert throttled == pytest.approx(2 * 0.75), "2 of 8 cores for a second, and one more"
    assert run_s == pytest.approx(100 + 1 + throttled)


def test_a_policy_never_sees_demand_beyond_what_is_granted() -> None:
    seen: list[float] = []

    class Spy(Window):
        @staticmethod
        def law(numbers, state, seen_):  # type: ignore[no-untyped-def]
            seen.append(seen_.demand - seen_.before)
            return Window.law(numbers, state, seen_)

    outcomes(Spy(window_s=5), jobs_of([[1.0] * 20 + [8.0] * 20] * 3))
    assert max(seen) <= 0


@pytest.mark.parametrize("name", NAMES)
def test_each_policy_runs_and_repeats_itself(name: str) -> None:
    dice = np.random.default_rng(7)
    jobs = jobs_of([dice.uniform(0, 8, 120) for _ in range(4)])
    policy = build(name, {})
    first = outcomes(policy, jobs)  # type: ignore[arg-type]
    assert (first == outcomes(policy, jobs)).all()  # type: ignore[arg-type]
    assert (first[:, 3] >= 120).all()
    assert (first[:, 0] <= 8 * first[:, 3] + 1e-9).all()


def test_compiled_and_interpreted_code_agree_to_the_last_bit() -> None:
    pytest.importorskip("numba")
    dice = np.random.default_rng(3)
    jobs = jobs_of([dice.choice([0.5, 2.0, 7.9], 100).repeat(5) for _ in range(3)])
    faults = Faults(lost=0.05, jitter=0.02, failing=0.1, slow=0.1)
    policy = Thrift(patience_s=2)
    by_hand = outcomes(policy, jobs, Setting(faults=faults, compile=False))
    assert (by_hand == outcomes(policy, jobs, Setting(faults=faults, compile=True))).all()


def test_the_agents_way_and_the_replay_see_the_same_decisions() -> None:
    course = [1.0] * 80 + [6.0] * 40 + [0.5] * 80
    trail = [0.0] * 400
    policy = Window(window_s=20)
    from hotslot.decide.limits import Limits, limited
    from hotslot.replay.engine import NO_FAULTS, STANDARD, run_job

    bounds = Limits(1.0, 8.0, 0.0, 1024.0)
    state = [0.0] * policy.room(8)
    run_job(policy.law, policy.numbers(), state, bounds, STANDARD, NO_FAULTS,
            8, 1.0, course, 0, len(course), 1, trail)  # fmt: skip
    one = limited(policy, floor=1, ceiling=8, cooldown_s=0, max_step_down=1024)
    samples: list[Sample] = []
    position, granted, plan, stall = 0.0, 8, {}, 0.0
    for tick in range(190):
        if tick in plan:
            granted, stall = plan.pop(tick), 0.5
        assert trail[tick] == granted, f"second {tick}"
        demand = course[int(position)]
        position += min(1.0, granted / demand) * (1 - stall)
        stall = 0.0
        samples.append(Sample(tick + 1.0, 1.0, granted, granted, min(demand, granted), 0.0))
        wish = one.wish(View(8, granted, samples)).vcpus
        if wish != granted and not plan:
            plan[tick + 2] = wish


def test_faults_never_stop_a_job() -> None:
    faults = Faults(lost=0.3, jitter=0.05, suspended_s=30, suspended_every_s=50, failing=0.5)
    jobs = jobs_of([[2.0] * 100 + [7.0] * 100])
    ((_, _, events, run_s),) = outcomes(Thrift(patience_s=1), jobs, Setting(faults=faults))
    assert events > 0
    assert 200 <= run_s < 500


def test_oracles_bound_each_other() -> None:
    dice = np.random.default_rng(5)
    jobs = jobs_of([dice.choice([1.0, 3.0, 8.0], 20).repeat(10) for _ in range(5)])
    held = {name: float(oracle(jobs)[:, 0].sum()) for name, oracle in ORACLES.items()}
    assert held["oracle:perfect"] <= held["oracle:latency"] <= held["oracle:hold-60s"]
    assert foreseen(jobs, 60.0)[:, 2].sum() <= foreseen(jobs, 0.0)[:, 2].sum()
    assert foreseen(jobs, 0.0)[:, 1].sum() == 0, "an oracle is never late"


@given(st.lists(st.floats(0, 8), min_size=20, max_size=60), st.floats(0.02, 1))
@settings(max_examples=20, deadline=None)
def test_hotslot_holds_at_least_what_ran(course: list[float], budget: float) -> None:
    jobs = jobs_of([course])
    ((held, throttled, _, run_s),) = outcomes(Thrift(harm_budget_pct=budget), jobs)
    assert held >= sum(course) - 1e-6
    assert 0 <= throttled <= run_s - len(course) + 1e-6


def test_figures_have_their_denominators() -> None:
    jobs = jobs_of([[1.0] * 100], cap=2)
    out = np.array([[150.0, 0.0, 1.0, 100.5]])
    found = figures("x", [sums(jobs, out)])
    assert found.reclaimed_pct == 25
    assert found.eff_pct == 50
    assert found.slowdown_total_pct == pytest.approx(0.5)
    assert found.events_per_job_hour == pytest.approx(36)
