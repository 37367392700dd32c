"""The trade-off as an SVG of its own: eff over total slow-down, logarithmic, a point a policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from hotslot.replay.figures import Figures
from hotslot.report.words import plain

RIGHT, HEIGHT = 540, 460
"""Where the plot ends; the legend beside it is as wide, and the picture as high, as it takes."""

LEFT, TOP, BOTTOM = 56, 34, 44
LETTER, LINE = 6.6, 16
LEAST_PCT = 0.003
"""Less slow-down than this is drawn as this: the axis is logarithmic."""

TICKS_PCT = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
COLOURS = ("#1b6ca8", "#d1495b", "#66a182", "#edae49", "#6a4c93", "#8d6b4f", "#2e4057", "#00798c")
SHAPES = (
    '<circle cx="{x:.1f}" cy="{y:.1f}" r="5" ',
    '<path d="M{x:.1f} {y:.1f} m-5 -5 h10 v10 h-10 z" ',
    '<path d="M{x:.1f} {y:.1f} m0 -7 l7 7 l-7 7 l-7 -7 z" ',
    '<path d="M{x:.1f} {y:.1f} m0 -6 l6 11 h-12 z" ',
    '<path d="M{x:.1f} {y:.1f} m0 6 l6 -11 h-12 z" ',
)


def picture(rows: Sequence[Figures]) -> str:
    """Return the text of an SVG file."""
    shown = [row for row in rows if row.policy != "oracle:perfect"]
    names = [plain(row.policy) for row in shown]
    most = max([1.0, *(row.slowdown_total_pct for row in shown)])
    width = RIGHT + 40 + LETTER * max([20, *map(len, names)])
    height = max(HEIGHT, TOP + 8 + LINE * len(shown))
    parts = [f'<rect width="{width:.0f}" height="{height}" fill="#fff"/>', *_axes(most)]
    for at, (row, name) in enumerate(zip(shown, names, strict=True)):
        x, y, line = _x(row.slowdown_total_pct, most), _y(row.eff_pct), TOP + 8 + LINE * at
        words = f"{name}: {row.eff_pct:.1f} % at {row.slowdown_total_pct:.3f} %"
        parts.append(f"{mark(at, x, y)}><title>{escape(words)}</title></{_tag(at)}>")
        parts.append(f"{mark(at, RIGHT + 16, line)}/>")
        parts.append(f'<text x="{RIGHT + 28}" y="{line + 4}">{escape(name)}</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        f'font-family="sans-serif" font-size="11">\n{body}\n</svg>\n'
    )


def mark(at: int, x: float, y: float) -> str:
    """Return the open tag of a point's mark; no two points of a picture share colour and shape."""
    turn = at // (len(COLOURS) * len(SHAPES))
    colour = COLOURS[at % len(COLOURS)] if not turn else f"hsl({at * 137.508 % 360:.1f} 60% 40%)"
    return SHAPES[at // len(COLOURS) % len(SHAPES)].format(x=x, y=y) + f'fill="{colour}"'


def _tag(at: int) -> str:
    return SHAPES[at // len(COLOURS) % len(SHAPES)][1:].split()[0]


def _x(slow_pct: float, most: float) -> float:
    part = math.log(max(slow_pct, LEAST_PCT) / LEAST_PCT) / math.log(most / LEAST_PCT)
    return LEFT + part * (RIGHT - LEFT)


def _y(eff_pct: float) -> float:
    return HEIGHT - BOTTOM - min(100.0, max(0.0, eff_pct)) / 100 * (HEIGHT - TOP - BOTTOM)


def tick(slow_pct: float) -> str:
    """Return a tick's words: the least stands for all below, for none too."""
    return f"≤{slow_pct:g}" if slow_pct == LEAST_PCT else f"{slow_pct:g}"


def _axes(most: float) -> list[str]:
    low = HEIGHT - BOTTOM
    parts = [
        f'<text x="{LEFT}" y="18" font-size="13">Reclaimed, of what a perfect oracle reclaims, '
        "over the slow-down of jobs</text>",
        f'<rect x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{low - TOP}" fill="none" '
        'stroke="#999"/>',
        f'<text x="{(LEFT + RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        "total slow-down, % of core-hours</text>",
    ]
    for eff in range(0, 101, 20):
        y = _y(eff)
        parts.append(f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{eff} %</text>')
    for slow in TICKS_PCT:
        if slow <= most:
            x, word = _x(slow, most), tick(slow)
            parts.append(f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{low}" stroke="#ddd"/>')
            parts.append(f'<text x="{x}" y="{low + 14}" text-anchor="middle">{word}</text>')
    return parts
