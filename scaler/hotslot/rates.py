"""How often somebody may ask: token buckets."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

KEPT = 4096
"""Askers that are remembered; of more, those who have not asked lately are forgotten."""


class Bucket:
    """A token bucket: ``rate`` a second on average, ``burst`` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._then: float | None = None

    def take(self, now: float) -> bool:
        """Take one token if there is one."""
        self._fill(now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def full(self, now: float) -> bool:
        """Whether nothing is missing: it may as well be a new one."""
        self._fill(now)
        return self._tokens >= self._burst

    def _fill(self, now: float) -> None:
        passed = 0.0 if self._then is None else max(0.0, now - self._then)
        self._tokens = min(self._burst, self._tokens + passed * self._rate)
        self._then = now


class Rates:
    """A bucket for each asker: ``per_s`` a second, four seconds' worth and at least 10 at once."""

    def __init__(self, per_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.per_s = per_s
        self._monotonic = monotonic
        self._buckets: dict[Hashable, Bucket] = {}

    def take(self, asker: Hashable) -> bool:
        """Whether this asker may ask once more now."""
        now = self._monotonic()
        bucket = self._buckets.get(asker)
        if bucket is None:
            if len(self._buckets) >= KEPT:
                self._forget(now)
            bucket = self._buckets[asker] = Bucket(self.per_s, max(10.0, self.per_s * 4))
        return bucket.take(now)

    def _forget(self, now: float) -> None:
        """Forget who has a full bucket, or all when nobody has: better than to grow for ever."""
        left = {asker: b for asker, b in self._buckets.items() if not b.full(now)}
        self._buckets = left if len(left) < KEPT else {}
