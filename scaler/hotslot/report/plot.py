"""A lease's timeline in the terminal: request, granted and used cores over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from hotslot.model import Sample
from hotslot.record.thin import thin
from hotslot.report.words import duration, plain

HEIGHT = 16
NARROWEST = 24
MOST_Y_TICKS = 8

_ASCII = str.maketrans("─│┌┐└┘├┤┬┴┼", "-|+++++++++")
_CURVES = (("request", "-", "blue"), ("granted", "=", "orange"), ("used", "*", "green"))


@dataclass(frozen=True, slots=True)
class Timeline:
    """Draws itself as wide as there is room; in ASCII and without colour into a pipe.

    ``samples`` are one lease's, oldest first, at least one.
    """

    samples: Sequence[Sample]
    request: int
    title: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        if width < NARROWEST:
            yield Text("too narrow for a timeline")
            return
        try:
            drawn = _draw(self, width, coloured=console.color_system is not None)
        except (ImportError, OSError) as error:  # its compiled part does not load everywhere
            yield Text(plain(f"no timeline, plotext does not load: {error}"))
            return
        if console.is_terminal:
            yield Text.from_ansi(drawn, no_wrap=True)
        else:
            yield Text(drawn.translate(_ASCII), no_wrap=True)
        yield Text("  ".join(f"{mark} {name}" for name, mark, _ in _CURVES), no_wrap=True)


def _draw(line: Timeline, width: int, *, coloured: bool) -> str:
    # Its import costs a third of a second, and only one command draws.
    import plotext

    samples = thin(line.samples, 2 * width)
    start = samples[0].at - samples[0].interval_s
    top = max(line.request, *(max(s.granted_vcpus, s.held_cores, s.used_cores) for s in samples))
    plotext.terminal.limit(False, False)
    figure = plotext.figure.clear()
    figure.theme("colorless")
    figure.plot_size(width, HEIGHT)
    figure.legend(False)
    if line.title:
        figure.title(line.title)
    for (_, mark, colour), points in zip(_CURVES, _curves(line, samples, start), strict=True):
        pixel = plotext.pixel(foreground=colour) if coloured else None
        _add(figure, points, plotext.marker(mark, pixel))
    figure.ruler("y").lim(0, top + 0.5)
    figure.ruler("y").ticks(*_y_ticks(top))
    figure.ruler("x").ticks(*_x_ticks(samples[-1].at - start, width))
    drawn: str = figure.build().string(colorless=not coloured)
    return drawn.rstrip("\n")


def _add(figure: Any, points: list[tuple[float, float]], marker: Any) -> None:
    xs, ys = zip(*points, strict=True)
    figure.draw(figure.signal(list(xs), list(ys), marker=marker).lines(True))


Points = list[tuple[float, float]]


def _curves(line: Timeline, samples: Sequence[Sample], start: float) -> tuple[Points, ...]:
    """Return request, granted and used as points of (s since start, cores)."""
    end = samples[-1].at - start
    return (
        [(0.0, float(line.request)), (end, float(line.request))],
        list(_steps((s.at - start, s.interval_s, float(s.granted_vcpus)) for s in samples)),
        list(_steps((s.at - start, s.interval_s, s.used_cores) for s in samples)),
    )


def _steps(values: Iterator[tuple[float, float, float]]) -> Iterator[tuple[float, float]]:
    """Yield both ends of each interval at its value: a jump, not a slope, between two."""
    for end, interval_s, value in values:
        yield (end - interval_s, value)
        yield (end, value)


def _y_ticks(top: float) -> tuple[list[int], list[str]]:
    step = max(1, -(-int(top) // MOST_Y_TICKS))
    places = list(range(0, int(top) + 1, step))
    return places, [str(place) for place in places]


def _x_ticks(end: float, width: int) -> tuple[list[float], list[str]]:
    ticks = max(2, min(7, width // 16))
    places = [end * tick / (ticks - 1) for tick in range(ticks)]
    return places, [duration(place) if place else "0 s" for place in places]
