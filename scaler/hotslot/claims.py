"""What a job is entitled to beside its request: its owner's wishes, its weight, its growth.

From the scheduler's words on the job to what the arbiter is told of its worker (docs/arbiter.md).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import replace

from hotslot.decide.arbiter import Claim
from hotslot.decide.preferences import Preferences, SitePolicy, asked_for, sentences
from hotslot.decide.weights import Standing, Urgency, left_core_s, weight
from hotslot.model import Decision, JobPhase, Lease, Placement, Sample
from hotslot.track import Track

SATURATED = 0.95
"""A job that wants this part of what it has, all the time, could use more."""

GROWTH_S = 10.0
"""How long a job must be saturated, before it grows beyond its request by a step."""


class Claims:
    """The claims of a host's workers.

    ``growth``: how far a job may grow beyond its request, as a part of it.
    """

    def __init__(self, site: SitePolicy | None = None, *, growth: float = 0.0) -> None:
        self._site = site or SitePolicy()
        self._growth = growth
        self._preferences: dict[tuple[int, str], Preferences] = {}

    def wish(self, track: Track, lease: Lease | None, wished: Decision) -> Decision:
        """Return what a job wants, by its policy, its owner and its growth.

        Worked: ``min=4`` and a policy's wish for 2: 4. A job of 4 at 4, saturated for 10 s, with
        growth 0.5: 5, and 6 at most.
        """
        if lease is None or lease.placement.phase is JobPhase.SUSPENDED:
            return wished
        request, asked = track.request_of(lease), self._asked(lease, wished.at)
        least = asked.floor(track.settings.floor, request)
        if wished.to_vcpus < least:
            words = f"{wished.reason}; kept at {least}, as its owner asked"
            return replace(wished, to_vcpus=least, reason=words)
        most = min(track.settings.ceiling, request + self._burst(asked, request))
        if wished.to_vcpus < request or most <= request:
            return wished
        size = min(most, max(request, _grown(track)))
        if size <= request:
            return wished
        words = f"{wished.reason}; {size - request} more than its request, which nobody owns"
        return replace(wished, to_vcpus=size, reason=words)

    def of(self, track: Track, lease: Lease | None, at: float, highest: float) -> Claim:
        """Return a worker's claim; ``highest``: the highest priority of its scheduler's jobs."""
        wished = track.wished.to_vcpus if track.wished is not None else track.granted
        if lease is None:
            return Claim(
                worker=track.name,
                floor=track.settings.floor,
                ceiling=track.settings.ceiling,
                held=track.held_vcpus,
                wish=wished,
            )
        placement, request, asked = lease.placement, track.request_of(lease), self._asked(lease, at)
        standing = Standing(_part(placement.priority, highest), placement.fair_share)
        suspended = placement.phase is JobPhase.SUSPENDED
        floor = track.settings.floor
        return Claim(
            worker=track.name,
            floor=floor if suspended else asked.floor(floor, request),
            ceiling=track.settings.ceiling,
            held=track.held_vcpus,
            wish=wished,
            request=request,
            weight=weight(standing, _urgency(track, lease, asked, at)),
            started_at=lease.opened_at,
            burst=self._burst(asked, request),
            may_requeue=placement.may_requeue,
        )

    def said(self, lease: Lease, at: float) -> tuple[str, ...]:
        """Return in words what a job's owner asked for, and what of it does not hold."""
        return tuple(sentences(self._asked(lease, at)))

    def forget(self, leases: Iterable[Lease]) -> None:
        """Let go of all but these leases' preferences."""
        kept = {(lease.id, lease.placement.asked) for lease in leases}
        self._preferences = {key: one for key, one in self._preferences.items() if key in kept}

    def _asked(self, lease: Lease, at: float) -> Preferences:
        asked = lease.placement.asked
        if not asked:
            return _NOTHING
        known = self._preferences.get((lease.id, asked))
        if known is None:
            offset_s = float(time.localtime(at).tm_gmtoff)
            known = asked_for(asked, lease.request, at, self._site, utc_offset_s=offset_s)
            self._preferences[lease.id, asked] = known
        return known

    def _burst(self, asked: Preferences, request: int) -> int:
        return math.floor(self._growth * request) if asked.burst and self._site.allow_burst else 0


_NOTHING = Preferences()


def highest_priorities(placements: Iterable[Placement]) -> dict[str, float]:
    """Return the highest priority among each scheduler's jobs here, 0 where none has one."""
    found: dict[str, float] = {}
    for one in placements:
        known = found.get(one.scheduler, 0.0)
        found[one.scheduler] = max(known, one.priority or 0.0)
    return found


def _part(priority: float | None, highest: float) -> float | None:
    if priority is None or highest <= 0:
        return None
    return priority / highest


def _grown(track: Track) -> int:
    """Return what a job could use: a vCPU in four more when saturated, else what it wanted."""
    recent = list(_last(track, GROWTH_S))
    if not recent:
        return track.granted
    if all(one.wanted_cores >= SATURATED * one.granted_vcpus for one in recent):
        long = recent[-1].at - recent[0].at + recent[0].interval_s >= GROWTH_S
        return track.granted + (max(1, track.granted // 4) if long else 0)
    return math.ceil(max(one.wanted_cores for one in recent) / SATURATED)


def _last(track: Track, span_s: float) -> list[Sample]:
    """Return the samples of the last seconds, oldest first."""
    found: list[Sample] = []
    for one in reversed(track.samples):
        if one.at - one.interval_s < track.samples[-1].at - span_s - 0.5:
            break
        found.append(one)
    return found[::-1]


def _urgency(track: Track, lease: Lease, asked: Preferences, at: float) -> Urgency | None:
    """Return a job's work and time; None without a time limit to tell its work from."""
    placement = lease.placement
    limit_s = placement.time_limit_s
    if limit_s is None:
        return None
    began = placement.started_at or lease.opened_at
    ends = [began + limit_s, placement.deadline_at, asked.deadline_at]
    return Urgency(
        left_core_s(lease.request, limit_s, lease.totals.used_core_s, lease.totals.life_s),
        min(end for end in ends if end is not None) - at,
        track.granted,
    )
