"""Back-off: when a change that failed may be tried again."""

from __future__ import annotations

FIRST_S = 1.0
LONGEST_S = 60.0


class BackOff:
    """After failures in one direction: no attempt in that direction for 1, 2, 4 … 60 s."""

    def __init__(self) -> None:
        self._delay_s = 0.0
        self._until = 0.0
        self._direction = 0

    def failed(self, now: float, direction: int) -> None:
        """Note a failed change at ``now`` (monotonic s); +1 is growing, -1 shrinking."""
        if direction != self._direction:
            self._delay_s = 0.0
        self._direction = direction
        self._delay_s = min(max(2 * self._delay_s, FIRST_S), LONGEST_S)
        self._until = now + self._delay_s

    def clear(self) -> None:
        """Forget failures: a change has succeeded, or whatever failed is no longer there."""
        self._delay_s = self._until = 0.0

    def allows(self, now: float, direction: int) -> bool:
        """Whether a change in this direction may be tried at ``now``."""
        return direction != self._direction or now >= self._until
