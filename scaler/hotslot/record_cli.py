"""``hotslot verify``, ``prune`` and ``export``: looking after the record."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click

from hotslot.config import Config, load
from hotslot.options import AGO, SECONDS, Moment
from hotslot.terminal import as_json, fail, patience, print_json


class Age(click.ParamType[float]):
    """A length of time: ``30d``, ``12h``; in seconds."""

    name = "age"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, int | float):
            return float(value)
        found = AGO.fullmatch(str(value))
        if not found:
            self.fail(f"{value!r} is no length of time; say 30d, 26w or 400d", param, ctx)
        return float(int(found[1]) * SECONDS[found[2]])


@click.command()
@as_json
@click.pass_obj
def verify(path: Path, json_: bool) -> None:
    """Check that the record adds up; exit code 1 when something differs.

    Compared are what leases and the host's ledger say was held, each lease's totals and its
    samples, its counts and its events, and roll-ups and leases. Changes nothing, and works while
    the agent writes.

    \b
    Examples:
      hotslot verify
      hotslot verify --json | jq '.[] | select(.level == "wrong")'
    """
    from hotslot.record.history import History
    from hotslot.report.findings import findings_page
    from hotslot.terminal import console
    from hotslot.verify import verify as run

    database = load(path).record.database
    with History(database) as history, patience("comparing", "comparing {}") as tell:
        found = run(history, tell)
    if json_:
        print_json([{**asdict(one), "level": one.level.value} for one in found])
    else:
        console().print(findings_page(str(database), found))
    sys.exit(any(one.level == "wrong" for one in found))


@click.command()
@as_json
@click.option("--keep", type=Age(), default="400d", show_default=True,
              help="How long events and leases stay after their lease's end.")  # fmt: skip
@click.option("--samples", type=Age(), default="30d", show_default=True,
              help="How long samples and decisions stay; never longer than --keep.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would go, change nothing.")
@click.pass_obj
def prune(path: Path, json_: bool, keep: float, samples: float, dry_run: bool) -> None:
    """Let go of old samples and decisions, then of old events and leases.

    Sums by day and the host's ledger stay for ever, and so do all days in part within the time.
    Works while the agent writes, in small steps; when interrupted, the next time goes on.

    \b
    Examples:
      hotslot prune --dry-run
      hotslot prune --keep 400d --samples 14d
    """
    from hotslot.prune import Keep, would_go
    from hotslot.prune import prune as run

    config = load(path)
    database = config.record.database
    kept = Keep.of(time.time(), samples, keep)
    if not dry_run:
        _noted(config, {"begins": True, "database": str(database), **asdict(kept)})
    with patience("pruning", "pruned {}") as tell:
        gone = would_go(database, kept) if dry_run else run(database, kept, tell)
    if not dry_run:
        _noted(config, {"ended": True, "database": str(database), **asdict(gone)})
    if json_:
        print_json({**asdict(gone), "dry_run": dry_run})
        return
    rows = (
        f"{gone.samples:,} samples, {gone.decisions:,} decisions, {gone.events:,} events and "
        f"{gone.leases:,} leases"
    )
    freed = "" if dry_run else f"; {gone.freed_bytes / 2**20:,.1f} MiB are free"
    click.echo(f"{rows} {'would go' if dry_run else 'are gone'}{freed}")


def _noted(config: Config, what: dict[str, object]) -> None:
    from hotslot.audit.chain import Kind
    from hotslot.audited import say

    if problem := say(config, Kind.PRUNE, what, "hotslot prune"):
        click.echo(f"hotslot: {problem}", err=True)


@click.command()
@as_json
@click.argument("what", type=click.Choice(["leases", "events", "traces"]))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]),
              help="Default: by the file's ending; traces are always Parquet.")  # fmt: skip
@click.option("--since", type=Moment(), help="Leases open after then: 30m, 2h, 7d ago, or a date.")
@click.option("--until", type=Moment(), help="Leases opened before then.")
@click.pass_obj
def export(
    path: Path,
    json_: bool,
    what: Literal["leases", "events", "traces"],
    target: Path,
    form: Literal["csv", "parquet"] | None,
    since: float | None,
    until: float | None,
) -> None:
    """Write leases or events into a file TARGET, or a trace set into a directory TARGET.

    A trace set is what `hotslot replay` reads; jobs whose samples are pruned are not in it. CSV
    goes to standard output when TARGET is -.

    \b
    Examples:
      hotslot export leases leases.parquet --since 30d
      hotslot export events - --format csv --since 2026-11-01 --until 2026-12-01
      hotslot export traces traces/november && hotslot replay traces/november
    """
    from hotslot.export import Span, export_rows
    from hotslot.export_traces import export_traces
    from hotslot.record.history import History

    span = Span(since, until)
    form = form or ("csv" if target.suffix == ".csv" or str(target) == "-" else "parquet")
    to_stdout = str(target) == "-"
    if to_stdout and (what == "traces" or form == "parquet"):
        raise click.UsageError("only CSV goes to standard output")
    with History(load(path).record.database) as history, patience("writing", "written: {}") as tell:
        if what == "traces":
            written = export_traces(history, target, span, tell)
        else:
            written = export_rows(history, what, form, None if to_stdout else target, span, tell)
    if not written and what == "traces":
        fail(1, "no lease of that time has samples; `hotslot prune` lets go of them after 30 days")
    if json_:
        click.echo(json.dumps({"what": what, "written": written}), err=to_stdout)
    else:
        click.echo(f"{written:,} {'jobs' if what == 'traces' else what}", err=True)
