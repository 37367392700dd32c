"""A replay as a person reads it: a table, and the trade-off as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from hotslot.replay.figures import Figures
from hotslot.replay.host import HostFigures
from hotslot.report.table import Column, Columns
from hotslot.report.words import plain

HEIGHT = 18
NARROWEST = 40


def table(rows: Sequence[Figures]) -> Columns:
    """One line a policy; percentages of requested core-hours, except eff (of the perfect oracle's)
    and p99 and worst (of jobs)."""
    return Columns(
        (
            Column("policy", [plain(row.policy) for row in rows]),
            Column("jobs", [f"{row.jobs:,}" for row in rows], right=True, spare=3),
            Column("reclaimed %", [f"{row.reclaimed_pct:.2f}" for row in rows], right=True),
            Column("eff %", [f"{row.eff_pct:.1f}" for row in rows], right=True),
            Column("throttled %", [f"{r.slowdown_throttle_pct:.3f}" for r in rows], right=True),
            Column("slow-down %", [f"{row.slowdown_total_pct:.3f}" for row in rows], right=True),
            Column("p99 %", [f"{row.slowdown_p99_pct:.2f}" for row in rows], right=True, spare=1),
            Column("worst %", [f"{row.worst_pct:.1f}" for row in rows], right=True, spare=2),
            Column("events/h", [f"{row.events_per_job_hour:.1f}" for row in rows], right=True),
        )
    )


def host_table(rows: Sequence[HostFigures]) -> Columns:
    """One line a policy on a whole host."""
    return Columns(
        (
            Column("policy", [plain(row.policy) for row in rows]),
            Column("jobs", [f"{row.jobs:,}" for row in rows], right=True, spare=2),
            Column("hours", [f"{row.makespan_h:.1f}" for row in rows], right=True, spare=1),
            Column("throughput", [f"{row.throughput:.3f}" for row in rows], right=True),
            Column("gain %", [f"{row.gain_pct:+.1f}" for row in rows], right=True),
            Column("wait h", [f"{row.wait_mean_h:.1f}" for row in rows], right=True),
            Column("short %", [f"{row.slowdown_short_pct:.3f}" for row in rows], right=True),
            Column("slow-down %", [f"{row.slowdown_total_pct:.3f}" for row in rows], right=True),
            Column("p99 %", [f"{r.slowdown_p99_pct:.2f}" for r in rows], right=True, spare=3),
            Column("events/h", [f"{row.events_per_job_hour:.1f}" for row in rows], right=True),
        )
    )


class TradeOff:
    """Draws eff over total slow-down, a letter a policy, with the letters' names below."""

    def __init__(self, rows: Sequence[Figures]) -> None:
        self._rows = [row for row in rows if row.policy != "oracle:perfect"]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, 100)
        if width < NARROWEST or not self._rows:
            return
        try:
            drawn = _draw(self._rows, width)
        except (ImportError, OSError) as error:
            yield Text(plain(f"no plot, plotext does not load: {error}"))
            return
        yield Text.from_ansi(drawn, no_wrap=True) if console.is_terminal else Text(drawn)
        names = [f"{_letter(at)} {row.policy}" for at, row in enumerate(self._rows)]
        yield Text("eff % over slow-down %: " + ", ".join(map(plain, names)))


def _letter(at: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return letters[at % len(letters)]


def _draw(rows: Sequence[Figures], width: int) -> str:
    import plotext

    plotext.terminal.limit(False, False)
    figure: Any = plotext.figure.clear()
    figure.theme("colorless")
    figure.plot_size(width, HEIGHT)
    figure.legend(False)
    for at, row in enumerate(rows):
        marker = plotext.marker(_letter(at), None)
        figure.draw(figure.signal([row.slowdown_total_pct], [row.eff_pct], marker=marker))
    drawn: str = figure.build().string(colorless=True)
    return drawn.rstrip("\n")
