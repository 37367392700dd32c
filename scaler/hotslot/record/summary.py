"""A lease's events in figures: counts by kind, latencies of plugs and unplugs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from hotslot.model import EventResult, ResultKind
from hotslot.record.batch import RollUp


def summary(events: Iterable[Mapping[str, Any]]) -> RollUp:
    """Return the roll-up of rows with ``result``, ``up``, ``down`` and ``took_ms``.

    Latencies are those of attempts whose result is ``applied``: what came about without the
    attempt, or late, says nothing of how long one takes.
    """
    known = [(EventResult(row["result"]), row) for row in events]
    kinds = Counter(result.kind for result, _ in known)
    applied = [row for result, row in known if result is EventResult.APPLIED]
    plugs = [row["took_ms"] / 1000 for row in applied if row["up"]]
    unplugs = [row["took_ms"] / 1000 for row in applied if row["down"]]
    return RollUp(
        applied=kinds[ResultKind.APPLIED],
        refused=kinds[ResultKind.REFUSED],
        timed_out=kinds[ResultKind.TIMED_OUT],
        failed=kinds[ResultKind.FAILED],
        vm_gone=kinds[ResultKind.VM_GONE],
        plug_median_s=median(plugs) if plugs else None,
        plug_max_s=max(plugs, default=None),
        unplug_median_s=median(unplugs) if unplugs else None,
        unplug_max_s=max(unplugs, default=None),
    )
