"""A report's rows as a template shows them: chosen columns, texts, and values to sort by."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hotslot.report.forms import cell
from hotslot.report.sheet import Column, Kind, Sheet, Value

_CLASSES = {Kind.NAME: "name", Kind.STATE: "state", Kind.WORDS: "words"}


@dataclass(frozen=True, slots=True)
class Cell:
    """``css`` are names of our own, never a user's; ``raw`` is what a heading sorts by."""

    text: str
    css: str
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's title."""

    title: str
    css: str


@dataclass(frozen=True, slots=True)
class Row:
    """``link`` is the id of what tells more of it, '' for nothing."""

    cells: Sequence[Cell]
    place: int
    link: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """For the macro ``sheet``."""

    title: str
    columns: Sequence[Heading]
    rows: Sequence[Row]
    total: Sequence[Cell]
    notes: Sequence[str]


def table(
    sheet: Sheet, keys: Sequence[str], spare: Collection[str], links: Sequence[str] = ()
) -> Table:
    """Return these columns of a sheet; those in ``spare`` are left out where it is narrow."""
    places = [place for place, one in enumerate(sheet.columns) if one.key in keys]
    columns = [sheet.columns[place] for place in places]
    css = [_css(column, column.key in spare) for column in columns]
    shown = list(zip(places, columns, css, strict=True))
    rows = [
        Row(
            [_cell(values[place], column, name) for place, column, name in shown],
            number,
            links[number] if links else "",
        )
        for number, values in enumerate(sheet.rows)
    ]
    total = sheet.total or ()
    return Table(
        sheet.title,
        [Heading(column.title, name) for column, name in zip(columns, css, strict=True)],
        rows,
        [
            Cell("", name) if total[place] is None else _cell(total[place], column, name)
            for place, column, name in shown
        ]
        if total
        else [],
        sheet.notes,
    )


def _css(column: Column, spare: bool) -> str:
    return f"{_CLASSES.get(column.kind, 'n')}{' spare' if spare else ''}"


def _cell(value: Value, column: Column, css: str) -> Cell:
    shown = cell(value, column.kind)
    return Cell(
        shown, css, shown if isinstance(value, str) else "" if value is None else f"{value}"
    )
