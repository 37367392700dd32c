"""Times as users write them, without a clock or a calendar from outside: pure."""

from __future__ import annotations

import re

_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?(Z|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def epoch_s(text: str, utc_offset_s: float = 0.0) -> float | None:
    """Return a time as UTC epoch s, None for what is none.

    Worked: 2026-12-01T12:00 at an offset of 3600: 1796122800; the same with Z: 1796126400.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute = (int(one) for one in match.groups()[:5])
    second, zone = int(match.group(6) or 0), match.group(7)
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= _days(year, month)):
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    offset_s = utc_offset_s
    if zone == "Z":
        offset_s = 0.0
    elif zone:
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        if hours > 14 or minutes > 59:
            return None
        offset_s = (-1.0 if zone[0] == "-" else 1.0) * (hours * 3600 + minutes * 60)
    days = sum(366 if _leaps(one) else 365 for one in range(1970, year))
    days += sum(_days(year, one) for one in range(1, month)) + day - 1
    return days * 86_400.0 + hour * 3600 + minute * 60 + second - offset_s


def _days(year: int, month: int) -> int:
    return 29 if month == 2 and _leaps(year) else _DAYS[month - 1]


def _leaps(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
