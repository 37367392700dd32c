"""The time in a worker's records: the host's clock, but never backwards within a lease."""

from __future__ import annotations

from collections.abc import Callable

GRAIN_S = 0.05
"""A clock that has lost less than this since the last look is slewed, not set."""


class SteadyWall:
    """UTC in s. A clock that is set forward is followed at once; one that is set back, when the
    next lease begins: until then time goes on at its pace from where it was.

    So no sample, event or end of a lease is earlier than what it followed, and none has another
    one's place. ``last``: a moment of the monotonic clock and the time that it had here, of an
    earlier agent. Worked: 100, a second later set back to 41: 101; two seconds later, at 43: 103.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
        last: tuple[float, float] | None = None,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._last = last

    def __call__(self) -> float:
        """Return the time now."""
        mono, now = self._monotonic(), self._wall()
        if self._last is not None:
            then, last = self._last
            steady = last + max(0.0, mono - then)
            now = max(now, last) if now > steady - GRAIN_S else steady
        self._last = mono, now
        return now

    def follow(self) -> None:
        """Follow the host's clock from now on, wherever it was set."""
        self._last = None
