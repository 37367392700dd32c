"""The host's arbiter, as the loop uses it: each worker's grant, and what can be lent.

The deciding is decide/arbiter.py's and decide/forecast.py's; here their inputs come together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from hotslot.claims import Claims, highest_priorities
from hotslot.decide.arbiter import Arbitration, Grant, Lending, shared_out
from hotslot.decide.forecast import Forecast, Outlook
from hotslot.leases import LeaseBook
from hotslot.model import Lease
from hotslot.track import Track

STEADY_S = 2.0
"""So long must cores be free before they are lent: what comes and goes is noise."""


class Sharing:
    """One host's cores among its workers.

    ``weights`` are those of the workers' jobs at the last share, by worker.
    ``lends``: whether cores that owners do not need may start other jobs. ``offered``: CPUs that
    schedulers may fill at any moment. ``on_room`` is called when more can be lent than before.
    """

    def __init__(
        self,
        cores: int,
        *,
        lending: Lending | None = None,
        claims: Claims | None = None,
        forecast: Forecast | None = None,
        lends: bool = False,
    ) -> None:
        self.cores = cores
        self.lends = lends
        self.forecast = forecast or Forecast()
        self.last: Arbitration | None = None
        self.weights: dict[str, float] = {}
        self.offered = 0
        self.on_room: Callable[[], None] = lambda: None
        self.claims = claims or Claims()
        self._lending = lending or Lending()
        self._idle = 0.0
        self._began: float | None = None
        self._seen_at: float | None = None
        self._promises: deque[tuple[float, int]] = deque()
        self._short_since: dict[str, float] = {}

    @property
    def promise(self) -> int:
        """CPUs that the schedulers' limits may add up to, requests of running jobs included.

        The host's cores until jobs were watched for a horizon, and while nothing is lent.
        """
        if not self._promises or not self.lends or not self._watched():
            return self.cores
        return max(self.cores, min(promise for _, promise in self._promises))

    @property
    def lent(self) -> int:
        """CPUs that may be promised beyond the cores."""
        return self.promise - self.cores

    def see(self, mono: float, tracks: Iterable[Track], book: LeaseBook) -> None:
        """Learn from what all jobs wish for now, once a cycle."""
        before, self._seen_at = self._seen_at, mono
        if before is None or mono <= before:
            self._began = mono
            return
        jobs = [(track, lease) for track in tracks if (lease := book.on(track.name))]
        self.claims.forget(lease for _, lease in jobs)
        self.forecast.see(mono - before, [_outlook(*job) for job in jobs])
        granted = sum(track.granted for track, _ in jobs)
        wanted = sum(track.last.wanted_cores for track, _ in jobs if track.last is not None)
        self._idle = self.forecast.idle(mono - before, granted, wanted)

    def share(self, tracks: Iterable[Track], book: LeaseBook, wall: float) -> dict[str, Grant]:
        """Return the grants of the workers that have a wish."""
        highest = highest_priorities(lease.placement for lease in book.all())
        claims = []
        for track in tracks:
            if track.wished is not None:
                lease = book.on(track.name)
                most = highest.get(lease.placement.scheduler, 0.0) if lease else 0.0
                claims.append(self.claims.of(track, lease, wall, most))
        self.weights = {claim.worker: claim.weight for claim in claims}
        self.last = shared_out(
            self.cores,
            claims,
            self._lending,
            offered=self.offered,
            keep=self.forecast.keep,
            idle=self._idle,
        )
        self._steady(self.last.promise)
        self._short(self.last.requeue)
        return self.last.grants

    def overdue(self, after_s: float) -> str:
        """Return the worker whose job should make room, '' for none: for ``after_s`` an owner has
        been short of what it wants while this one borrows."""
        for worker, since in self._short_since.items():
            if self._seen_at is not None and self._seen_at - since >= after_s:
                return worker
        return ""

    def _watched(self) -> bool:
        if self._began is None or self._seen_at is None:
            return False
        return self._seen_at - self._began >= self.forecast.foresight.horizon_s

    def _steady(self, promise: int) -> None:
        """Keep what could be promised in the last seconds: the least of it counts."""
        before, now = self.promise, self._seen_at or 0.0
        self._promises.append((now, promise))
        while self._promises[0][0] < now - STEADY_S:
            self._promises.popleft()
        if self.promise > before:
            self.on_room()

    def _short(self, worker: str) -> None:
        since = self._short_since.get(worker, self._seen_at or 0.0)
        self._short_since = {worker: since} if worker else {}


def _outlook(track: Track, lease: Lease) -> Outlook:
    request = track.request_of(lease)
    wish = min(request, track.wished.to_vcpus) if track.wished is not None else request
    placement = lease.placement
    family = f"{placement.scheduler} {placement.user} {placement.name}"
    return Outlook(str(lease.id), family, wish, request, track.granted >= wish)
