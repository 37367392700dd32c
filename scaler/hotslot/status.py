"""What the agent answers to ``GET /v1/status``: plain values, for ``hotslot status``."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from hotslot import __version__
from hotslot.config import Config
from hotslot.model import Sample
from hotslot.track import Track
from hotslot.wiring import Parts


def snapshot(config: Config, parts: Parts) -> dict[str, Any]:
    """Return the agent's state now; units are in the keys' names."""
    workers = [_worker(track, parts) for track in parts.loop.tracks.values()]
    return {
        "host": parts.host,
        "at": time.time(),
        "version": __version__,
        "agent": _agent(parts),
        "cores": parts.cores,
        "policy": config.policy.name,
        "offers": {
            "groups": parts.offers.figures(),
            "waiting_jobs": parts.offers.waiting(),
            "problem": parts.offers.problem or None,
        },
        "workers": workers,
    }


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
    placement = lease.placement if lease else None
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
        "job": placement.job_id if placement else None,
        "job_name": placement.name if placement else None,
        "user": placement.user if placement else None,
        "requested_vcpus": lease.request if lease else None,
        "lease": lease.id if lease else None,
        "opened_at": lease.opened_at if lease else None,
        "decision": track.decision.reason if track.decision else None,
        "decided_vcpus": track.decision.to_vcpus if track.decision else None,
        "decided_at": track.decided_at,
        "problem": track.problem or None,
    }
