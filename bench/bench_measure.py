"""What one pass over 64 workers of 12 vCPUs costs.

Compared in one run, over the same threads: ``VcpuClock.read``, ``psutil.Process.threads()``, and a
bare loop of preads over the descriptors that the clocks hold. Two loads: the threads are asleep,
or each of them ran between two passes. hotslot parses only lines that changed, so the second costs
more: making numbers of a line takes Python longer than reading it. Exits 1 beyond ``LIMITS``.
"""

from __future__ import annotations

import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import psutil

from hotslot.measure.procfs import born_s
from hotslot.measure.vcpus import VcpuClock

PROCESSES = 64
THREADS = 12
REPETITIONS = {"asleep": 60, "ran": 20}
SETTLE_S = 0.1


class Limit(NamedTuple):
    """What a pass of hotslot may cost at most, in bare loops and as a part of psutil's pass."""

    bare_loops: float
    part_of_psutil: float


Pass = Callable[[], object]
LIMITS = {"asleep": Limit(1.5, 1 / 8), "ran": Limit(5.0, 1 / 4)}

# Forks processes with threads named like QEMU's vCPUs; SIGUSR1 makes each of them run a little.
PROGRAM = r"""
import os, signal, sys, threading

def vcpu(index, woken):
    with open(f"/proc/self/task/{threading.get_native_id()}/comm", "w") as comm:
        comm.write(f"CPU {index}/TCG")
    with woken:
        while True:
            woken.wait()

def worker(threads):
    woken = threading.Condition()
    signal.signal(signal.SIGUSR1, lambda *_: None)
    for index in range(threads):
        threading.Thread(target=vcpu, args=(index, woken), daemon=True).start()
    os.write(1, b"%d\n" % os.getpid())
    while True:
        signal.pause()
        with woken:
            woken.notify_all()

for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        worker(int(sys.argv[2]))
sys.stdin.read()
os.killpg(0, signal.SIGKILL)
"""


@contextmanager
def workers() -> Iterator[list[int]]:
    """Run the processes; they end with this block or with this process."""
    command = [sys.executable, "-S", "-E", "-c", PROGRAM, str(PROCESSES), str(THREADS)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as spawner:
        assert spawner.stdout is not None
        yield [int(spawner.stdout.readline()) for _ in range(PROCESSES)]
        spawner.communicate()


def wake(pids: list[int]) -> None:
    """Let every thread run for a moment, and sleep again."""
    for pid in pids:
        os.kill(pid, signal.SIGUSR1)
    time.sleep(SETTLE_S)


class Cost(NamedTuple):
    """Medians over all repetitions; the ratios are of passes of one repetition each, since the
    speed of a shared machine changes from one to the next."""

    bare_ms: float
    hotslot_ms: float
    psutil_ms: float
    bare_loops: float
    part_of_psutil: float


def cost(passes: Sequence[Pass], before: Callable[[], object], repetitions: int) -> Cost:
    """Time bare, hotslot's and psutil's pass in turn; ``before`` runs before each, untimed."""
    taken = [[timed_ms(one, before) for one in passes] for _ in range(repetitions)]
    bare, hotslot, psutil_ = (statistics.median(column) for column in zip(*taken, strict=True))
    return Cost(
        bare,
        hotslot,
        psutil_,
        statistics.median(row[1] / row[0] for row in taken),
        statistics.median(row[1] / row[2] for row in taken),
    )


def timed_ms(one: Pass, before: Callable[[], object]) -> float:
    """Return the CPU time of a pass: wall time would count what else this machine does."""
    before()
    start = time.thread_time()
    one()
    return (time.thread_time() - start) * 1000


def measured(pids: list[int]) -> dict[str, Cost]:
    """Return the costs by load."""
    clocks = [VcpuClock(pid, born_s(pid), r"CPU (\d+)/TCG") for pid in pids]
    processes = [psutil.Process(pid) for pid in pids]
    now, pread = time.monotonic, os.pread

    def hotslot() -> object:
        return [clock.read(now()) for clock in clocks]

    def threads() -> object:
        return [process.threads() for process in processes]

    def bare() -> None:
        for descriptor in descriptors:
            pread(descriptor, 64, 0)

    def bare_after_waking() -> None:
        wake(pids)
        bare()

    hotslot()
    descriptors = [descriptor for clock in clocks for descriptor in clock.descriptors]
    assert len(descriptors) == PROCESSES * THREADS, "not all threads were found"
    hotslot()
    passes = (bare, hotslot, threads)
    # A bare pass before each timed one finds caches the same whatever was timed last.
    loads = {"asleep": bare, "ran": bare_after_waking}
    result = {load: cost(passes, before, REPETITIONS[load]) for load, before in loads.items()}
    for clock in clocks:
        clock.close()
    return result


def table(loads: dict[str, Cost]) -> str:
    """Lay the medians out, with the ratios that matter."""
    lines = [f"{PROCESSES} processes of {THREADS} threads, median ms of CPU time a pass"]
    lines.append("threads    bare  hotslot   psutil   hotslot/bare   psutil/hotslot")
    for load, one in loads.items():
        figures = f"{one.bare_ms:8.2f} {one.hotslot_ms:8.2f} {one.psutil_ms:8.2f}"
        lines.append(f"{load:<7}{figures} {one.bare_loops:14.2f} {1 / one.part_of_psutil:16.1f}")
    return "\n".join(lines)


def shortfalls(loads: dict[str, Cost]) -> list[str]:
    """Say which limit was missed."""
    missed = []
    for load, one in loads.items():
        limit = LIMITS[load]
        if one.bare_loops > limit.bare_loops:
            missed.append(f"threads {load}: more than {limit.bare_loops:g} bare loops")
        if one.part_of_psutil > limit.part_of_psutil:
            missed.append(f"threads {load}: not {1 / limit.part_of_psutil:g} times below psutil")
    return missed


def main() -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with workers() as pids:
        wake(pids)
        loads = measured(pids)
    print(table(loads))
    missed = shortfalls(loads)
    print("\n".join(f"MISSED: {one}" for one in missed) or "within its limits")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
