"""Whatever users do with HTCondor jobs: after it nothing is left open, large or unwritten."""

from __future__ import annotations

import pytest

from live.condor_cluster import CondorCluster
from live.condor_scenarios import ALL, Scenario, check_history


@pytest.mark.parametrize("scenario", ALL, ids=[scenario.__name__ for scenario in ALL])
def test_a_job_leaves_nothing_behind(condor_cluster: CondorCluster, scenario: Scenario) -> None:
    check_history(condor_cluster, scenario(condor_cluster))
