"""The time that a report is about, in words and in whole days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, floor

from hotslot.record.reports import DAY_S


@dataclass(frozen=True, slots=True)
class Period:
    """From ``since`` to ``until``, UTC epoch seconds."""

    since: float
    until: float

    @property
    def words(self) -> str:
        """From and to, in local time: ``2026-11-14 12:00 to 2026-11-21 12:00``."""
        return f"{_minute(self.since)} to {_minute(self.until)}"

    @property
    def days(self) -> str:
        """The whole UTC days that it touches, as roll-ups know them."""
        first = floor(self.since / DAY_S)
        last = max(first, ceil(self.until / DAY_S) - 1)
        if first == last:
            return f"on {_day(first)} (UTC)"
        return f"from {_day(first)} to {_day(last)} (whole days, UTC)"


def _minute(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")


def _day(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_S, UTC).strftime("%Y-%m-%d")
