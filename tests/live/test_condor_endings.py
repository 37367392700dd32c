"""Whatever is killed under a running HTCondor job: no lease stays open, no core counts twice."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from hotslot.model import Lease
from hotslot.record.history import History
from live.cluster import eventually
from live.condor_cluster import RUNNING, CondorCluster

CLOSED_WITHIN_S = 90


def kill(cluster: CondorCluster, what: str, worker: str) -> None:
    """Kill a daemon of the controller, one in the worker, or the worker itself."""
    if what == "vm":
        cluster.bed.worker(worker).kill()
    elif what in ("shadow", "schedd"):
        cluster.bed.kill_condor(what)
    else:
        cluster.bed.worker(worker).kill_condor(what)


def no_overlap(cluster: CondorCluster) -> None:
    """Leases of one worker never share a moment."""
    with History(cluster.database) as history:
        leases = [*history.closed_leases(10_000), *history.open_leases()]
    by_worker: dict[str, list[Lease]] = {}
    for lease in sorted(leases, key=lambda lease: lease.opened_at):
        by_worker.setdefault(lease.placement.worker, []).append(lease)
    for there in by_worker.values():
        for before, after in pairwise(there):
            assert before.closed_at is not None, (before, after)
            assert before.closed_at <= after.opened_at, (before, after)


@pytest.mark.timeout(500)
@pytest.mark.parametrize("what", ["starter", "shadow", "startd", "schedd", "vm"])
def test_no_lease_outlives_its_run(
    condor_cluster: CondorCluster, what: str, note: Callable[[str], None]
) -> None:
    cluster = condor_cluster
    job = cluster.submit("echo run >>runs.$(Cluster); sleep 600", cpus=3)
    runs = cluster.wait_file(f"runs.{job.partition('.')[0]}")
    first = cluster.leases_of(job)[0].lease
    worker = first.placement.worker
    kill(cluster, what, worker)

    def settled() -> str:
        """Say how it went: the run's lease is closed, or the same run goes on."""
        if cluster.leases_of(job)[0].lease.closed_at is not None:
            return "closed"
        alone = cluster.status_of(job) == RUNNING and runs.read_text().count("run") == 1
        return "goes on" if alone and what == "schedd" else ""

    said = eventually(settled, CLOSED_WITHIN_S, f"{what} killed: it settles", cluster.explain)
    lease = cluster.leases_of(job)[0].lease
    note(f"{what} killed under a job: its lease {said} ({lease.close_reason or 'open'})")
    if what == "vm":
        cluster.bed.worker(worker).start()
        eventually(lambda: cluster.workers()[worker]["up"], 90, "adopted", cluster.explain)
    cluster.bed.run(["condor_rm", job], check=False)
    cluster.wait_left(job)
    eventually(
        lambda: not cluster.open_leases(), CLOSED_WITHIN_S, "no lease is open", cluster.explain
    )
    cluster.bed.condor_wait_idle(180)
    cluster.wait_settled()
    no_overlap(cluster)


@pytest.mark.timeout(400)
def test_a_silent_agent_requeues_and_closes_the_gate_and_holds_nobody(
    condor_cluster: CondorCluster,
) -> None:
    """Without an agent no job starts, none is held, and all start when it is back."""
    cluster = condor_cluster
    cluster.stop_agent()
    job = cluster.submit("true")
    try:
        eventually(
            lambda: {ad.get("HotslotAdmitCpus") for ad in cluster.slots()} == {0},
            120,
            "the gates are closed",
            lambda: str(cluster.slots()),
        )
        assert cluster.status_of(job) != 5, "held"
    finally:
        cluster.start_agent()
    cluster.wait_left(job)
    cluster.wait_settled()
    assert cluster.ask_history(job, "JobStatus", "NumSystemHolds") == ["4", "0"]


@pytest.mark.timeout(400)
def test_a_killed_agent_goes_on_with_the_lease(condor_cluster: CondorCluster) -> None:
    cluster = condor_cluster
    job = cluster.submit("touch on.$(Cluster); sleep 20", cpus=3)
    cluster.wait_file(f"on.{job.partition('.')[0]}")
    cluster.signal_agent(9)  # type: ignore[arg-type]
    cluster.start_agent()
    cluster.wait_left(job)
    cluster.wait_settled()
    (row,) = cluster.leases_of(job)
    assert row.lease.placement.outcome == "COMPLETED"
    assert row.lease.totals.life_s > 18
