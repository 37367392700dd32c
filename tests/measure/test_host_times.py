"""The host as a whole."""

from __future__ import annotations

import os
import time

from hotslot.measure.host import HostTimes, busy_cores, look


def test_busy_cores_are_core_seconds_by_time() -> None:
    assert busy_cores(HostTimes(10.0, 4, 100.0), HostTimes(12.0, 4, 103.0)) == 1.5


def test_a_host_is_never_busier_than_its_cores_nor_less_than_idle() -> None:
    assert busy_cores(HostTimes(1.0, 2, 0.0), HostTimes(2.0, 2, 2.1)) == 2.0
    assert busy_cores(HostTimes(1.0, 2, 5.0), HostTimes(2.0, 2, 4.9)) == 0.0


def test_two_looks_at_once_tell_nothing() -> None:
    assert busy_cores(HostTimes(1.0, 2, 0.0), HostTimes(1.0, 2, 1.0)) is None


def test_a_busy_thread_shows_on_this_host() -> None:
    before = look(time.monotonic())
    until = time.thread_time() + 0.1
    while time.thread_time() < until:
        pass
    after = look(time.monotonic())
    assert after.cores == os.cpu_count()
    assert after.busy_core_s - before.busy_core_s >= 0.08
