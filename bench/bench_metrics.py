"""What counting a cycle's core-seconds costs: five counters of each of 64 workers.

Compared in one run: ``Metrics.cycled`` as it is, the same with each counter looked up by its
labels every time, as it once was, and bare increments of counters that are at hand. Exits 1 when
it costs more than ``MOST`` of the look-ups.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from hotslot.metrics import Metrics
from hotslot.model import Sample

WORKERS = 64
NAMES = ("held", "idle", "requested", "used", "waited")
ROUNDS = 60
MOST = 0.75


def host() -> Any:
    """A loop as ``cycled`` sees it; its workers have jobs."""
    tracks = {f"w{n}": SimpleNamespace(name=f"w{n}", last=None) for n in range(WORKERS)}
    book = SimpleNamespace(on=lambda _: SimpleNamespace(request=4))
    return SimpleNamespace(tracks=tracks, book=book)


def seconds() -> Iterator[Sample]:
    """One second after the other."""
    return (Sample(float(at), 1.0, 4, 4.0, 2.0, 0.0) for at in count())


def median_s(run: Callable[[], None]) -> float:
    """Return the median time of one call."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def main() -> int:
    """Print the ratios."""
    metrics, loop, samples = Metrics(dict), host(), seconds()
    counters = [
        Counter(f"bench_{name}", name, ("worker",), registry=CollectorRegistry()) for name in NAMES
    ]
    children = [counter.labels(worker) for counter in counters for worker in loop.tracks]

    def cycled() -> None:
        sample = next(samples)
        for track in loop.tracks.values():
            track.last = sample
        metrics.cycled(loop, 0.002)

    def looked_up() -> None:
        for worker in loop.tracks:
            for counter in counters:
                counter.labels(worker).inc(1.0)

    def bare() -> None:
        for child in children:
            child.inc(1.0)

    cycled()
    took = {one.__name__: median_s(one) for one in (looked_up, cycled, bare)}
    print(f"a cycle's core-seconds, {WORKERS} workers x {len(NAMES)} counters")
    for name, took_s in took.items():
        print(f"  {name:<10} {1e6 * took_s:6.0f} us  {took_s / took['bare']:5.2f} x bare")
    part = took["cycled"] / took["looked_up"]
    print(f"  cycled / looked_up: {part:.2f}, at most {MOST}")
    return part > MOST


if __name__ == "__main__":
    sys.exit(main())
