"""A recorded run, replayed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from builders import placement
from hotslot.decide.limits import limited
from hotslot.decide.window import Window
from hotslot.model import CloseReason, Lease, Sample
from hotslot.record.batch import Batch, LeaseSample
from hotslot.record.store import Store
from hotslot.replay.recorded import decided_again, jobs_from
from hotslot.replay.traces import Choose, whole

DOCS = Path(__file__).parents[2] / "docs" / "replay.md"


def run(loads: list[float], granted: int = 4, interval_s: float = 1.0) -> list[Sample]:
    """Samples of a worker that keeps its size."""
    return [
        Sample(1000 + (at + 1) * interval_s, interval_s, granted, granted, load, 0.0)
        for at, load in enumerate(loads)
    ]


def test_the_same_samples_give_the_same_decisions() -> None:
    policy = limited(Window(window_s=10), floor=1, ceiling=4, cooldown_s=0, max_step_down=99)
    assert decided_again(policy, 4, run([3.9] * 5 + [1.0] * 20), []) == [(1001, 4), (1015, 2)]


def test_a_course_keeps_its_core_seconds_whatever_the_interval() -> None:
    for interval_s in (0.5, 1.0, 1.7, 4.0):
        samples = run([1.0, 3.0, 2.0, 0.5] * 5, interval_s=interval_s)
        jobs = jobs_from([(4, samples)])
        wanted = sum(one.used_cores * one.interval_s for one in samples)
        assert abs(jobs.cores.sum() - wanted) <= 0.5 * 4
        assert jobs.cores.max() <= 4 + 1e-9


def test_the_lines_of_the_documentation_make_a_set_of_the_record(tmp_path: Path) -> None:
    store = Store(tmp_path / "hotslot.db")
    for number, loads in enumerate([[1.0] * 90, [3.0] * 70], start=1):
        samples = run(loads)
        opened, closed = 1000.0 + number, samples[-1].at + number
        lease = Lease(number, placement(str(number)), opened, closed, CloseReason.ENDED)
        seen = tuple(LeaseSample(number, one) for one in samples)
        store.append(Batch(leases=(lease,), samples=seen))
    store.close()
    (lines,) = re.findall("```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    lines = lines.replace("/var/lib/hotslot/hotslot.db", str(tmp_path / "hotslot.db"))
    subprocess.run([sys.executable, "-c", lines], check=True, cwd=tmp_path, env=dict(os.environ))
    jobs = whole(tmp_path / "traces" / "mine", Choose(everything=True))
    assert (jobs.n.tolist(), jobs.cap.tolist()) == ([90, 70], [4, 4])
    assert jobs.cores.sum() == 90 + 210
