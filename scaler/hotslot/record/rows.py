"""Values to rows and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
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

Row = Mapping[str, Any]

_PLACEMENT = tuple(one.name for one in fields(Placement))
_TOTALS = tuple(one.name for one in fields(Totals))
_ROLL_UP = tuple(one.name for one in fields(RollUp))
_SAMPLE = tuple(one.name for one in fields(Sample))

LEASE_COLUMNS = ("id", *_PLACEMENT, "opened_at", "closed_at", "close_reason", *_TOTALS)


def storable(text: str) -> str:
    """Return the text with what UTF-8 cannot hold replaced: a job's name may be any bytes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def lease_row(lease: Lease) -> dict[str, Any]:
    """Return the columns of LEASE_COLUMNS."""
    placement = {name: getattr(lease.placement, name) for name in _PLACEMENT}
    clean = {k: storable(v) if isinstance(v, str) else v for k, v in placement.items()}
    return {
        "id": lease.id,
        **clean,
        "phase": lease.placement.phase.value,
        "opened_at": lease.opened_at,
        "closed_at": lease.closed_at,
        "close_reason": None if lease.close_reason is None else lease.close_reason.value,
        **{name: getattr(lease.totals, name) for name in _TOTALS},
    }


def lease_of(row: Row) -> Lease:
    """Return the lease of a row of ``leases``."""
    placement = {name: row[name] for name in _PLACEMENT}
    reason = row["close_reason"]
    return Lease(
        id=row["id"],
        placement=Placement(**{**placement, "phase": JobPhase(row["phase"])}),
        opened_at=row["opened_at"],
        closed_at=row["closed_at"],
        close_reason=None if reason is None else CloseReason(reason),
        totals=Totals(**{name: row[name] for name in _TOTALS}),
    )


def lease_row_of(row: Row) -> LeaseRow:
    """Return the lease of a row with its roll-up."""
    return LeaseRow(lease_of(row), RollUp(**{name: row[name] for name in _ROLL_UP}))


def sample_row(one: LeaseSample) -> dict[str, Any]:
    """Return the columns of ``samples``."""
    return {"lease_id": one.lease_id} | {k: getattr(one.sample, k) for k in _SAMPLE}


def sample_of(row: Row) -> Sample:
    """Return the sample of a row of ``samples``."""
    return Sample(**{name: row[name] for name in _SAMPLE})


def event_row(event: Event) -> dict[str, Any]:
    """Return the columns of ``event_log``, with None for no detail."""
    return {
        "lease_id": event.lease_id,
        "at": event.at,
        "worker": storable(event.worker),
        "from_vcpus": event.from_vcpus,
        "to_vcpus": event.to_vcpus,
        "got_vcpus": event.got_vcpus,
        "reason": storable(event.reason),
        "result": event.result.value,
        "detail": storable(event.detail) or None,
        "detected_at": event.detected_at,
        "command_s": event.command_s,
        "online_s": event.online_s,
        "took_s": event.took_s,
    }


def event_of(row: Row) -> Event:
    """Return the event of a row of ``event_log``."""
    values = {name: row[name] for name in (one.name for one in fields(Event))}
    return Event(**{**values, "result": EventResult(row["result"])})


def decision_row(one: LeaseDecision) -> dict[str, Any]:
    """Return the columns of ``decision_log``."""
    decision = one.decision
    return {
        "lease_id": one.lease_id,
        "at": decision.at,
        "worker": storable(decision.worker),
        "from_vcpus": decision.from_vcpus,
        "to_vcpus": decision.to_vcpus,
        "reason": storable(decision.reason),
        "detected_at": decision.detected_at,
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
