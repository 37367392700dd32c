"""A job whose load changes, 4 -> 1 -> 4 -> 2 threads: its vCPUs follow, and the figures agree."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hotslot.model import EventResult
from hotslot.record.batch import LeaseRow
from hotslot.record.history import History
from live.cluster import WINDOW_S, Cluster, eventually

# Four threads (load data), one (train), four (evaluate), two (train). `mark` files tell when.
SCRIPT = """
phase() {
    touch "$MARK-$1"
    for i in $(seq $2); do timeout $3 sh -c 'while :; do :; done' & done
    wait
}
MARK=$1
phase a 4 25
phase b 1 45
phase c 4 25
phase d 2 45
touch "$MARK-e"
"""


class Timeline:
    """What the worker of a job was granted, second by second, as ``hotslot status`` shows it."""

    def __init__(self, cluster: Cluster, job_id: str, marks: Path) -> None:
        self._cluster = cluster
        self._job_id = job_id
        self._marks = marks

    def mark(self, phase: str, timeout_s: float = 120) -> float:
        path = self._marks.with_name(f"{self._marks.name}-{phase}")
        eventually(path.exists, timeout_s, f"phase {phase} begins", self._cluster.explain)
        return path.stat().st_mtime

    def wait_granted(self, granted: int, timeout_s: float) -> float:
        def there() -> bool:
            here = [w for w in self._cluster.workers().values() if w["job"] == self._job_id]
            return bool(here) and here[0]["granted_vcpus"] == granted

        eventually(there, timeout_s, f"{granted} vCPUs", self._cluster.explain)
        return time.time()


def follow(
    cluster: Cluster,
    job_id: str,
    marks: Path,
    gone: Callable[[], None],
    note: Callable[[str], None],
) -> LeaseRow:
    """Watch a job that runs SCRIPT to its end; return its closed lease, whose figures agree."""
    line = Timeline(cluster, job_id, marks)
    line.mark("a")
    assert line.wait_granted(4, 1) > 0
    began = line.mark("b")
    down = line.wait_granted(2, WINDOW_S + 15) - began
    assert down <= WINDOW_S + 10, "the way down takes the window and 10 s at most"
    began = line.mark("c")
    line.wait_granted(4, 20)
    began_d = line.mark("d")
    down_d = line.wait_granted(3, WINDOW_S + 15) - began_d
    assert down_d <= WINDOW_S + 10
    line.mark("e")
    gone()
    cluster.wait_settled()

    (row,) = cluster.leases(job_id)
    with History(cluster.database) as history:
        events, samples = history.events(row.lease.id), history.samples(row.lease.id)
    assert all(event.result is EventResult.APPLIED for event in events), events
    up = next(e for e in events if e.at > began and e.to_vcpus == 4)
    assert up.detected_at is not None
    assert up.online_s is not None
    online = up.at + up.took_s - began
    note(
        f"{row.lease.placement.scheduler}, 4 -> 1 -> 4 -> 2: down {down:.1f} s and {down_d:.1f} s "
        f"(window {WINDOW_S} s); up from saturation {online:.1f} s: detect {up.at - began:.1f}, "
        f"plug {up.command_s:.2f}, online {up.online_s:.2f}"
    )
    assert online <= 5, "from saturation to all online in 5 s"

    totals = row.lease.totals
    for total, column in (
        (totals.held_core_s, [s.held_cores * s.interval_s for s in samples]),
        (totals.used_core_s, [s.used_cores * s.interval_s for s in samples]),
    ):
        assert total == pytest.approx(sum(column), rel=0.01)
    shown = cluster.json("job", job_id)
    assert shown["held_core_s"] == pytest.approx(totals.held_core_s, rel=0.01)
    assert totals.held_core_s < 0.95 * totals.requested_core_s
    return row
