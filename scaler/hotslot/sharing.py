"""The host's arbiter, as the loop uses it: each worker's grant, and what can be lent.

The deciding is decide/arbiter.py's and decide/forecast.py's; here their inputs come together.
"""

from __future__ import annotations

from collections.abc import Iterable

from hotslot.decide.arbiter import Arbitration, Claim, Grant, Lending, shared_out
from hotslot.decide.forecast import Forecast, Outlook
from hotslot.leases import LeaseBook
from hotslot.model import Lease
from hotslot.track import Track


class Sharing:
    """One host's cores among its workers.

    ``lends``: whether cores that owners do not need may start other jobs.
    """

    def __init__(
        self,
        cores: int,
        *,
        lending: Lending | None = None,
        forecast: Forecast | None = None,
        lends: bool = False,
    ) -> None:
        self.cores = cores
        self.forecast = forecast or Forecast()
        self.last: Arbitration | None = None
        self._lending = lending or Lending()
        self._lends = lends
        self._seen_at: float | None = None

    @property
    def promise(self) -> int:
        """CPUs that the schedulers' limits may add up to, requests of running jobs included."""
        if self.last is None or not self._lends:
            return self.cores
        return max(self.last.promise, self.cores)

    def see(self, mono: float, tracks: Iterable[Track], book: LeaseBook) -> None:
        """Learn from what all jobs wish for now, once a cycle."""
        before, self._seen_at = self._seen_at, mono
        if before is None or mono <= before:
            return
        jobs = [(track, lease) for track in tracks if (lease := book.on(track.name))]
        self.forecast.see(mono - before, [_outlook(*job) for job in jobs])

    def share(self, tracks: Iterable[Track], book: LeaseBook) -> dict[str, Grant]:
        """Return the grants of the workers that have a wish."""
        claims = [_claim(t, book.on(t.name)) for t in tracks if t.wished is not None]
        self.last = shared_out(self.cores, claims, self._lending, keep=self.forecast.keep)
        return self.last.grants


def _claim(track: Track, lease: Lease | None) -> Claim:
    wished = track.wished.to_vcpus if track.wished is not None else track.granted
    return Claim(
        worker=track.name,
        floor=track.settings.floor,
        ceiling=track.settings.ceiling,
        held=track.held_vcpus,
        wish=wished,
        request=track.request_of(lease) if lease is not None else 0,
        started_at=lease.opened_at if lease is not None else 0.0,
    )


def _outlook(track: Track, lease: Lease) -> Outlook:
    request = track.request_of(lease)
    wish = min(request, track.wished.to_vcpus) if track.wished is not None else request
    placement = lease.placement
    family = f"{placement.scheduler} {placement.user} {placement.name}"
    return Outlook(str(lease.id), family, wish, request, track.granted >= wish)
