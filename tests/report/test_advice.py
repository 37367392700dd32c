"""What to ask for next time: less where runs show it, and never where they do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import placement, sample
from hotslot.model import Sample, Totals
from hotslot.record.batch import LeaseRow
from hotslot.report.advice import Verdict, advice, busiest_minute, saying
from report.reported import part

HOUR = 3600.0


def run(
    lease: int, *, cpus: int = 8, peak: float = 2.3, saturated_s: float = 0.0, life_s: float = HOUR
) -> LeaseRow:
    """An hour of a job with 8 CPUs."""
    totals = Totals(life_s, cpus * life_s, cpus * life_s / 2, peak * life_s, 0.0, peak, saturated_s)
    return part(str(lease), lease_id=lease, of=placement(cpus=cpus), totals=totals)


def test_runs_that_use_a_third_are_told_to_ask_for_less() -> None:
    found = advice("alice", "train", [run(n) for n in range(12)], {})
    assert found is not None
    assert (found.verdict, found.vcpus, found.runs) == (Verdict.LESS, 3, 12)
    assert found.saved_core_s == 12 * (8 - 3) * HOUR
    assert found.basis == "the last 12 runs with 8 CPUs: p95 of the busiest minutes 2.3 of 8 cores"
    assert saying(found) == (
        "Ask for 3 CPUs instead of 8 for train: the last 12 runs with 8 CPUs: p95 of the busiest "
        "minutes 2.3 of 8 cores; 2.3 cores and 15 % to spare make 3. These runs would have asked "
        "for 60.0 of 96.0 core-hours less."
    )


@pytest.mark.parametrize(
    ("runs", "verdict", "words"),
    [
        ([run(1), run(2)], Verdict.WAIT, "2 runs say little of the next one"),
        ([run(1)], Verdict.WAIT, "one run says little of the next one"),
        ([run(n, saturated_s=60 if n == 2 else 0) for n in range(5)], Verdict.SAME,
         "1 of 5 runs came to a limit below the request"),
        ([run(n, peak=7.9) for n in range(5)], Verdict.SAME, "they use what they ask for"),
    ],
)  # fmt: skip
def test_nobody_is_told_to_ask_for_less_where_it_is_not_known(
    runs: list[LeaseRow], verdict: Verdict, words: str
) -> None:
    found = advice("alice", "train", runs, {})
    assert found is not None
    assert (found.verdict, found.vcpus, found.saved_core_s) == (verdict, 8, 0)
    assert words in found.why


def test_only_runs_with_the_request_of_the_last_one_count() -> None:
    found = advice("alice", "train", [*(run(n, cpus=16) for n in range(9)), run(10)], {})
    assert found is not None
    assert (found.runs, found.verdict) == (1, Verdict.WAIT)


def test_the_busiest_minute_counts_where_it_is_known() -> None:
    runs = [run(n, peak=6.0) for n in range(4)]
    found = advice("alice", "train", runs, dict.fromkeys(range(4), 2.0))
    assert found is not None
    assert found.vcpus == 3
    assert "4 of 4 runs needed more for a moment" in found.why


def test_without_a_run_there_is_no_advice() -> None:
    assert advice("alice", "train", [], {}) is None
    assert advice("alice", "train", [run(1, life_s=0.0)], {}) is None


def test_a_minute_is_averaged_over_a_burst_of_half_of_it() -> None:
    busy = [sample(100.0 + n, used=4.0) for n in range(30)]
    calm = [sample(130.0 + n, used=1.0) for n in range(70)]
    assert busiest_minute(busy + calm) == pytest.approx(2.5)
    assert busiest_minute(busy) == pytest.approx(4.0)
    assert busiest_minute([]) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.5, 1.0, 7.0, 90.0]), st.floats(0, 64)), min_size=1))
def test_a_busiest_minute_is_between_the_mean_and_the_peak(life: list[tuple[float, float]]) -> None:
    at, samples = 0.0, list[Sample]()
    for span, used in life:
        at += span
        samples.append(replace(sample(at, used=used), interval_s=span))
    found = busiest_minute(samples)
    whole = sum(one.interval_s for one in samples)
    mean = sum(one.used_cores * one.interval_s for one in samples) / whole
    assert found is not None
    assert found <= max(one.used_cores for one in samples) + 1e-6
    if whole <= 60:
        assert found == pytest.approx(mean)


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 16), min_size=1, max_size=20),
    st.integers(1, 16),
    st.floats(0, HOUR),
)
def test_advice_never_asks_for_more_and_never_for_nothing(
    peaks: list[float], cpus: int, saturated_s: float
) -> None:
    runs = [
        run(n, cpus=cpus, peak=min(peak, cpus), saturated_s=saturated_s)
        for n, peak in enumerate(peaks)
    ]
    found = advice("u", "n", runs, {})
    assert found is not None
    assert 1 <= found.vcpus <= cpus
    assert (found.verdict is Verdict.LESS) == (found.vcpus < cpus)
    assert (found.saved_core_s > 0) == (found.verdict is Verdict.LESS)
    if saturated_s > 0.01 * HOUR or len(runs) < 3:
        assert found.verdict is not Verdict.LESS
