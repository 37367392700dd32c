"""24 simulated hours of an agent: what comes to stay from the second hour to the last.

Loop, arbiter, forecast, offers and a record on disk; schedulers, VMs and threads are in memory, and
time leaps (tests/simulated_day.py). Takes some minutes of CPU. Exits 1 when anything grows.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

MOST_BLOCKS = 2000
MOST_CYCLE_TIMES = 1.5
REMEMBERED = 200
"""Closed leases that the agent remembers here, so that it has as many as it may after an hour."""


def row(hour: float, looks: list[Any]) -> str:
    """Lay out what an hour's looks show."""
    cycle_us = sorted(one.cycle_s for one in looks)[len(looks) // 2] * 1e6
    last = looks[-1]
    return (
        f"{hour:5.0f} {last.jobs:7.0f} {min(one.blocks for one in looks):9.0f} "
        f"{last.descriptors:12.0f} {cycle_us:9.0f}"
    )


def main() -> int:
    """Live, print the hours, compare the second one with the last."""
    from hotslot.record import known
    from simulated_day import LOOK_S, growth, lived

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=int, default=24)
    hours = parser.parse_args().hours
    known.REMEMBERED = REMEMBERED
    logging.disable(logging.WARNING)  # a silent scheduler is told each time
    with tempfile.TemporaryDirectory(prefix="hotslot-day-") as name:
        looks = lived(Path(name) / "hotslot.db", seconds=hours * 3600)
    each = 3600 // LOOK_S
    print(" hour    jobs    blocks  descriptors  cycle us", flush=True)
    for hour in range(hours):
        print(row(hour + 1, looks[hour * each : (hour + 1) * each]))
    grown = growth(looks[each : 2 * each], looks[-each:])
    print(grown)
    grew = (
        grown.blocks > MOST_BLOCKS or grown.descriptors > 0 or grown.cycle_times > MOST_CYCLE_TIMES
    )
    print("MISSED: something grows" if grew else "nothing grows")
    return int(grew)


if __name__ == "__main__":
    sys.exit(main())
