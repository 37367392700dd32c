"""``hotslot audit``: who changed what of this host's allocations, and is that log whole."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hotslot.config import load
from hotslot.options import Moment
from hotslot.terminal import as_json, console, fail, patience, print_json

if TYPE_CHECKING:
    from hotslot.audit.verify import Verdict

WRITE_S = 1.0
"""How long a line may be half written while the agent runs."""


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def audit(context: click.Context, json_: bool) -> None:
    """Show who changed what of this host's allocations, and whether that log is whole.

    Alone: the changes of the last day. Works without a running agent.

    \b
    Examples:
      hotslot audit show --since 7d --worker w1
      hotslot audit verify
      hotslot audit head | ssh loghost 'cat >> hotslot-heads'
    """
    if context.invoked_subcommand is None:
        context.invoke(show, since=time.time() - 86_400, json_=json_)
    elif json_:
        raise click.UsageError(f"--json goes behind {context.invoked_subcommand}", context)


@audit.command()
@as_json
@click.option("--since", type=Moment(), default="7d", show_default=True,
              help="From when on: 30m, 2h, 7d ago, or a date.")  # fmt: skip
@click.option("--until", type=Moment(), help="Until when; default: now.")
@click.option("--worker", help="Only changes of this worker.")
@click.option("--job", help="Only changes of this job.")
@click.option("--kind", help="Only these: vcpus, limits, resume, prune, machine, start, stop …")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=1000, show_default=True,
              help="The newest ones, at most.")  # fmt: skip
@click.pass_obj
def show(
    path: Path,
    json_: bool,
    since: float,
    until: float | None = None,
    worker: str | None = None,
    job: str | None = None,
    kind: str | None = None,
    limit: int = 1000,
) -> None:
    """List changes, oldest first: when, who, what, why.

    It does not look whether they follow each other: `hotslot audit verify` does.

    \b
    Examples:
      hotslot audit show --since 2h --worker w1
      hotslot audit show --job 4711 --json
      hotslot audit show --kind prune --since 400d
    """
    from collections import deque

    from hotslot.audit.verify import entries, fits
    from hotslot.report.audit import audit_table

    wanted = {"worker": worker, "job": job}
    with patience("reading"):
        found = deque(
            (
                line
                for line in entries(_files(path, since))
                if fits(line, since, until, kind, wanted)
            ),
            maxlen=limit,
        )
    if json_:
        print_json([asdict(line) for line in found])
    else:
        console().print(audit_table(found))


@audit.command()
@as_json
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--head", "kept", metavar="HASH",
              help="Also: is this line, kept elsewhere, still in it?")  # fmt: skip
@click.pass_obj
def verify(path: Path, json_: bool, files: tuple[Path, ...], kept: str | None) -> None:
    """Follow the chain of hashes; exit code 1 with the first line that does not fit.

    FILES are of one log, in any order; default: all of this host's. Any line that was changed,
    added, taken out or moved is found. What was cut off at the end is found with --head only, and
    a log that root has written anew from some line on, too: keep heads elsewhere.

    \b
    Examples:
      hotslot audit verify
      hotslot audit verify --head 9f2c…
      hotslot audit verify /backup/audit.log* --json
    """
    from hotslot.audit.files import all_of, in_order
    from hotslot.audit.verify import holds
    from hotslot.audit.verify import verify as run
    from hotslot.report.audit import verdict_page

    paths = in_order(files) if files else all_of(_log(path))
    if not paths:
        fail(1, f"there is no audit log at {_log(path)} yet; the agent begins it at its start")
    with patience("following the chain", "following the chain: {}") as tell:
        verdict = run(paths, tell)
        if verdict.at_end and not files:
            time.sleep(WRITE_S)
            verdict = run(paths, tell)
        has_head = None if kept is None else holds(paths, kept)
    wrong = _wrong(verdict, whole=not files, has_head=has_head)
    if json_:
        print_json({**asdict(verdict), "has_head": has_head, "wrong": wrong})
    else:
        console().print(verdict_page(verdict, wrong))
    sys.exit(bool(wrong))


def _wrong(verdict: Verdict, *, whole: bool, has_head: bool | None) -> list[str]:
    wrong = []
    if verdict.broken is not None:
        wrong.append(f"{verdict.broken.where}: {verdict.broken.what}")
    if whole and verdict.missing:
        wrong.append(f"{verdict.missing:,} lines before line number {verdict.first_seq} are gone")
    if has_head is False:
        wrong.append("the line of --head is not in it: it was cut off, or written anew")
    return wrong


@audit.command()
@as_json
@click.pass_obj
def head(path: Path, json_: bool) -> None:
    """Print the hash of the last line, to be kept where root of this host cannot change it.

    `hotslot audit verify --head HASH` looks for it later. It does not verify by itself.

    \b
    Examples:
      hotslot audit head
      hotslot audit head --json
    """
    from hotslot.audit.files import last_of

    last = last_of(_log(path))
    if last is None:
        fail(1, f"there is no audit log at {_log(path)} yet; the agent begins it at its start")
    if json_:
        print_json({"seq": last.seq, "at": last.at, "hash": last.hash})
    else:
        click.echo(last.hash)


def _log(path: Path) -> Path:
    log = load(path).audit_file
    if log is None:
        fail(1, "audit.enabled is false in the configuration: no log is kept")
    return log


def _files(path: Path, since: float) -> list[Path]:
    """Return the files that were written to after ``since``."""
    from hotslot.audit.files import all_of

    found = all_of(_log(path))
    if not found:
        fail(1, f"there is no audit log at {_log(path)} yet; the agent begins it at its start")
    return [one for one in found if one.stat().st_mtime >= since]
