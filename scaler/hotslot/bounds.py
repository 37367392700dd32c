"""What a setting's value must be beside its type: functions that raise ValueError with words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sized
from typing import Any

Check = Callable[[Any], object]


def within(least: float, most: float) -> Check:
    """Have a number be from ``least`` to ``most``."""

    def check(number: float) -> None:
        if number < least:
            raise ValueError(f"input should be greater than or equal to {least}")
        if number > most:
            raise ValueError(f"input should be less than or equal to {most}")

    return check


def above(limit: float, most: float) -> Check:
    """Have a number be more than ``limit`` and not more than ``most``."""

    def check(number: float) -> None:
        if number <= limit:
            raise ValueError(f"input should be greater than {limit}")
        if number > most:
            raise ValueError(f"input should be less than or equal to {most}")

    return check


def like(pattern: str) -> Check:
    """Have a text match this, from its first character to its last."""

    def check(text: str) -> None:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"string should match pattern '{pattern}'")

    return check


def filled(text: str) -> None:
    """Have a text be of one character or more."""
    if not text:
        raise ValueError("string should have at least 1 character")


def up_to(most: int) -> Check:
    """Have a list be of 1 to ``most`` items."""

    def check(items: Sized) -> None:
        if not items:
            raise ValueError("should have at least 1 item, not 0")
        if len(items) > most:
            raise ValueError(f"should have at most {most} items, not {len(items)}")

    return check
