"""The host's own account: what its workers were granted, minute by minute, job or no job.

It adds up granted vCPUs over time by itself, not from the samples that leases are charged with:
so the two can be compared, and what one of them misses shows (``hotslot verify``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hotslot.model import Sample
from hotslot.record.batch import LedgerMinute
from hotslot.record.totals import ledger_minutes


@dataclass(frozen=True, slots=True)
class _Seen:
    mono: float
    vcpus: int


class HostLedger:
    """Takes looks at workers, gives minutes; monotonic times measure, wall times place."""

    def __init__(self, host_cores: int) -> None:
        self._cores = host_cores
        self._seen: dict[str, _Seen] = {}
        self._minutes: list[LedgerMinute] = []

    def start(self, worker: str, mono: float, vcpus: int) -> None:
        """Count a worker from this moment on: it has so many vCPUs."""
        self._seen[worker] = _Seen(mono, vcpus)

    def see(self, worker: str, mono: float, wall: float, vcpus: int, request: int | None) -> None:
        """Take down what a worker was granted since it was last seen; from now on, ``vcpus``.

        ``request`` is that of the lease that held it all the while, None: nobody did. Worked:
        2 vCPUs seen at 10 s, 3 at 12 s with a lease of 4: 4 core-seconds held, 8 requested.
        """
        last = self._seen.get(worker)
        if last is None or mono <= last.mono:
            self._seen[worker] = _Seen(last.mono if last else mono, vcpus)
            return
        self._seen[worker] = _Seen(mono, vcpus)
        span_s = mono - last.mono
        granted = last.vcpus * span_s
        self._add(
            wall,
            span_s,
            held=0.0 if request is None else granted,
            idle=granted if request is None else 0.0,
            requested=(request or 0) * span_s,
            looked=True,
        )

    def used(self, taken: Sample) -> None:
        """Take down what a worker used; its time was or will be seen apart."""
        self._add(taken.at, taken.interval_s, used=taken.used_cores * taken.interval_s)

    def was_held(self, taken: Sample, request: int) -> None:
        """Correct what was taken for idle and belongs to a lease after all."""
        held = taken.held_cores * taken.interval_s
        requested = request * taken.interval_s
        self._add(taken.at, taken.interval_s, held=held, idle=-held, requested=requested)

    def take(self) -> tuple[LedgerMinute, ...]:
        """Return what has come in since the last time, one entry a minute."""
        merged: dict[int, LedgerMinute] = {}
        for one in self._minutes:
            known = merged.get(one.minute_at)
            merged[one.minute_at] = one if known is None else known.plus(one)
        self._minutes = []
        return tuple(merged.values())

    def _add(
        self,
        at: float,
        interval_s: float,
        *,
        held: float = 0.0,
        idle: float = 0.0,
        requested: float = 0.0,
        used: float = 0.0,
        looked: bool = False,
    ) -> None:
        minutes = ledger_minutes(
            at, interval_s, held, used, self._cores, requested_core_s=requested, idle_core_s=idle
        )
        self._minutes.extend(minutes if looked else (replace(one, span_s=0.0) for one in minutes))
