"""Tables that fit the terminal: what matters least is left out first, reasons fold."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from hotslot.report.words import plain

WIDTH_OF_A_PIPE = 120
FOLDED_WIDTH = 20
"""A column that folds is shown as long as it gets this many characters."""

GAP = 2


def console(stream: TextIO | None = None, width: int | None = None) -> Console:
    """Return a console that takes no markup; it is coloured on a terminal only.

    Writes ``?`` for what the stream's encoding does not have. Into a pipe it is as wide as
    COLUMNS says, or WIDTH_OF_A_PIPE.
    """
    target = stream or sys.stdout
    if isinstance(target, TextIOWrapper):
        target.reconfigure(errors="replace")
    if width is None and not target.isatty():
        width = shutil.get_terminal_size((WIDTH_OF_A_PIPE, 24)).columns
    return Console(file=target, width=width, markup=False, highlight=False, emoji=False)


@dataclass(frozen=True, slots=True)
class Column:
    """A column and its cells. The one with the highest ``spare`` goes first when it gets narrow;
    one with 0 stays. Cells are shown as they are: nothing in them is markup."""

    title: str
    cells: Sequence[str | Text]
    right: bool = False
    folds: bool = False
    spare: int = 0
    style: str = ""
    texts: tuple[Text, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", tuple(map(_text, self.cells)))

    @property
    def width(self) -> int:
        """Characters that it needs, or FOLDED_WIDTH if it can fold."""
        widest = max((cell_len(text.plain) for text in self.texts), default=0)
        needed = max(widest, *map(cell_len, self.title.split("\n")))
        return min(needed, FOLDED_WIDTH) if self.folds else needed


@dataclass(frozen=True, slots=True)
class Columns:
    """A table of as many columns as fit."""

    columns: Sequence[Column]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield _table(_fitting(self.columns, options.max_width))


def _fitting(columns: Iterable[Column], width: int) -> list[Column]:
    shown = list(columns)
    while _width(shown) > width:
        least = max(shown, key=lambda column: column.spare)
        if not least.spare:
            break
        shown.remove(least)
    return shown


def _width(columns: Iterable[Column]) -> int:
    return sum(column.width + GAP for column in columns)


def _table(columns: Sequence[Column]) -> Table:
    titled = any(column.title for column in columns)
    table = Table(
        box=box.SIMPLE_HEAD if titled else None,
        show_header=titled,
        show_edge=False,
        pad_edge=False,
        padding=(0, GAP - titled, 0, 0),
    )
    for column in columns:
        table.add_column(
            Text(column.title),
            justify="right" if column.right else "left",
            no_wrap=not column.folds,
            overflow="fold" if column.folds else "ellipsis",
            ratio=1 if column.folds else None,
            min_width=min(column.width, FOLDED_WIDTH),
            style=column.style,
        )
    for row in zip(*(column.texts for column in columns), strict=True):
        table.add_row(*row)
    return table


def _text(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else Text(plain(cell))
