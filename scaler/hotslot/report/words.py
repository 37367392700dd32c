"""Numbers, times and names as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hotslot.report.efficiency import CORE_HOUR_S

NOTHING = "-"


def plain(text: str) -> str:
    """Return the text with all that a terminal would act on made visible.

    Control characters, escapes, and those that change the direction or are invisible become
    ``\\x1b``, ``\\u202e`` and so on: a job's name is its user's, not ours.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
        for c in text
    )


def short(text: str | None, longest: int = 16) -> str:
    """Return the text, plain and cut to so many characters; - for none."""
    shown = plain(text) if text else NOTHING
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def duration(seconds: float | None) -> str:
    """Return 0 s, 0.35 s, 4.2 s, 42 s, 2 m 05 s, 3 h 07 m or 2 d 04 h; - for None."""
    if seconds is None:
        return NOTHING
    whole = round(seconds)
    if seconds <= 0:
        return "0 s"
    if seconds < 0.995:
        return f"{seconds:.2f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} m"
    return f"{whole // 86_400} d {whole % 86_400 // 3600:02} h"


def core_hours(core_s: float) -> str:
    """Return core-hours with three digits that count: 1,234, 12.3, 0.00222, 0."""
    hours = core_s / CORE_HOUR_S
    if hours >= 100:
        return f"{hours:,.0f}"
    if hours <= 1e-9:
        return "0"
    digits = 1
    while digits < 9 and hours * 10**digits < 100:
        digits += 1
    return f"{hours:.{digits}f}"


def percent(ratio: float | None) -> str:
    """Return 57.7 % for 0.577; - for None."""
    return NOTHING if ratio is None else f"{100 * ratio:.1f} %"


def cores(number: float | None) -> str:
    """Return cores with two decimals; - for None."""
    return NOTHING if number is None else f"{number:.2f}"


def count(number: int | None) -> str:
    """Return a whole number; - for None."""
    return NOTHING if number is None else str(number)


def clock(at: float | None) -> str:
    """Return local date and time, to the second; - for None."""
    return NOTHING if at is None else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


def many(number: int, one: str, more: str = "") -> str:
    """Return ``1 job``, ``2,000 jobs``."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def few(names: Sequence[str], most: int = 3, longest: int = 16) -> str:
    """Return ``w1``, ``w1 and w2``, ``w1, w2, w3 and 4 others``, each name cut; - for none."""
    shown = [short(name, longest) for name in names[:most]]
    left = len(names) - len(shown)
    if left:
        shown.append(many(left, "other"))
    if len(shown) < 2:
        return shown[0] if shown else NOTHING
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
