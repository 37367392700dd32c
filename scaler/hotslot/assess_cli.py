"""``hotslot assess``: what accounting alone tells, before anything is installed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hotslot.assess import Share

COARSE = (
    "Coarse: accounting knows averages only. What would come back is a range, from jobs whose "
    "courses are known; record some jobs and replay them for figures to plan with."
)


@click.command()
@click.option("--slurm", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Output of sacct --json, or of sacct -P with its heading.")  # fmt: skip
@click.option("--condor", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Output of condor_history -json.")  # fmt: skip
@click.option("--top", type=click.IntRange(1, 10_000), default=20, show_default=True,
              help="So many users and applications, the most idle first.")  # fmt: skip
@click.option("--json", "json_", is_flag=True, help="Print JSON for programs.")
def assess(slurm: Path | None, condor: Path | None, top: int, json_: bool) -> None:
    """Say from accounting how much of what jobs asked for was idle.

    \b
    Examples:
      sacct -aPS now-30days -o JobID,User,JobName,AllocCPUS,Elapsed,TotalCPU,NNodes,State > jobs.txt
      hotslot assess --slurm jobs.txt
      condor_history -json > jobs.json && hotslot assess --condor jobs.json --json
    """
    from hotslot.accounting import from_condor, from_slurm
    from hotslot.assess import shares, sifted, total
    from hotslot.report.table import console

    if (slurm is None) == (condor is None):
        raise click.UsageError("give one of --slurm FILE and --condor FILE")
    if slurm is not None:
        accounts = from_slurm(slurm.read_text(encoding="utf-8", errors="replace"))
    else:
        assert condor is not None  # noqa: S101 - one of the two
        accounts = from_condor(condor.read_text(encoding="utf-8", errors="replace"))
    kept, left_out = sifted(accounts)
    whole, parts = total(kept), shares(kept)
    if json_:
        answer: dict[str, object] = {
            "total": _fields(whole),
            "shares": [_fields(one) for one in parts[:top]],
        }
        answer["left_out"] = asdict(left_out)
        click.echo(json.dumps({**answer, "coarse": COARSE}, indent=2, allow_nan=False))
        return
    console().print(_table([*parts[:top], whole]))
    console().print(str(left_out))
    console().print(COARSE)


def _fields(share: Share) -> dict[str, object]:
    low, high = share.returned_core_s
    return {
        "user": share.user,
        "application": share.application,
        "jobs": share.jobs,
        "requested_core_h": round(share.requested_core_s / 3600, 6),
        "idle_core_h": round(share.idle_core_s / 3600, 6),
        "idle_pct": None if share.idle_part is None else round(100 * share.idle_part, 3),
        "returned_core_h_low": round(low / 3600, 6),
        "returned_core_h_high": round(high / 3600, 6),
    }


def _table(rows: list[Share]) -> object:
    from hotslot.report.figured import Figured
    from hotslot.report.table import Column
    from hotslot.report.words import core_hours, percent, short

    def returned(share: Share) -> str:
        low, high = share.returned_core_s
        return f"{core_hours(low)} – {core_hours(high)}"

    figures = (
        Column("jobs", [f"{one.jobs:,}" for one in rows], right=True),
        Column("requested h", [core_hours(one.requested_core_s) for one in rows], right=True),
        Column("idle h", [core_hours(one.idle_core_s) for one in rows], right=True),
        Column("idle", [percent(one.idle_part) for one in rows], right=True),
        Column("hotslot would return, h", [returned(one) for one in rows], right=True),
    )
    names = (
        Column("user", [short(one.user) if one.user else "all" for one in rows]),
        Column("application", [short(one.application, 40) for one in rows]),
    )
    return Figured(names, figures)
