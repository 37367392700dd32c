"""Reading what somebody else wrote: JSON whose every part may be missing, odd or hostile.

A ``Part`` knows where it is, so that an error names the place: ``jobs[3].job_resources``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from hotslot.errors import SchedulerError

TEXT_LENGTH = 255
"""Longest text that is kept of a name or a reason, in characters."""

NUMBER_MAX = 2**53
"""Largest number that is believed: beyond it JSON readers disagree."""


@dataclass(frozen=True, slots=True)
class Part:
    """A value in a document and the path to it."""

    value: object
    where: str

    def __getitem__(self, key: str) -> Part:
        """Return a member of an object; a missing one has the value None."""
        members = self.value if isinstance(self.value, dict) else {}
        return Part(members.get(key), f"{self.where}.{key}" if self.where else key)

    def items(self) -> Iterator[Part]:
        """Yield the elements of a list; None has none."""
        if self.value is None:
            return
        if not isinstance(self.value, list):
            self.refuse("is not a list")
        for index, element in enumerate(self.value):
            yield Part(element, f"{self.where}[{index}]")

    def text(self) -> str:
        """Return text on one line, shortened, without control characters; '' if there is none."""
        if self.value is None:
            return ""
        if not isinstance(self.value, str):
            self.refuse("is not text")
        return "".join(c if c.isprintable() else " " for c in self.value[:TEXT_LENGTH]).strip()

    def words(self) -> frozenset[str]:
        """Return flags in capitals: a list of them, or a text like ``IDLE+DRAIN``."""
        if isinstance(self.value, str):
            return frozenset(word for word in self.text().upper().split("+") if word)
        return frozenset(word for part in self.items() if (word := part.text().upper()))

    def number(self) -> int | None:
        """Return a whole number of 0 or more; None when not set or infinite.

        Slurm writes a plain number or ``{"set": true, "infinite": false, "number": 5}``.
        """
        value = self.value
        if isinstance(value, dict):
            if value.get("set") is not True or value.get("infinite") is True:
                return None
            value = value.get("number")
        if value is None:
            return None
        if isinstance(value, float) and math.isfinite(value) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= NUMBER_MAX:
            self.refuse("is not a whole number")
        return value

    def positive(self) -> int | None:
        """Return a number above 0; Slurm writes 0 for "never" and "none"."""
        return self.number() or None

    def refuse(self, what: str) -> NoReturn:
        """Raise SchedulerError: this part cannot be used."""
        shown = ascii(self.value)
        raise SchedulerError(
            f"Slurm's answer: {self.where or 'the document'} {what}"
            f" (is {shown if len(shown) <= 60 else shown[:57] + '...'})"
        )


def parse(text: str | bytes) -> Part:
    """Parse a JSON document; SchedulerError when it is none, or not an object.

    Slurm passes bytes of users' names of jobs on as they are: those that are no UTF-8 are replaced,
    else one job would hide all others.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    try:
        document = Part(json.loads(text, parse_constant=_refuse_constant), "")
    except (ValueError, RecursionError) as error:
        what = "is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SchedulerError(f"Slurm's answer is not JSON: {what[:200]}") from error
    if not isinstance(document.value, dict):
        document.refuse("is not an object")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")
