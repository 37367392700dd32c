"""An HTCondor job whose load changes: its vCPUs follow, and the figures agree, in its ad too."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from live.condor_cluster import CondorCluster
from live.pattern import SCRIPT, follow


@pytest.mark.timeout(420)
def test_granted_follows_the_load(
    condor_cluster: CondorCluster, note: Callable[[str], None]
) -> None:
    cluster = condor_cluster
    (cluster.home() / "pattern.sh").write_text(SCRIPT)
    job = cluster.submit("sh pattern.sh mark", cpus=4)
    job_id = f"{job}@{cluster.schedd}"
    row = follow(cluster, job_id, cluster.home() / "mark", lambda: cluster.wait_left(job), note)
    results, totals = cluster.results(job), row.lease.totals
    note(f"condor_history says {results}, the record {totals}")
    assert results["HotslotRequestedCpus"] == 4
    assert results["HotslotHeldCoreSeconds"] == pytest.approx(totals.held_core_s, rel=0.01)
    assert results["HotslotUsedCoreSeconds"] == pytest.approx(totals.used_core_s, rel=0.01)
    assert results["HotslotPeakCpus"] == pytest.approx(totals.peak_cores, rel=0.01)
    assert results["HotslotEvents"] == row.roll_up.applied
