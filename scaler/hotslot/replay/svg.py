"""The trade-off as an SVG of its own: eff over total slow-down, logarithmic, a point a policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from hotslot.replay.figures import Figures
from hotslot.report.words import plain

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 56, 220, 34, 44
LEAST_PCT = 0.003
"""Less slow-down than this is drawn as this: the axis is logarithmic."""

COLOURS = ("#1b6ca8", "#d1495b", "#66a182", "#edae49", "#6a4c93", "#8d6b4f", "#2e4057", "#00798c")


def picture(rows: Sequence[Figures]) -> str:
    """Return the text of an SVG file."""
    shown = [row for row in rows if row.policy != "oracle:perfect"]
    most = max([1.0, *(row.slowdown_total_pct for row in shown)])
    parts = [*_axes(most)]
    for at, row in enumerate(shown):
        x, y = _x(row.slowdown_total_pct, most), _y(row.eff_pct)
        colour, line = COLOURS[at % len(COLOURS)], TOP + 8 + 16 * at
        words = f"{plain(row.policy)}: {row.eff_pct:.1f} % at {row.slowdown_total_pct:.3f} %"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}">'
            f"<title>{escape(words)}</title></circle>"
        )
        parts.append(f'<circle cx="{WIDTH - RIGHT + 16}" cy="{line}" r="5" fill="{colour}"/>')
        name = escape(plain(row.policy))
        parts.append(f'<text x="{WIDTH - RIGHT + 26}" y="{line + 4}">{name}</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="11">\n{body}\n</svg>\n'
    )


def _x(slow_pct: float, most: float) -> float:
    part = math.log(max(slow_pct, LEAST_PCT) / LEAST_PCT) / math.log(most / LEAST_PCT)
    return LEFT + part * (WIDTH - LEFT - RIGHT)


def _y(eff_pct: float) -> float:
    return HEIGHT - BOTTOM - min(100.0, max(0.0, eff_pct)) / 100 * (HEIGHT - TOP - BOTTOM)


def _axes(most: float) -> list[str]:
    right, low = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [
        f'<text x="{LEFT}" y="18" font-size="13">Reclaimed, of what a perfect oracle reclaims, '
        "over the slow-down of jobs</text>",
        f'<rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{low - TOP}" fill="none" '
        'stroke="#999"/>',
        f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        "total slow-down, % of core-hours</text>",
    ]
    for eff in range(0, 101, 20):
        y = _y(eff)
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{eff} %</text>')
    for slow in (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0):
        if slow <= most:
            x = _x(slow, most)
            parts.append(f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{low}" stroke="#ddd"/>')
            parts.append(f'<text x="{x}" y="{low + 14}" text-anchor="middle">{slow:g}</text>')
    return parts
