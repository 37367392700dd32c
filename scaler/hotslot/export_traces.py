"""The demand of recorded jobs as a trace set, in the form that ``hotslot replay`` reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hotslot.export import Span
from hotslot.record.history import History
from hotslot.replay.recorded import jobs_from
from hotslot.replay.trace_set import TraceSet


def export_traces(
    history: History, path: Path, span: Span, tell: Callable[[str], None] = lambda _: None
) -> int:
    """Write closed leases as the jobs of a trace set, by their start; return how many.

    One sample a second; a lease without samples (pruned, or too short for one) is left out.
    """
    ids = [
        lease_id
        for (lease_id,) in history.select(
            f"SELECT id FROM leases WHERE closed_ms IS NOT NULL AND {span.condition} "  # noqa: S608
            "ORDER BY opened_ms, id",
            span.values,
        )
    ]
    with TraceSet(path) as traces:
        for lease_id in ids:
            lease, samples = history.lease(lease_id), history.samples(lease_id)
            if lease is not None and samples:
                start = samples[0].at - samples[0].interval_s
                one = jobs_from([(lease.request, samples)])
                cap, dt = int(one.cap[0]), float(one.dt[0])
                traces.add(one.cores, cap=cap, dt=dt, start=start, name=lease.placement.name)
                tell(f"{len(traces):,} of {len(ids):,} jobs")
    return len(traces)
