"""An agent that runs for long takes up no more than at first; bench/bench_day.py has the day."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulated_day import LOOK_S, growth, lived

MOST_BYTES = 40_000
"""For noise; closed leases that are not let go take 1.2 kB each, a Sample a cycle 130 kB."""

MOST_OBJECTS = 90


def test_jobs_that_have_ended_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotslot.record.known.REMEMBERED", 30)
    looks = lived(tmp_path / "hotslot.db", seconds=25 * LOOK_S)
    grown = growth(looks[5:11], looks[19:])
    assert grown.jobs > 25
    assert grown.traced_bytes < MOST_BYTES
    assert grown.objects < MOST_OBJECTS
    assert grown.descriptors <= 0
    assert grown.cycle_times < 1.5
