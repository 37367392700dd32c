"""A worker whose load changes, with the product's policy and limits and a hypervisor that is slow.

One step is one second; a plug or unplug takes effect two steps after it was decided.
"""

from __future__ import annotations

from collections.abc import Sequence

from decide.views import NOON
from hotslot.decide.limits import limited
from hotslot.decide.policy import Policy, View
from hotslot.decide.threshold import Threshold
from hotslot.decide.window import Window
from hotslot.model import Sample

REQUEST = 4
LATENCY_S = 2


class Worker:
    """A worker of REQUEST vCPUs: ``threads`` busy threads use what is granted of them."""

    def __init__(self, policy: Policy) -> None:
        self.policy = limited(policy, floor=1, ceiling=16, cooldown_s=10, max_step_down=1024)
        self.granted = REQUEST
        self.changed_at: float | None = None
        self.samples: list[Sample] = []
        self.pending: tuple[int, int] | None = None  # due step, vCPUs
        self.history: list[int] = []

    def run(self, threads: Sequence[float]) -> list[int]:
        """Live through one second for each entry; return what was granted at each one's end."""
        for load in threads:
            self._second(load)
        return self.history

    def _second(self, load: float) -> None:
        step = len(self.history)
        at = NOON + step
        if self.pending and self.pending[0] <= step:
            self.granted, self.changed_at, self.pending = self.pending[1], at, None
        used = min(load, self.granted)
        self.samples.append(Sample(at, 1.0, self.granted, float(self.granted), used, 0.0))
        wish = self.policy.wish(View(REQUEST, self.granted, self.samples, self.changed_at))
        if wish.vcpus != self.granted and not self.pending:
            self.pending = step + LATENCY_S, wish.vcpus
        self.history.append(self.granted)


def changes(granted: Sequence[int]) -> list[tuple[int, int]]:
    """When granted changed, and to what."""
    return [(i, granted[i]) for i in range(1, len(granted)) if granted[i] != granted[i - 1]]


def test_granted_follows_a_load_of_4_1_4_2_threads() -> None:
    granted = Worker(Window()).run([4.0] * 100 + [1.0] * 100 + [4.0] * 100 + [2.0] * 100)
    (down, two), (up, four), (down_again, three) = changes(granted)
    assert (two, four, three) == (2, 4, 3)
    assert 160 <= down <= 165
    assert up == 200 + LATENCY_S  # decided at the first sample of the new load
    assert 360 <= down_again <= 365


def test_a_short_pause_costs_nothing() -> None:
    granted = Worker(Window()).run(([4.0] * 50 + [0.2] * 10) * 5)
    assert changes(granted) == []


def test_a_noisy_thread_does_not_make_a_worker_flap() -> None:
    noise = [0.999, 1.01, 0.985, 1.0, 1.004, 0.97, 1.007]
    granted = Worker(Window()).run([noise[i % 7] for i in range(1000)])
    assert changes(granted) == [(61, 2)]


def test_a_rare_burst_is_answered_and_forgotten() -> None:
    granted = Worker(Window()).run([0.1] * 100 + [3.0] * 5 + [0.1] * 200)
    assert [size for _, size in changes(granted)] == [1, 4, 1]


def test_threshold_climbs_and_descends_step_by_step() -> None:
    granted = Worker(Threshold()).run([4.0] * 20 + [0.5] * 60 + [4.0] * 60)
    assert [size for _, size in changes(granted)] == [3, 2, 1, 2, 3, 4]
