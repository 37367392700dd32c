"""Checks of the parameters that policies and limits are given."""

from __future__ import annotations


def refuse_outside(**given: tuple[object, float, float]) -> None:
    """Raise ValueError that names every parameter that is no number from its low to its high.

    Worked: ``refuse_outside(margin_pct=(-5, 0, 1000))``: "margin_pct is -5, not a number from
    0 to 1000".
    """
    wrong = [
        f"{name} is {value!r}, not a number from {low:g} to {high:g}"
        for name, (value, low, high) in given.items()
        if not _within(value, low, high)
    ]
    if wrong:
        raise ValueError("; ".join(wrong))


def _within(value: object, low: float, high: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return low <= value <= high


def refuse_fractions(**given: object) -> None:
    """Raise ValueError that names every parameter that is no whole number."""
    wrong = [
        f"{name} is {value!r}, not a whole number"
        for name, value in given.items()
        if not isinstance(value, int) or isinstance(value, bool)
    ]
    if wrong:
        raise ValueError("; ".join(wrong))
