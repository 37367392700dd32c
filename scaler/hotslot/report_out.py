"""Where a report goes, and as what."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hotslot.out_file import open_out

if TYPE_CHECKING:
    from hotslot.report.sheet import Sheet
    from hotslot.report_options import Out


def give(sheet: Sheet, out: Out) -> None:
    """Write a sheet in the form and to the place that were asked for."""
    from hotslot.report import forms

    match out.form:
        case "table":
            _table(sheet, out.output)
        case "csv":
            write(forms.as_csv(sheet).encode(), out.output)
        case "json":
            write(forms.json_text(sheet).encode(), out.output)
        case "md":
            write(forms.as_markdown(sheet).encode(), out.output)
        case "parquet":
            write(forms.as_parquet(sheet), out.output)


def _table(sheet: Sheet, output: Path | None) -> None:
    from hotslot.report.forms import as_text
    from hotslot.report.table import console as plain_console

    if output is None:
        plain_console().print(as_text(sheet))
        return
    with io.TextIOWrapper(open_out(output), encoding="utf-8") as stream:
        plain_console(stream).print(as_text(sheet))


def write(text: bytes, output: Path | None) -> None:
    """Write into a file, or to standard output."""
    if output is not None:
        with open_out(output) as file:
            file.write(text)
        return
    sys.stdout.buffer.write(text)
    sys.stdout.flush()
