"""What VcpuClock makes of a process's threads: fake trees for shapes, real processes for ends."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotslot.errors import MeterError
from hotslot.measure.procfs import born_s, supported
from hotslot.measure.vcpus import ONLINE_RUN_NS, RESCAN_S, VcpuClock
from hotslot.model import VcpuTimes
from measure.fake_proc import BORN_S, PID, QEMU, VIRTUALBOX, FakeProc
from measure.threaded_process import ThreadedProcess


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path).process()


def clock_of(proc: FakeProc, name: str = QEMU) -> VcpuClock:
    return VcpuClock(PID, BORN_S, name, proc.root)


def runs(clock: VcpuClock, at: float = 1.0) -> dict[int, int]:
    return {vcpu: times.run_ns for vcpu, times in clock.read(at).vcpus.items()}


def test_a_reading_has_each_vcpus_times_and_names_its_process(proc: FakeProc) -> None:
    proc.thread(PID, "qemu-system-x86").thread(701, "CPU 1/KVM", 20, 2).thread(702, "CPU 0/KVM", 5)
    with clock_of(proc) as clock:
        reading = clock.read(9.5)
    assert reading.vcpus == {0: VcpuTimes(5, 0), 1: VcpuTimes(20, 2)}
    assert (reading.monotonic_s, reading.pid, reading.born_s) == (9.5, PID, BORN_S)


def test_times_that_changed_are_read_again_and_earlier_readings_stay(proc: FakeProc) -> None:
    proc.thread(701, "CPU 0/TCG", 5).thread(702, "CPU 1/TCG", 6)
    with clock_of(proc) as clock:
        first = clock.read(1.0)
        proc.thread(702, "CPU 1/TCG", 60)
        assert runs(clock) == {0: 5, 1: 60}
    assert first.vcpus[1].run_ns == 6


def test_threads_of_vcpus_that_virtualbox_has_not_plugged_stay_at_0(proc: FakeProc) -> None:
    proc.thread(701, "EMT-0", 50).thread(702, "EMT-1", 0).thread(703, "EMT-10", 0)
    with clock_of(proc, VIRTUALBOX) as clock:
        assert runs(clock) == {0: 50, 1: 0, 10: 0}


def test_a_thread_that_begins_or_ends_is_noticed(proc: FakeProc) -> None:
    proc.thread(701, "CPU 0/TCG")
    with clock_of(proc) as clock:
        assert runs(clock).keys() == {0}
        proc.thread(702, "CPU 1/TCG")
        assert runs(clock).keys() == {0, 1}
        proc.end_thread(702)
        assert runs(clock).keys() == {0}


def test_a_thread_that_names_itself_late_is_found_at_the_next_read(proc: FakeProc) -> None:
    proc.thread(701, "CPU 0/TCG").thread(702, "qemu-system-x86")
    with clock_of(proc) as clock:
        assert runs(clock).keys() == {0}
        proc.thread(702, "CPU 1/TCG")
        assert runs(clock).keys() == {0, 1}


def test_a_thread_that_still_bears_its_creators_name_is_not_taken_for_it(proc: FakeProc) -> None:
    proc.thread(701, "CPU 0/TCG", 50)
    with clock_of(proc) as clock:
        clock.read(1.0)
        proc.thread(702, "CPU 0/TCG", 3)
        assert runs(clock) == {0: 50}
        proc.thread(702, "worker", 3)
        assert runs(clock) == {0: 50}


def test_a_vcpu_that_came_as_another_thread_went_is_found_by_the_regular_scan(
    proc: FakeProc,
) -> None:
    proc.thread(701, "CPU 0/TCG").thread(702, "worker")
    with clock_of(proc) as clock:
        for _ in range(3):
            clock.read(1.0)
        proc.end_thread(702).thread(703, "CPU 1/TCG")
        assert runs(clock, 1.0 + RESCAN_S).keys() == {0, 1}


def test_a_process_without_vcpu_threads_is_skipped_until_it_has_one(proc: FakeProc) -> None:
    proc.thread(PID, "qemu-system-x86")
    with clock_of(proc) as clock:
        for _ in range(3):
            with pytest.raises(MeterError, match="process 700 has no vCPU thread"):
                clock.read(1.0)
        proc.thread(701, "CPU 0/TCG")
        assert runs(clock).keys() == {0}


def test_a_pattern_without_a_group_is_refused(proc: FakeProc) -> None:
    with pytest.raises(ValueError, match="has no group"):
        clock_of(proc, "EMT-0")


def test_a_process_that_is_not_there_cannot_be_measured(proc: FakeProc) -> None:
    with pytest.raises(MeterError, match="process 701 has ended"):
        VcpuClock(701, BORN_S, QEMU, proc.root)


def test_another_process_under_the_same_pid_is_refused(proc: FakeProc) -> None:
    with pytest.raises(MeterError, match=r"another one now: born 2\.5 s after boot, not 1\.5 s"):
        VcpuClock(PID, 1.5, QEMU, proc.root)


@pytest.mark.parametrize("stat", ["", "700 (qemu) S 1", "700 (qemu) " + "x " * 30])
def test_a_stat_without_a_start_time_is_refused(proc: FakeProc, stat: str) -> None:
    (proc.root / str(PID) / "stat").write_text(stat)
    with pytest.raises(MeterError, match="no start time"):
        clock_of(proc)


def test_a_kernel_without_schedstat_is_named(proc: FakeProc) -> None:
    (proc.thread(701, "CPU 0/TCG").task(701) / "schedstat").unlink()
    with (
        clock_of(proc) as clock,
        pytest.raises(MeterError, match=r"task/701/schedstat is missing: .*CONFIG_SCHED_INFO"),
    ):
        clock.read(1.0)


def test_a_kernel_that_counts_nothing_does_not_make_a_worker_idle(proc: FakeProc) -> None:
    proc.thread(701, "CPU 0/TCG", 0)
    with clock_of(proc) as clock:
        for _ in range(2):
            with pytest.raises(MeterError, match="ever ran"):
                clock.read(1.0)


@pytest.mark.parametrize("line", ["", "1 2", "1 2 3 4", "a b c", "1.5 2 3"])
def test_a_line_that_is_not_three_numbers_is_shown(proc: FakeProc, line: str) -> None:
    (proc.thread(701, "CPU 0/TCG").task(701) / "schedstat").write_text(line)
    with clock_of(proc) as clock, pytest.raises(MeterError, match="three numbers, is"):
        clock.read(1.0)


def test_every_descriptor_is_closed_at_the_end(proc: FakeProc) -> None:
    proc.thread(701, "CPU 0/TCG").thread(702, "CPU 1/TCG")
    before = _open_descriptors()
    with clock_of(proc) as clock:
        clock.read(1.0)
        assert len(clock.descriptors) == 2
        proc.end_thread(702)
        clock.read(1.0)
        assert len(_open_descriptors()) == len(before) + 2  # one thread and their directory
    clock.close()
    assert _open_descriptors() == before


def test_a_clock_that_could_not_be_made_leaves_nothing_open(proc: FakeProc) -> None:
    before = _open_descriptors()
    (proc.root / str(PID) / "task").rmdir()
    for born in (BORN_S, 1.5):
        with pytest.raises(MeterError):
            VcpuClock(PID, born, QEMU, proc.root)
    (proc.root / str(PID) / "stat").write_text("nonsense")
    with pytest.raises(MeterError):
        clock_of(proc)
    assert _open_descriptors() == before


def test_running_out_of_descriptors_says_which_limit_to_raise(proc: FakeProc) -> None:
    for vcpu in range(20):
        proc.thread(800 + vcpu, f"CPU {vcpu}/TCG", vcpu + 1)
    with clock_of(proc) as clock:
        with _descriptors_left(10), pytest.raises(MeterError, match="raise LimitNOFILE"):
            clock.read(1.0)
        assert len(clock.read(1.0).vcpus) == 20


def test_a_replaced_thread_is_noticed_though_their_number_is_the_same() -> None:
    with (
        ThreadedProcess("CPU 0/TCG", "CPU 1/TCG") as process,
        VcpuClock(process.pid, born_s(process.pid), QEMU) as clock,
    ):
        for _ in range(3):
            assert runs(clock).keys() == {0, 1}
        process.replace("CPU 1/TCG", "CPU 2/TCG")
        assert runs(clock).keys() == {0, 2}


def test_threads_of_a_real_process_come_and_go() -> None:
    with (
        ThreadedProcess("CPU 0/TCG") as process,
        VcpuClock(process.pid, born_s(process.pid), QEMU) as clock,
    ):
        process.begin("CPU 1/TCG")
        assert runs(clock).keys() == {0, 1}
        process.end("CPU 1/TCG")
        assert runs(clock).keys() == {0}


def test_a_process_that_ended_cannot_be_measured_not_even_as_a_zombie() -> None:
    with (
        ThreadedProcess("CPU 0/TCG") as process,
        VcpuClock(process.pid, born_s(process.pid), QEMU) as clock,
    ):
        clock.read(1.0)
        process.kill()
        with pytest.raises(MeterError, match="no vCPU thread"):
            clock.read(2.0)
        process.reap()
        with pytest.raises(MeterError, match="has ended"):
            clock.read(3.0)


def test_a_vcpu_that_ran_is_online_and_one_that_only_began_is_not() -> None:
    with (
        ThreadedProcess("CPU 0/TCG", "CPU 1/TCG") as process,
        VcpuClock(process.pid, born_s(process.pid), QEMU) as clock,
    ):
        process.spin("CPU 0/TCG", 0.01)
        assert clock.ran([0, 1, 2]) == {0}
        process.replace("CPU 1/TCG", "CPU 2/TCG")
        process.spin("CPU 2/TCG", 0.01)
        assert clock.ran([0, 1, 2]) == {0, 2}


def test_a_thread_that_outlives_the_unplug_counts_since_its_mark(
    proc: FakeProc,
) -> None:
    proc.thread(701, "EMT-0", 9 * ONLINE_RUN_NS).thread(702, "EMT-1", 9 * ONLINE_RUN_NS)
    with clock_of(proc, VIRTUALBOX) as clock:
        assert clock.ran([1]) == {1}
        clock.mark([1])
        assert clock.ran([1]) == frozenset()
        proc.thread(702, "EMT-1", 10 * ONLINE_RUN_NS)
        assert clock.ran([1]) == frozenset()
        proc.thread(702, "EMT-1", 10 * ONLINE_RUN_NS + 1)
        assert clock.ran([1]) == {1}


def test_a_mark_of_a_thread_that_has_ended_is_forgotten_by_the_next_one(proc: FakeProc) -> None:
    proc.thread(701, "CPU 0/TCG").thread(702, "CPU 1/TCG", 9 * ONLINE_RUN_NS)
    with clock_of(proc) as clock:
        clock.mark([1])
        proc.end_thread(702)
        clock.mark([1])
        proc.thread(703, "CPU 1/TCG", 10 * ONLINE_RUN_NS)
        assert clock.ran([1]) == {1}


def test_a_thread_that_began_after_the_mark_counts_from_0(proc: FakeProc) -> None:
    proc.thread(701, "CPU 0/TCG").thread(702, "CPU 1/TCG", 9 * ONLINE_RUN_NS)
    with clock_of(proc) as clock:
        clock.mark([1])
        proc.thread(702, "CPU 1/TCG", 2 * ONLINE_RUN_NS)
        assert clock.ran([1]) == {1}


@pytest.mark.parametrize(
    ("own", "answer"),
    [("5 0 1\n", True), ("0 0 0\n", False), ("", False), ("5\n", False), ("a b c\n", False)],
)
def test_supported_means_that_the_kernel_counts(proc: FakeProc, own: str, answer: bool) -> None:
    assert supported(proc.own_schedstat(own).root) is answer


def test_a_kernel_without_the_file_is_not_supported_and_this_one_is(proc: FakeProc) -> None:
    assert not supported(proc.root)
    assert supported()


def _open_descriptors() -> set[int]:
    # Listing needs one itself, which is closed by the time that it is asked for.
    listed = [entry for entry in Path("/proc/self/fd").iterdir() if entry.exists()]
    return {int(entry.name) for entry in listed if entry.exists()}


@contextmanager
def _descriptors_left(count: int) -> Iterator[None]:
    """Let this process open only so many more descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(_open_descriptors())
    gaps = [
        os.open("/dev/null", os.O_RDONLY) for _ in range(highest + 1 - len(_open_descriptors()))
    ]
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in gaps:
            os.close(descriptor)
