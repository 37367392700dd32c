"""A table of figures that never cuts a number, however narrow the terminal is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from hotslot.report.table import GAP, Column, Columns

SHORTEST_NAME = 16
"""Names are shortened to this before a column of figures is left out."""


class Figured:
    """Columns of names, then columns of figures.

    When it gets narrow, the longest names are shortened in the middle, then whole columns are left
    out from the right, which a line below says.
    """

    def __init__(self, names: Sequence[Column], figures: Sequence[Column]) -> None:
        self._names = names
        self._figures = figures

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = list(self._figures)
        least = sum(min(SHORTEST_NAME, column.width) + GAP for column in self._names)
        while len(shown) > 1 and least + _wide(shown) > options.max_width:
            shown.pop()
        longest = _longest(self._names, options.max_width - _wide(shown))
        names = (
            Column(column.title, [middle(text.plain, longest) for text in column.texts])
            for column in self._names
        )
        yield Columns((*names, *shown))
        left_out = [column.title for column in self._figures[len(shown) :]]
        if left_out:
            yield Text(f"too narrow for {', '.join(left_out)}; --json has all")


def middle(name: str, longest: int) -> str:
    """Return the name, its middle left out beyond so many characters: ``window:wi…pct=5``."""
    if len(name) <= longest:
        return name
    end = (longest - 1) // 2
    return f"{name[: longest - 1 - end]}…{name[len(name) - end :]}"


def _longest(names: Sequence[Column], room: int) -> int:
    """Return how long a name may be so that all columns of names fit, if they can."""
    longest = max(SHORTEST_NAME, *(column.width for column in names))
    while longest > SHORTEST_NAME:
        if sum(min(longest, column.width) + GAP for column in names) <= room:
            break
        longest -= 1
    return longest


def _wide(columns: Sequence[Column]) -> int:
    return sum(column.width + GAP for column in columns)
