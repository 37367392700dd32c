"""The options that the commands of ``hotslot report`` share."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from hotslot.options import Moment
from hotslot.terminal import as_json

Form = Literal["table", "csv", "json", "md", "parquet"]
JOB_SORTS = ("newest", "requested", "held", "used", "returned", "borrowed", "idle", "waited",
             "saturated", "efficiency")  # fmt: skip
SUM_SORTS = ("name", "jobs", "requested", "held", "used", "returned", "borrowed", "idle",
             "waited", "saturated", "efficiency")  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])


class When(Moment):
    """A point in time, also as people say it: ``now``, ``today``, ``yesterday``, ``monday``."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, str) and (at := _said(value.strip().lower())) is not None:
            return at
        return super().convert(value, param, ctx)


DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _said(word: str) -> float | None:
    """Return the begin of the day that a word names, the last one of its name; None if it
    names none."""
    now = datetime.fromtimestamp(time.time())
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if word == "now":
        return now.timestamp()
    if word in DAYS:
        return (day - timedelta(days=(day.weekday() - DAYS.index(word)) % 7)).timestamp()
    back = {"today": 0, "yesterday": 1}.get(word)
    return None if back is None else (day - timedelta(days=back)).timestamp()


@dataclass(frozen=True, slots=True)
class Out:
    """Where a report goes, and as what."""

    form: Form
    output: Path | None
    html: Path | None

    @classmethod
    def of(cls, form: Form | None, json_: bool, output: Path | None, html: Path | None) -> Out:
        """Check that the words go together."""
        if json_ and form not in (None, "json"):
            raise click.UsageError(f"--json and --format {form} exclude each other")
        if html is not None and (form or json_ or output):
            raise click.UsageError("--html FILE goes without --format, --json and --output")
        form = "json" if json_ else form or _by_ending(output)
        if form == "parquet" and output is None and sys.stdout.isatty():
            raise click.UsageError("Parquet is not for a terminal: name a file with --output")
        return cls(form, output, html)


def _by_ending(output: Path | None) -> Form:
    endings: dict[str, Form] = {
        ".csv": "csv", ".json": "json", ".md": "md", ".parquet": "parquet"}  # fmt: skip
    return endings.get(output.suffix, "table") if output else "table"


def out_options(command: F) -> F:
    options = (
        click.option("--html", type=click.Path(path_type=Path, dir_okay=False),
                     help="Write a page of everything into one file, for any browser."),
        click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False),
                     help="Write into a file; its ending says the format."),
        click.option("--format", "form",
                     type=click.Choice(["table", "csv", "json", "md", "parquet"]),
                     help="Default: a table."),
        as_json,
    )  # fmt: skip
    for option in options:
        command = option(command)
    return command


def whose_options(command: F) -> F:
    options = (
        click.option("--state", help="Only these: running, completed, failed, cancelled …"),
        click.option("--partition", help="Only this partition's jobs."),
        click.option("--account", help="Only this account's jobs."),
        click.option("--user", help="Only this user's jobs."),
    )
    for option in options:
        command = option(command)
    return command


def when_options(command: F) -> F:
    options = (
        click.option("--until", type=When(), help="Until when; default: now."),
        click.option("--since", type=When(), default="7d", show_default=True,
                     help="From when on: 30m, 2h, 7d ago, yesterday, monday, or a date."),
    )  # fmt: skip
    for option in options:
        command = option(command)
    return command


def rank_options(sorts: tuple[str, ...], first: str, limit: int) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        options = (
            click.option("--limit", type=click.IntRange(1, 1_000_000), default=limit,
                         show_default=True, help="So many lines, at most."),
            click.option("--lowest-first", is_flag=True, help="The lowest first."),
            click.option("--sort", type=click.Choice(sorts), default=first, show_default=True,
                         help="By what, the highest first; idle is held but not used."),
        )  # fmt: skip
        for option in options:
            command = option(command)
        return command

    return decorate
