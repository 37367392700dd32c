"""What the agent answers to ``GET /v1/status``: plain values, for ``hotslot status``."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from hotslot import __version__
from hotslot.accounts import Foretold, Holding, HostAccount, Offered, Queued, account, queue
from hotslot.config import Config
from hotslot.decide.arbiter import Arbitration, Clawback, Grant
from hotslot.decide.forecast import Forecast
from hotslot.model import Lease, Placement, Sample
from hotslot.sharing import Sharing
from hotslot.track import Track
from hotslot.wiring import Parts


def snapshot(config: Config, parts: Parts) -> dict[str, Any]:
    """Return the agent's state now; units are in the keys' names."""
    groups = parts.offers.figures()
    scheduler_of = {worker: one.name for one in parts.desks.values() for worker in one.workers}
    workers = [
        {"scheduler": scheduler_of.get(track.name), **_worker(track, parts)}
        for track in parts.loop.tracks.values()
    ]
    return {
        "host": parts.host,
        "at": time.time(),
        "version": __version__,
        "agent": _agent(parts),
        "cores": parts.cores,
        "policy": config.policy.name,
        "ledger": dataclasses.asdict(host_account(config, parts, groups)),
        "offers": {
            "groups": groups,
            "waiting_jobs": {name: len(jobs) for name, jobs in parts.offers.waiting.items()},
            "queue": [dataclasses.asdict(one) for one in _queue(parts, groups)],
            "problem": parts.offers.problem or None,
        },
        "workers": workers,
    }


def host_account(config: Config, parts: Parts, groups: list[dict[str, Any]]) -> HostAccount:
    """Return the host's account; until the first cycle, no core beyond what is there is known."""
    sharing = parts.loop.sharing
    last = sharing.last
    return account(
        sharing.cores,
        [_holding(track, parts, last) for track in parts.loop.tracks.values()],
        capacity=last.capacity if last else sharing.cores,
        headroom=last.headroom if last else 0,
        lending=config.lending.enabled,
        forecast=_foretold(sharing.forecast),
        offers=[
            Offered(one["scheduler"], one["group"], one["promised_cpus"] - one["used_cpus"])
            for one in groups
        ],
    )


def _holding(track: Track, parts: Parts, last: Arbitration | None) -> Holding:
    lease = parts.loop.book.on(track.name)
    grant = last.grants.get(track.name) if last else None
    return Holding(
        worker=track.name,
        floor=track.settings.floor,
        granted=track.granted,
        job=lease.placement.job_id if lease else "",
        request=track.request_of(lease) if lease else 0,
        lent=lease is not None and grant is not None and grant.lent,
        started_at=lease.opened_at if lease else 0.0,
        used_cores=track.last.used_cores if track.last else 0.0,
    )


def _foretold(forecast: Forecast) -> Foretold:
    ahead = forecast.foresight
    exceeded = round(forecast.exceeded * forecast.told)
    return Foretold(forecast.keep, ahead.horizon_s, ahead.risk, forecast.told, exceeded)


def _queue(parts: Parts, groups: list[dict[str, Any]]) -> list[Queued]:
    """Return who waits for what, as far as the schedulers answer."""
    loop = parts.loop
    requests = sum(track.request_of(lease) for track, lease in _jobs(parts))
    used = max(requests, sum(one["used_cpus"] for one in groups))
    room = {
        desk.name: [
            loop.tracks[worker].settings.ceiling
            for worker in desk.workers
            if loop.tracks[worker].clock is not None and loop.lease_on(worker) is None
        ]
        for desk in parts.desks.values()
    }
    return queue(loop.sharing.promise - used, parts.offers.waiting, room)


def _jobs(parts: Parts) -> list[tuple[Track, Lease]]:
    book = parts.loop.book
    tracks = parts.loop.tracks.values()
    return [(track, lease) for track in tracks if (lease := book.on(track.name))]


def _agent(parts: Parts) -> dict[str, Any]:
    return {
        "started_at": parts.started_at,
        "cycles": parts.loop.cycles,
        "record": dataclasses.asdict(parts.writer.state),
        "schedulers": [
            {
                "name": reconciler.desk.name,
                "calls": reconciler.desk.calls,
                "silent_since": reconciler.desk.silent_since,
                "compared_at": reconciler.last_at,
                "compared": reconciler.last_words,
                "not_written_back": parts.writers[reconciler.desk.name].waiting,
            }
            for reconciler in parts.reconcilers
        ],
    }


def _worker(track: Track, parts: Parts) -> dict[str, Any]:
    lease = parts.loop.book.on(track.name)
    last: Sample | None = track.last
    return {
        "worker": track.name,
        "vm": track.settings.vm_name,
        "floor_vcpus": track.settings.floor,
        "ceiling_vcpus": track.settings.ceiling,
        "up": track.clock is not None,
        "busy": track.actuator.busy,
        "granted_vcpus": track.granted,
        "used_cores": last.used_cores if last else None,
        "waited_cores": last.waited_cores if last else None,
        **_job(lease.placement if lease else None),
        "requested_vcpus": lease.request if lease else None,
        "entitled_vcpus": track.request_of(lease) if lease else None,
        "lease": lease.id if lease else None,
        "opened_at": lease.opened_at if lease else None,
        **_shared(track, parts.loop.sharing),
        "asked": list(parts.loop.sharing.claims.said(lease, time.time())) if lease else [],
        "decision": track.decision.reason if track.decision else None,
        "decided_vcpus": track.decision.to_vcpus if track.decision else None,
        "decided_at": track.decided_at,
        "changed_from_vcpus": track.changed_from,
        "changed_at": track.changed_at,
        "problem": track.problem or None,
    }


def _job(placement: Placement | None) -> dict[str, Any]:
    return {
        "job": placement.job_id if placement else None,
        "array_job": (placement.array_job_id or None) if placement else None,
        "array_task": (placement.array_task_id or None) if placement else None,
        "het_job": (placement.het_job_id or None) if placement else None,
        "phase": placement.phase.value if placement else None,
        "job_name": placement.name if placement else None,
        "user": placement.user if placement else None,
    }


def _shared(track: Track, sharing: Sharing) -> dict[str, Any]:
    """Return what a worker's policy wishes and what the arbiter makes of it."""
    last = sharing.last
    grant: Grant | None = last.grants.get(track.name) if last else None
    steps = last.clawback if last else ()
    step: Clawback | None = next((one for one in steps if one.worker == track.name), None)
    return {
        "wish_vcpus": track.wished.to_vcpus if track.wished else None,
        "wish": track.wished.reason if track.wished else None,
        "target_vcpus": grant.target if grant else None,
        "borrows": grant is not None and grant.lent,
        "grant": (grant.reason or None) if grant else None,
        "clawback_vcpus": step.from_vcpus - step.to_vcpus if step else 0,
        "clawback": step.reason if step else None,
        "weight": sharing.weights.get(track.name),
        "to_be_requeued": last is not None and last.requeue == track.name,
    }
