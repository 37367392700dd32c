"""From readings to samples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot.measure.intervals import sample
from hotslot.model import Reading, Sample, VcpuTimes

S = 1_000_000_000


def reading(at: float, *times: tuple[int, int], pid: int = 7, born_s: float = 1.0) -> Reading:
    return Reading(at, pid, born_s, {i: VcpuTimes(*pair) for i, pair in enumerate(times)})


def between(previous: Reading, current: Reading) -> Sample | None:
    return sample(previous, current, at=1000.0, granted_vcpus=2, held_cores=1.5)


def used_and_waited(previous: Reading, current: Reading) -> tuple[float, float]:
    found = between(previous, current)
    assert found is not None
    return found.used_cores, found.waited_cores


def test_a_sample_has_the_cores_used_and_waited_for_and_what_it_was_told() -> None:
    found = between(reading(10.0, (5 * S, 0)), reading(12.0, (7 * S, 0), (S // 2, S // 2)))
    assert found == Sample(
        at=1000.0,
        interval_s=2.0,
        granted_vcpus=2,
        held_cores=1.5,
        used_cores=1.25,
        waited_cores=0.25,
    )


@pytest.mark.parametrize("later", [10.0, 9.0])
def test_an_interval_that_is_not_positive_makes_no_sample(later: float) -> None:
    assert between(reading(10.0, (0, 0)), reading(later, (S, 0))) is None


def test_readings_of_two_processes_make_no_sample() -> None:
    assert between(reading(1.0, (0, 0)), reading(2.0, (S, 0), pid=8)) is None
    assert between(reading(1.0, (0, 0)), reading(2.0, (S, 0), born_s=3.0)) is None


def test_a_vanished_thread_contributes_nothing() -> None:
    assert used_and_waited(reading(1.0, (S, 0), (9 * S, 9 * S)), reading(2.0, (S, 0))) == (0, 0)


def test_times_that_went_backwards_contribute_nothing() -> None:
    assert used_and_waited(reading(1.0, (9 * S, 0)), reading(2.0, (S, S))) == (0, 0)
    assert used_and_waited(reading(1.0, (S, 9 * S)), reading(2.0, (2 * S, S))) == (0, 0)


times = st.builds(VcpuTimes, st.integers(0, 10**18), st.integers(0, 10**18))
readings = st.builds(
    Reading,
    monotonic_s=st.floats(0, 1e9),
    pid=st.just(7),
    born_s=st.just(1.0),
    vcpus=st.dictionaries(st.integers(0, 5), times),
)


@given(readings, readings)
def test_no_two_readings_make_a_negative_figure(previous: Reading, current: Reading) -> None:
    found = between(previous, current)
    assert found is None or (found.interval_s > 0 and found.used_cores >= 0 <= found.waited_cores)


@given(readings, st.dictionaries(st.integers(0, 5), st.integers(0, S)), st.floats(0.1, 1e6))
def test_all_that_running_threads_did_is_in_the_sample(
    previous: Reading, grown: dict[int, int], interval_s: float
) -> None:
    after = {
        vcpu: VcpuTimes(then.run_ns + grown.get(vcpu, 0), then.wait_ns)
        for vcpu, then in previous.vcpus.items()
    }
    current = Reading(previous.monotonic_s + interval_s, 7, 1.0, after)
    found = between(previous, current)
    assert found is not None
    added = sum(grown.get(vcpu, 0) for vcpu in previous.vcpus)
    assert found.used_cores * found.interval_s == pytest.approx(added / S)
