"""Whatever users do with jobs: after it nothing is left open, large or drained."""

from __future__ import annotations

import pytest

from live.cluster import Cluster
from live.scenarios import ALL, Scenario, check_history


@pytest.mark.parametrize("scenario", ALL, ids=[scenario.__name__ for scenario in ALL])
def test_a_job_leaves_nothing_behind(cluster: Cluster, scenario: Scenario) -> None:
    check_history(cluster, scenario(cluster))
