"""The host as a whole: how many cores it has and how many are busy."""

from __future__ import annotations

from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class HostTimes:
    """One look at the host: its online cores, and the core-seconds they were busy since boot.

    Busy is whatever is not idle: guests, the host's own work, and what an outer hypervisor took
    away (steal), since no worker can have it. Waiting for I/O is idle.
    """

    monotonic_s: float
    cores: int
    busy_core_s: float


def look(monotonic_s: float) -> HostTimes:
    """Read the host's times; ``monotonic_s`` is now."""
    times = psutil.cpu_times()
    # guest and guest_nice are part of user and nice already.
    busy_core_s = times.user + times.nice + times.system + times.irq + times.softirq + times.steal
    return HostTimes(monotonic_s, psutil.cpu_count() or 1, busy_core_s)


def busy_cores(previous: HostTimes, current: HostTimes) -> float | None:
    """Return the cores kept busy between two looks, 0 … cores; None if no time has passed.

    Worked: 2 s apart, 3.0 core-seconds busier: 1.5 cores.
    """
    interval_s = current.monotonic_s - previous.monotonic_s
    if interval_s <= 0:
        return None
    busy = (current.busy_core_s - previous.busy_core_s) / interval_s
    return min(max(busy, 0.0), float(current.cores))
