"""A Slurm job whose load changes: its vCPUs follow, and the figures agree."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from live.cluster import Cluster
from live.pattern import SCRIPT, follow


@pytest.mark.timeout(420)
def test_granted_follows_the_load(cluster: Cluster, note: Callable[[str], None]) -> None:
    home = cluster.bed.home / "alice"
    (home / "pattern.sh").write_text(SCRIPT)
    job = cluster.sbatch("-c4", "-J", "pattern", "-t5", wrap="sh ~/pattern.sh ~/mark-$SLURM_JOB_ID")
    follow(cluster, job, home / f"mark-{job}", lambda: cluster.wait_gone(job), note)
    assert cluster.state(job) == "COMPLETED"
