"""The same as plain values for ``--json``: stable names, units in the names.

Times ``*_at`` are UTC epoch seconds, durations ``*_s``, ``*_core_s`` core-seconds; efficiencies
are fractions, null where their denominator is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hotslot.model import Event, ResultKind, Sample
from hotslot.record.batch import LeaseRow
from hotslot.report.asked import asked_in_words
from hotslot.report.efficiency import Figures, Job, figures_of, outcome_of, task_id
from hotslot.report.job import JobDetail, PartDetail, event_parts

Json = dict[str, Any]


def jobs_json(jobs: Iterable[Job]) -> list[Json]:
    """Return the jobs with their figures and the names of their parts."""
    return [job_json(job) for job in jobs]


def job_json(job: Job) -> Json:
    """Return one job: who, when, its figures, its parts."""
    first = job.first
    return {
        "job": job.id,
        "scheduler": first.scheduler,
        "name": first.name,
        "user": first.user,
        "account": first.account,
        "partition": first.partition,
        "state": job.state,
        "submitted_at": first.submitted_at,
        "opened_at": job.opened_at,
        "closed_at": job.closed_at,
        "requested_vcpus": job.requested_vcpus,
        **figures_json(job.figures),
        "events": {kind.name.lower(): job.count(kind) for kind in ResultKind},
        "parts": [part_json(part) for part in job.parts],
    }


def detail_json(detail: JobDetail) -> Json:
    """Return one job with the events, decisions and samples of each of its parts."""
    return {**job_json(detail.job), "parts": [_part_detail_json(part) for part in detail.parts]}


def part_json(part: LeaseRow) -> Json:
    """Return one lease with its figures and latencies."""
    lease, roll_up = part.lease, part.roll_up
    placement = lease.placement
    return {
        "lease": lease.id,
        "job": task_id(placement),
        "job_id": placement.job_id,
        "run": placement.run,
        "worker": placement.worker,
        "requested_vcpus": lease.request,
        "phase": placement.phase.value,
        "outcome": outcome_of(lease),
        "exit_code": placement.exit_code,
        "asked": placement.asked,
        "asked_in_words": asked_in_words([lease]),
        "started_at": placement.started_at,
        "ended_at": placement.ended_at,
        "opened_at": lease.opened_at,
        "closed_at": lease.closed_at,
        "close_reason": lease.close_reason.value if lease.close_reason else None,
        **figures_json(figures_of(part)),
        "events": {kind.name.lower(): roll_up.count(kind) for kind in ResultKind},
        "plug_median_s": roll_up.plug_median_s,
        "plug_max_s": roll_up.plug_max_s,
        "unplug_median_s": roll_up.unplug_median_s,
        "unplug_max_s": roll_up.unplug_max_s,
        "lost_samples": roll_up.lost_samples,
    }


def figures_json(figures: Figures) -> Json:
    """Return the figures with their units."""
    return {
        "life_s": figures.life_s,
        "requested_core_s": figures.requested_core_s,
        "held_core_s": figures.held_core_s,
        "used_core_s": figures.used_core_s,
        "returned_core_s": figures.returned_core_s,
        "borrowed_core_s": figures.borrowed_core_s,
        "waited_core_s": figures.waited_core_s,
        "saturated_s": figures.saturated_s,
        "peak_cores": figures.peak_cores,
        "efficiency_of_request": figures.efficiency_of_request,
        "efficiency_of_holding": figures.efficiency_of_holding,
    }


def _part_detail_json(part: PartDetail) -> Json:
    return {
        **part_json(part.row),
        "event_list": [_event_json(event, part) for event in part.events],
        "decisions": [
            {
                "at": one.decision.at,
                "from_vcpus": one.decision.from_vcpus,
                "to_vcpus": one.decision.to_vcpus,
                "reason": one.decision.reason,
            }
            for one in part.decisions
        ],
        "samples": samples_json(part.samples),
    }


def _event_json(event: Event, part: PartDetail) -> Json:
    parts = event_parts(event, part.decisions)
    return {
        "at": event.at,
        "from_vcpus": event.from_vcpus,
        "to_vcpus": event.to_vcpus,
        "got_vcpus": event.got_vcpus,
        "reason": event.reason,
        "result": event.result.value,
        "detail": event.detail,
        "detect_s": parts.detect_s,
        "wait_s": parts.wait_s,
        "plug_s": parts.plug_s,
        "online_s": parts.online_s,
        "took_s": event.took_s,
    }


def samples_json(samples: Sequence[Sample]) -> list[Json]:
    """Return the samples, oldest first."""
    return [
        {
            "at": one.at,
            "interval_s": one.interval_s,
            "granted_vcpus": one.granted_vcpus,
            "held_cores": one.held_cores,
            "used_cores": one.used_cores,
            "waited_cores": one.waited_cores,
        }
        for one in samples
    ]
