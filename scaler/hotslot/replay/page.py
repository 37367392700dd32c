"""A replay as a person reads it: a table, and the trade-off as a plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from hotslot.replay.figures import Figures
from hotslot.replay.host import HostFigures
from hotslot.replay.svg import LEAST_PCT, TICKS_PCT, tick
from hotslot.report.figured import Figured
from hotslot.report.table import Column
from hotslot.report.words import plain

HEIGHT = 18
NARROWEST = 40
EDGE = 0.1
"""Room beside the outermost points, in powers of ten."""


def table(rows: Sequence[Figures]) -> Figured:
    """One line a policy; percentages of requested core-hours, except eff (of the perfect oracle's)
    and p99 and worst (of jobs)."""
    return Figured(
        [Column("policy", [row.policy for row in rows])],
        (
            _column("jobs", [f"{row.jobs:,}" for row in rows]),
            _column("reclaimed %", [f"{row.reclaimed_pct:.2f}" for row in rows]),
            _column("eff %", [f"{row.eff_pct:.1f}" for row in rows]),
            _column("throttled %", [f"{row.slowdown_throttle_pct:.3f}" for row in rows]),
            _column("slow-down %", [f"{row.slowdown_total_pct:.3f}" for row in rows]),
            _column("p99 %", [f"{row.slowdown_p99_pct:.2f}" for row in rows]),
            _column("worst %", [f"{row.worst_pct:.1f}" for row in rows]),
            _column("events/h", [f"{row.events_per_job_hour:.1f}" for row in rows]),
        ),
    )


def host_table(rows: Sequence[HostFigures]) -> Figured:
    """One line a policy on a whole host; what jobs lost while they owned their cores, and how much
    later the worst one ended than under static, show once an arbiter lends cores."""
    return Figured(
        [Column("policy", [row.policy for row in rows])],
        (
            _column("jobs", [f"{row.jobs:,}" for row in rows]),
            _column("hours", [f"{row.makespan_h:.1f}" for row in rows]),
            _column("throughput", [f"{row.throughput:.3f}" for row in rows]),
            _column("gain %", [f"{row.gain_pct:+.1f}" for row in rows]),
            _column("wait h", [f"{row.wait_mean_h:.1f}" for row in rows]),
            _column("short %", [f"{row.slowdown_short_pct:.3f}" for row in rows]),
            _column("slow-down %", [f"{row.slowdown_total_pct:.3f}" for row in rows]),
            _column("owners %", [f"{row.slowdown_owners_pct:.3f}" for row in rows]),
            _column("latest %", [f"{row.latest_pct:+.1f}" for row in rows]),
            _column("p99 %", [f"{row.slowdown_p99_pct:.2f}" for row in rows]),
            _column("events/h", [f"{row.events_per_job_hour:.1f}" for row in rows]),
        ),
    )


def _column(title: str, cells: Sequence[str]) -> Column:
    return Column(title, cells, right=True)


class TradeOff:
    """Draws eff over total slow-down (logarithmic), a letter a policy, their names below."""

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
        figure.draw(figure.signal([_place(row.slowdown_total_pct)], [row.eff_pct], marker=marker))
    most = max([1.0, *(row.slowdown_total_pct for row in rows)])
    ticks = [slow for slow in TICKS_PCT if slow <= most]
    figure.ruler("x").lim(_place(0) - EDGE, _place(most) + EDGE)
    figure.ruler("x").ticks(list(map(_place, ticks)), list(map(tick, ticks)))
    lowest = min([0.0, *(row.eff_pct for row in rows)])
    figure.ruler("y").lim(lowest - 3, 103)
    figure.ruler("y").ticks(*_eff_ticks(lowest))
    drawn: str = figure.build().string(colorless=True)
    return drawn.rstrip("\n")


def _place(slow_pct: float) -> float:
    return math.log10(max(slow_pct, LEAST_PCT))


def _eff_ticks(lowest: float) -> tuple[list[int], list[str]]:
    step = 25 if lowest > -100 else 100 * math.ceil(-lowest / 400)
    places = list(range(step * math.ceil(lowest / step), 101, step))
    return places, [str(place) for place in places]
