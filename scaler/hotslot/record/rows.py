"""Values to rows and back: seconds to ms, enumerations to numbers, texts to clean ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from math import isclose, isfinite
from typing import Any

from hotslot.model import (
    CloseReason,
    Decision,
    Event,
    EventResult,
    JobPhase,
    Lease,
    Placement,
    Reading,
    Sample,
    Totals,
    VcpuTimes,
)
from hotslot.record.batch import (
    Beat,
    LeaseDecision,
    LeaseRow,
    LeaseSample,
    LedgerMinute,
    RollUp,
    WorkerState,
)
from hotslot.record.reasons import parted

Row = Mapping[str, Any]

PHASES = (
    JobPhase.PENDING,
    JobPhase.STARTING,
    JobPhase.RUNNING,
    JobPhase.SUSPENDED,
    JobPhase.ENDING,
    JobPhase.ENDED,
)
"""Codes of ``leases.phase``: places in here."""

CLOSE_REASONS = (
    CloseReason.ENDED,
    CloseReason.REQUEUED,
    CloseReason.LOST,
    CloseReason.REPLACED,
)
"""Codes of ``leases.close_reason``."""

OWNER = ("host", "scheduler", "user", "account", "partition")
"""Columns of ``owners``."""

UNRECORDED = frozenset({"before", "priority", "fair_share", "deadline_at", "may_requeue"})
"""``before`` is of the run before, whose lease has it as its outcome; the others change while a job
runs, and say nothing of it afterwards."""

_PLACEMENT = tuple(one.name for one in fields(Placement) if one.name not in UNRECORDED)
_TOTALS = tuple(one.name for one in fields(Totals))
_ROLL_UP = tuple(one.name for one in fields(RollUp))
_SAMPLE = tuple(one.name for one in fields(Sample))


def storable(text: str) -> str:
    """Return the text with what UTF-8 cannot hold replaced: a job's name may be any bytes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def thousandths(amount: float) -> int:
    """Return ms of s, core-ms of core-s; OverflowError for what is no number."""
    if not isfinite(amount):
        raise OverflowError(f"{amount} is no amount")
    return round(amount * 1000)


def _maybe(amount: float | None) -> int | None:
    return None if amount is None else thousandths(amount)


def _from(amount: float | None, origin_ms: int) -> int | None:
    """Return the ms from one moment to another."""
    return None if amount is None else thousandths(amount) - origin_ms


def lease_row(lease: Lease, host: str) -> dict[str, Any]:
    """Return what ``store`` makes a row of ``leases`` of."""
    placement, totals = lease.placement, lease.totals
    opened_ms = thousandths(lease.opened_at)
    submitted = _from(placement.submitted_at, opened_ms)
    reason = lease.close_reason
    return {
        "id": lease.id,
        "host": storable(host),
        "scheduler": storable(placement.scheduler),
        "user": storable(placement.user),
        "account": storable(placement.account),
        "partition": storable(placement.partition),
        "worker": storable(placement.worker),
        "name": storable(placement.name),
        "job_id": storable(placement.job_id),
        "array_job_id": storable(placement.array_job_id) or None,
        "array_task_id": storable(placement.array_task_id) or None,
        "het_job_id": storable(placement.het_job_id) or None,
        "run": placement.run,
        "cpus": placement.cpus,
        "phase": PHASES.index(placement.phase),
        "opened_ms": opened_ms,
        "submitted_before_ms": None if submitted is None else -submitted,
        "started_after_ms": _from(placement.started_at, opened_ms),
        "ended_after_ms": _from(placement.ended_at, opened_ms),
        "closed_after_ms": _from(lease.closed_at, opened_ms),
        "time_limit_ms": _maybe(placement.time_limit_s),
        "close_reason": None if reason is None else CLOSE_REASONS.index(reason),
        "exit": storable(placement.exit_code),
        "outcome": storable(placement.outcome),
        "asked": storable(placement.asked) or None,
        "life_ms": thousandths(totals.life_s),
        "requested_core_ms": _requested(totals, placement.cpus),
        "held_core_ms": thousandths(totals.held_core_s),
        "used_core_ms": thousandths(totals.used_core_s),
        "waited_core_ms": thousandths(totals.waited_core_s),
        "borrowed_core_ms": thousandths(totals.borrowed_core_s),
        "saturated_ms": thousandths(totals.saturated_s),
        "peak_mcores": thousandths(totals.peak_cores),
    }


def _requested(totals: Totals, cpus: int) -> int | None:
    """Return the core-ms asked for; None where that is cpus x life, as it mostly is."""
    if isclose(totals.requested_core_s, cpus * totals.life_s, rel_tol=1e-9):
        return None
    return thousandths(totals.requested_core_s)


