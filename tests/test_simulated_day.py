"""An agent that runs for long takes up no more than at first; bench/day.py has the day."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulated_day import LOOK_S, growth, lived

MOST_BLOCKS = 1000
"""For noise; 130 jobs that are not let go take 2,000, a sample kept of each cycle 5,000."""


def test_jobs_that_have_ended_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotslot.record.known.REMEMBERED", 30)
    looks = lived(tmp_path / "hotslot.db", seconds=25 * LOOK_S)
    grown = growth(looks[5:11], looks[19:])
    assert grown.jobs > 25
    assert grown.blocks < MOST_BLOCKS
    assert grown.descriptors <= 0
    assert grown.cycle_times < 1.5
