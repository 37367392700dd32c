"""A report as a table for the terminal, CSV, JSON, Markdown or Parquet."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from hotslot.report.sheet import Column, Kind, Sheet, Value
from hotslot.report.table import Column as Shown
from hotslot.report.table import Columns
from hotslot.report.words import (
    NOTHING,
    clock,
    core_hours,
    cores,
    duration,
    percent,
    plain,
    short,
)

LONGEST_NAME = 64
"""Of a name in Markdown and HTML; CSV, JSON and Parquet have all of it."""

_FORMULA = re.compile(r"^\s*[=+\-@＝＋－＠]")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~&!#$@])|(?<=www)(\.)|(:)(?=//)")


def cell(value: Value, kind: Kind, longest: int = LONGEST_NAME) -> str:
    """Return a value as a person reads it."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return short(value, longest) if value else ""
    return _NUMBERS[kind](value)


_NUMBERS: dict[Kind, Callable[[Any], str]] = {
    Kind.NAME: str,
    Kind.STATE: str,
    Kind.WORDS: str,
    Kind.COUNT: lambda value: f"{value:,}",
    Kind.CORES: cores,
    Kind.CORE_S: core_hours,
    Kind.SPAN_S: duration,
    Kind.AT: clock,
    Kind.SHARE: percent,
}


_LONGEST = {Kind.STATE: 24, Kind.WORDS: 1000}


_DIGITS = {Kind.CORES: 3, Kind.CORE_S: 3, Kind.SPAN_S: 3, Kind.AT: 3, Kind.SHARE: 6}


def exact(value: Value, kind: Kind) -> Value:
    """Return a value for programs: as exact as the record is, without the noise of sums."""
    return round(value, _DIGITS[kind]) if isinstance(value, float) and kind in _DIGITS else value


def as_text(sheet: Sheet) -> RenderableType:
    """Return a table that fits the terminal, its totals below a line, and its notes."""
    blocks: list[RenderableType] = [Text(plain(sheet.title), style="bold"), Text()]
    if sheet.rows:
        blocks.append(Columns([_shown(sheet, place) for place in range(len(sheet.columns))]))
    blocks += [Text(plain(note)) for note in sheet.notes]
    return Group(*blocks)


def _shown(sheet: Sheet, place: int) -> Shown:
    column = sheet.columns[place]
    longest = _LONGEST.get(column.kind, 16)
    cells: list[str | Text] = [cell(row[place], column.kind, longest) for row in sheet.rows]
    if sheet.total is not None:
        value = sheet.total[place]
        words = "" if value is None else cell(value, column.kind, longest)
        cells += [Text("─" * len(words)), Text(words, style="bold")]
    return Shown(
        column.title.replace(" core-h", "\ncore-h"),
        cells,
        right=not column.kind.is_text,
        folds=column.kind is Kind.WORDS,
        spare=column.spare,
    )


def as_csv(sheet: Sheet) -> str:
    """Return RFC 4180 with a heading; without totals, which a spreadsheet would add up again.

    Times are ISO 8601 in UTC, core-seconds and fractions as in JSON. A text that a spreadsheet
    would take for a formula begins with an apostrophe; control characters are visible.
    """
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([column.key for column in sheet.columns])
    for row in sheet.rows:
        writer.writerow(
            [_csv(value, column.kind) for value, column in zip(row, sheet.columns, strict=True)]
        )
    return out.getvalue()


def _csv(value: Value, kind: Kind) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, str):
        text = plain(value)
        return f"'{text}" if _FORMULA.match(text) else text
    if kind is Kind.AT:
        return _iso(value)
    known = exact(value, kind)
    return "" if known is None else known


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def as_markdown(sheet: Sheet) -> str:
    """Return a table of GitHub's Markdown, in which no name is markup or a link."""
    columns = sheet.columns
    lines = [f"**{escaped(sheet.title)}**", "", _line([escaped(one.title) for one in columns])]
    lines.append(_line(["---" if one.kind.is_text else "---:" for one in columns]))
    lines += [_line(_cells(row, columns)) for row in sheet.rows]
    if sheet.total is not None:
        bold = (f"**{one}**" if one not in ("", NOTHING) else "" for one in
                _cells(sheet.total, columns))  # fmt: skip
        lines.append(_line(list(bold)))
    lines += ["", *(escaped(note) for note in sheet.notes)] if sheet.notes else []
    return "\n".join(lines) + "\n"


def _cells(row: tuple[Value, ...], columns: Any) -> list[str]:
    return [
        escaped(cell(value, column.kind)) if column.kind.is_text else cell(value, column.kind)
        for value, column in zip(row, columns, strict=True)
    ]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escaped(text: str) -> str:
    """Return the text so that Markdown shows it as it is: no emphasis, HTML, link or mention."""
    return _MARKDOWN.sub(lambda found: f"\\{found[0]}", text)


def as_json(sheet: Sheet) -> dict[str, Any]:
    """Return keys and values as they are: seconds, core-seconds, fractions, UTC epoch seconds."""
    total = {} if sheet.total is None else _named(sheet, sheet.total)
    return {
        "report": sheet.report,
        "title": sheet.title,
        "rows": [_named(sheet, row) for row in sheet.rows],
        "total": {key: value for key, value in total.items() if value not in (None, "")},
        "notes": list(sheet.notes),
    }


def _named(sheet: Sheet, row: tuple[Value, ...]) -> dict[str, Value]:
    return {
        column.key: exact(value, column.kind)
        for column, value in zip(sheet.columns, row, strict=True)
    }


def json_text(sheet: Sheet) -> str:
    """Return JSON as text."""
    return json.dumps(as_json(sheet), indent=2, allow_nan=False) + "\n"


def as_parquet(sheet: Sheet) -> bytes:
    """Return a Parquet file; times are timestamps in UTC, the rest as in JSON."""
    import pyarrow
    from pyarrow import parquet

    kinds = {
        Kind.NAME: pyarrow.string(),
        Kind.STATE: pyarrow.string(),
        Kind.WORDS: pyarrow.string(),
        Kind.COUNT: pyarrow.int64(),
        Kind.AT: pyarrow.timestamp("ms", tz="UTC"),
    }
    arrays = {
        column.key: pyarrow.array(
            [_stored(row[place], column) for row in sheet.rows],
            type=kinds.get(column.kind, pyarrow.float64()),
        )
        for place, column in enumerate(sheet.columns)
    }
    out = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(arrays), out)
    written: bytes = out.getvalue().to_pybytes()
    return written


def _stored(value: Value, column: Column) -> Any:
    if value is not None and column.kind is Kind.AT:
        return round(float(value) * 1000)
    return exact(value, column.kind)