def lease_of(row: Row) -> Lease:
    """Return the lease of a row of ``lease_log``."""
    placement = {name: row[name] for name in _PLACEMENT}
    placement["phase"] = JobPhase(row["phase"])
    reason = row["close_reason"]
    return Lease(
        id=row["id"],
        placement=Placement(**placement),
        opened_at=row["opened_at"],
        closed_at=row["closed_at"],
        close_reason=None if reason is None else CloseReason(reason),
        totals=Totals(**{name: row[name] for name in _TOTALS}),
    )


def lease_row_of(row: Row) -> LeaseRow:
    """Return the lease of a row of ``lease_log`` with its roll-up."""
    return LeaseRow(lease_of(row), RollUp(**{name: row[name] for name in _ROLL_UP}))


def sample_row(one: LeaseSample) -> tuple[int, int, int, int, int, int, int]:
    """Return lease, ms since the epoch, interval in us, then vCPUs and thousandths of cores."""
    sample = one.sample
    return (
        one.lease_id,
        thousandths(sample.at),
        thousandths(sample.interval_s * 1000),
        sample.granted_vcpus,
        thousandths(sample.held_cores),
        thousandths(sample.used_cores),
        thousandths(sample.waited_cores),
    )


def sample_of(row: Row) -> Sample:
    """Return the sample of a row of ``sample_log``."""
    return Sample(**{name: row[name] for name in _SAMPLE})


def event_row(event: Event) -> dict[str, Any]:
    """Return what ``store`` makes rows of ``changes`` and ``events`` of."""
    reason, (a, b, c) = parted(storable(event.reason))
    at_ms = thousandths(event.at)
    detected = _from(event.detected_at, at_ms)
    return {
        "lease_id": event.lease_id,
        "at_ms": at_ms,
        "worker": storable(event.worker),
        "from_vcpus": event.from_vcpus,
        "to_vcpus": event.to_vcpus,
        "got_vcpus": event.got_vcpus,
        "reason": reason,
        "a": a,
        "b": b,
        "c": c,
        "result": event.result.value,
        "detail": storable(event.detail),
        "detected_before_ms": None if detected is None else -detected,
        "command_ms": thousandths(event.command_s),
        "online_ms": _maybe(event.online_s),
        "took_ms": thousandths(event.took_s),
    }


def event_of(row: Row) -> Event:
    """Return the event of a row of ``event_log``."""
    values = {name: row[name] for name in (one.name for one in fields(Event))}
    return Event(**{**values, "result": EventResult(row["result"])})


def decision_row(one: LeaseDecision) -> dict[str, Any]:
    """Return the columns of ``decisions``, with the worker and the text of the reason."""
    decision = one.decision
    reason, (a, b, c) = parted(storable(decision.reason))
    at_ms = thousandths(decision.at)
    return {
        "lease_id": one.lease_id,
        "at_ms": at_ms,
        "worker": storable(decision.worker),
        "from_vcpus": decision.from_vcpus,
        "to_vcpus": decision.to_vcpus,
        "reason": reason,
        "a": a,
        "b": b,
        "c": c,
        "detected_before_ms": at_ms - thousandths(decision.detected_at),
    }


def decision_of(row: Row) -> LeaseDecision:
    """Return the decision of a row of ``decision_log``."""
    values = {name: row[name] for name in (one.name for one in fields(Decision))}
    return LeaseDecision(row["lease_id"], Decision(**values))


def worker_row(state: WorkerState) -> dict[str, Any]:
    """Return the columns of ``workers``."""
    counters = {str(i): [one.run_ns, one.wait_ns] for i, one in state.reading.vcpus.items()}
    return {
        "worker": storable(state.worker),
        "vm": storable(state.vm),
        "granted_vcpus": state.granted_vcpus,
        "pid": state.reading.pid,
        "born_s": state.reading.born_s,
        "counters": json.dumps(counters, separators=(",", ":")),
        "monotonic_s": state.reading.monotonic_s,
        "boot_id": state.boot_id,
        "read_at": state.read_at,
    }


def worker_of(row: Row) -> WorkerState:
    """Return the worker of a row of ``workers``."""
    counters: dict[str, list[int]] = json.loads(row["counters"])
    vcpus = {int(index): VcpuTimes(*times) for index, times in counters.items()}
    return WorkerState(
        worker=row["worker"],
        vm=row["vm"],
        granted_vcpus=row["granted_vcpus"],
        reading=Reading(row["monotonic_s"], row["pid"], row["born_s"], vcpus),
        boot_id=row["boot_id"],
        read_at=row["read_at"],
    )


def minute_of(row: Row) -> LedgerMinute:
    """Return the minute of a row of ``host_ledger``."""
    return LedgerMinute(**{one.name: row[one.name] for one in fields(LedgerMinute)})


def beat_of(row: Row) -> Beat:
    """Return the span of a row of ``beats``."""
    return Beat(row["started_at"], row["last_at"])
