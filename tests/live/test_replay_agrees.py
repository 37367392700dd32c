"""The simulator checked against a live run: the same policy, decisions and totals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hotslot.decide.limits import Limits, limited
from hotslot.decide.window import Window
from hotslot.record.history import History
from hotslot.replay.figures import HELD
from hotslot.replay.recorded import decided_again, jobs_from
from hotslot.replay.replay import Setting, outcomes
from hotslot.replay.traces import Choose, whole
from live.cluster import WINDOW_S, Cluster
from synthetic_sets import write

COOLDOWN_S = 5.0
PATTERN = """
busy() {
    for i in $(seq $1); do timeout $2 sh -c 'while :; do :; done' & done
    wait
}
busy 4 10; busy 1 24; busy 4 8
"""


@pytest.mark.timeout(240)
def test_the_replay_of_a_recorded_run_agrees_with_it(
    cluster: Cluster, tmp_path: Path, note: Callable[[str], None]
) -> None:
    job = cluster.sbatch("-c4", "-J", "replayed", "-t3", wrap=PATTERN)
    cluster.wait_running(job)
    cluster.wait_gone(job)
    cluster.wait_settled()
    (row,) = cluster.leases(job)
    with History(cluster.database) as history:
        samples, events = history.samples(row.lease.id), history.events(row.lease.id)
    grown = next(at for at, one in enumerate(samples) if one.granted_vcpus == 4)
    samples = samples[grown:]
    begun = samples[0].at
    mine = [event for event in events if begun <= event.at <= samples[-1].at]
    lived = [(event.at, event.to_vcpus) for event in mine if event.to_vcpus != event.from_vcpus]
    assert len(lived) >= 2, f"it went down and up: {events}"

    policy = limited(
        Window(window_s=WINDOW_S), floor=1, ceiling=4, cooldown_s=COOLDOWN_S, max_step_down=1024
    )
    again = [one for one in decided_again(policy, 4, samples, mine) if one[0] > begun]
    sizes = [size for _, size in lived]
    assert [size for _, size in again][: len(sizes)] == sizes, (lived, again)
    late = max(abs(a - b) for (a, _), (b, _) in zip(again, lived, strict=False))
    assert late <= 2.5, (lived, again)

    write(tmp_path / "run", jobs_from([(4, samples)]))
    jobs = whole(tmp_path / "run", Choose(everything=True))
    setting = Setting(limits=Limits(1.0, 1024.0, COOLDOWN_S, 1024.0))
    ((held, *_),) = outcomes(Window(window_s=WINDOW_S), jobs, setting)[:, HELD:]
    measured = sum(one.held_cores * one.interval_s for one in samples)
    used = sum(one.used_cores * one.interval_s for one in samples)
    assert jobs.cores.sum() >= 0.95 * used
    assert held == pytest.approx(measured, rel=0.15)
    note(
        f"replay of a live run: sizes {sizes} decided again, at most {late:.1f} s apart; "
        f"held {held:.0f} core-s, live {measured:.0f}"
    )
