"""A recorded run, replayed."""

from __future__ import annotations

from hotslot.decide.limits import limited
from hotslot.decide.window import Window
from hotslot.model import Sample
from hotslot.replay.recorded import decided_again, jobs_from


def run(loads: list[float], granted: int = 4, interval_s: float = 1.0) -> list[Sample]:
    """Samples of a worker that keeps its size."""
    return [
        Sample(1000 + (at + 1) * interval_s, interval_s, granted, granted, load, 0.0)
        for at, load in enumerate(loads)
    ]


def test_the_same_samples_give_the_same_decisions() -> None:
    policy = limited(Window(window_s=10), floor=1, ceiling=4, cooldown_s=0, max_step_down=99)
    assert decided_again(policy, 4, run([3.9] * 5 + [1.0] * 20), []) == [(1001, 4), (1015, 2)]


def test_a_course_keeps_its_core_seconds_whatever_the_interval() -> None:
    for interval_s in (0.5, 1.0, 1.7, 4.0):
        samples = run([1.0, 3.0, 2.0, 0.5] * 5, interval_s=interval_s)
        jobs = jobs_from([(4, samples)])
        wanted = sum(one.used_cores * one.interval_s for one in samples)
        assert abs(jobs.cores.sum() - wanted) <= 0.5 * 4
        assert jobs.cores.max() <= 4 + 1e-9
