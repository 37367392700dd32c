"""Random load and random faults for some minutes, both schedulers: nothing is lost.

`make soak` does the same for as long as one likes.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from live.campaign import Campaign, campaign_cluster
from live.campaign_judge import judge
from live.campaign_report import explain, summary

SEED = 20261121
MINUTES = 4.0
CORES = 6


@pytest.mark.timeout(1500)
def test_random_load_and_random_faults_lose_nothing(note: Callable[[str], None]) -> None:
    with campaign_cluster(CORES) as cluster:
        story = Campaign(cluster, SEED, MINUTES).run()
        problems = judge(story)
        note(summary(story, problems))
        assert not problems, explain(story, problems)
    assert len(story.jobs) > 20, "a campaign without load shows nothing"
    assert len(story.faults) > 8, "a campaign without faults shows nothing"
