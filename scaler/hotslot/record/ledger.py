"""The host's own account: what its workers were granted, minute by minute, job or no job.

It adds up granted vCPUs over time by itself, not from the samples that leases are charged with:
so the two can be compared, and what one of them misses shows (``hotslot verify``).
"""

from __future__ import annotations

from math import floor

from hotslot.model import Sample
from hotslot.record.batch import LedgerMinute
from hotslot.record.totals import ledger_minutes


class HostLedger:
    """Takes looks at workers, gives minutes; monotonic times measure, wall times place."""

    def __init__(self, host_cores: int) -> None:
        self._cores = host_cores
        self._seen: dict[str, tuple[float, int]] = {}  # worker -> monotonic s, vCPUs
        self._minutes: dict[int, _Sums] = {}

    def start(self, worker: str, mono: float, vcpus: int) -> None:
        """Count a worker from this moment on: it has so many vCPUs."""
        self._seen[worker] = (mono, vcpus)

    def see(self, worker: str, mono: float, wall: float, vcpus: int, request: int | None) -> None:
        """Take down what a worker was granted since it was last seen; from now on, ``vcpus``.

        ``request`` is that of the lease that held it all the while, None: nobody did. Worked:
        2 vCPUs seen at 10 s, 3 at 12 s with a lease of 4: 4 core-seconds held, 8 requested.
        """
        last = self._seen.get(worker)
        if last is None or mono <= last[0]:
            self._seen[worker] = (last[0] if last else mono, vcpus)
            return
        self._seen[worker] = (mono, vcpus)
        span_s = mono - last[0]
        granted = last[1] * span_s
        if request is None:
            self._add(wall, span_s, 0.0, granted, 0.0, 0.0, 1.0)
        else:
            self._add(wall, span_s, granted, 0.0, request * span_s, 0.0, 1.0)

    def used(self, taken: Sample) -> None:
        """Take down what a worker used; its time was or will be seen apart."""
        used = taken.used_cores * taken.interval_s
        self._add(taken.at, taken.interval_s, 0.0, 0.0, 0.0, used, 0.0)

    def was_held(self, taken: Sample, request: int) -> None:
        """Correct what was taken for idle and belongs to a lease after all."""
        held = taken.held_cores * taken.interval_s
        requested = request * taken.interval_s
        self._add(taken.at, taken.interval_s, held, -held, requested, 0.0, 0.0)

    def take(self) -> tuple[LedgerMinute, ...]:
        """Return what has come in since the last time, one entry a minute."""
        taken, self._minutes = self._minutes, {}
        return tuple(sums.minute(at, self._cores) for at, sums in taken.items())

    def _add(
        self,
        at: float,
        interval_s: float,
        held: float,
        idle: float,
        requested: float,
        used: float,
        looked: float,
    ) -> None:
        """Add core-seconds of an interval that ends at ``at``; ``looked``: 1 when it counts as
        looked at, else 0. Twice a worker and cycle: most intervals lie within one minute."""
        minute = floor(at / 60) * 60
        if 0 < interval_s <= at - minute:
            self._sums(minute).add(interval_s * looked, held, idle, requested, used)
            return
        for one in ledger_minutes(
            at, interval_s, held, used, self._cores, requested_core_s=requested, idle_core_s=idle
        ):
            self._sums(one.minute_at).add(
                one.span_s * looked,
                one.held_core_s,
                one.idle_core_s,
                one.requested_core_s,
                one.used_core_s,
            )

    def _sums(self, minute: int) -> _Sums:
        known = self._minutes.get(minute)
        if known is None:
            known = self._minutes[minute] = _Sums()
        return known


class _Sums:
    """What one minute has come to so far."""

    __slots__ = ("held", "idle", "requested", "span_s", "used")

    def __init__(self) -> None:
        self.span_s = self.held = self.idle = self.requested = self.used = 0.0

    def add(self, span_s: float, held: float, idle: float, requested: float, used: float) -> None:
        """Add seconds and core-seconds."""
        self.span_s += span_s
        self.held += held
        self.idle += idle
        self.requested += requested
        self.used += used

    def minute(self, at: int, cores: int) -> LedgerMinute:
        """Return the entry of the record."""
        return LedgerMinute(
            minute_at=at,
            span_s=self.span_s,
            held_core_s=self.held,
            used_core_s=self.used,
            host_cores=cores,
            requested_core_s=self.requested,
            idle_core_s=self.idle,
        )
