"""One file with everything in it: overview, users, the worst and the best jobs, their timelines.

It asks for nothing from a network, and its Content-Security-Policy forbids that: only the scripts
and the styles whose hashes it names are used. Whatever a user named is plain text in it, escaped
by the templates, or JSON without a character that HTML knows.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from markupsafe import Markup

from hotslot import __version__
from hotslot.record.history import History
from hotslot.record.reports import OverviewPoint, Summed
from hotslot.report import gather
from hotslot.report.efficiency import Job, figures_of_sum
from hotslot.report.forms import cell
from hotslot.report.gather import Asked
from hotslot.report.html.tables import Table, table
from hotslot.report.html.templates import FOLDER, template
from hotslot.report.html.timeline import Bounds, Chart, Timeline, timeline
from hotslot.report.sheet import Kind
from hotslot.report.sheets import added, host_words, jobs_sheet, sums_sheet
from hotslot.report.words import clock, core_hours, many, percent, plain

MOST_USERS = 100
MOST_RANKED = 12
"""Of the worst and of the best jobs; each of them has its timeline."""

POINTS = 500

JOBS_SHOWN = ("job", "name", "user", "state", "ran_s", "requested_vcpus", "requested_core_s",
              "held_core_s", "used_core_s", "efficiency_of_request", "efficiency_of_holding",
              "idle_core_s", "returned_core_s", "saturated_s")  # fmt: skip
SUMS_SHOWN = ("jobs", "requested_core_s", "held_core_s", "used_core_s", "efficiency_of_request",
              "efficiency_of_holding", "returned_core_s", "idle_core_s", "saturated_s",
              "mean_wait_s", "failed", "timed_out")  # fmt: skip
SPARE = frozenset(("state", "ran_s", "efficiency_of_holding", "saturated_s", "mean_wait_s",
                   "failed", "timed_out", "requested_vcpus"))  # fmt: skip
"""Left out on a phone and on paper."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One of the large figures: how much, of what, and what part of what that is."""

    mark: str
    name: str
    amount: str
    unit: str
    share: str


def page(history: History, asked: Asked, now: float) -> str:
    """Return the page as text."""
    period = asked.period
    days = gather.sums(history, asked, "day")
    users = gather.sums(history, asked, "user")
    worst = gather.jobs(history, asked, "idle", MOST_RANKED)
    best = [
        job
        for job in gather.jobs(history, asked, "returned", MOST_RANKED)
        if job.figures.returned_core_s > 0
    ]
    points = history.overview(period.since, period.until, POINTS)
    host = points[0].host_cores if points else 0.0
    timelines = _timelines(history, [*worst, *best], now)
    links = {key: one.anchor for key, one in timelines.items()}
    charts = {name: chart for one in timelines.values() for name, chart in one.charts.items()}
    charts["overview"] = Chart(_overview(points)) if points else Chart(())
    user_rows = sorted(users, key=lambda one: -one.requested_core_s)
    style = (FOLDER / "uPlot.min.css").read_text() + (FOLDER / "page.css").read_text()
    uplot = (FOLDER / "uPlot.iife.min.js").read_text()
    script = (FOLDER / "page.js").read_text()
    whole = added(users)
    offset = datetime.fromtimestamp(period.until).astimezone().utcoffset()
    return template("page.html.j2").render(
        policy=_policy((uplot, script), style),
        version=__version__,
        period=period.words,
        whose=_whose(asked),
        lead=_lead(whole, period.days),
        tiles=_tiles(whole),
        overview=_overview_words(points, host, asked),
        days=table(sums_sheet("cluster", days, period), ("day", *SUMS_SHOWN), SPARE),
        users=table(
            sums_sheet("users", user_rows, period, limit=MOST_USERS), ("user", *SUMS_SHOWN), SPARE
        ),
        bars=_bars(user_rows[:MOST_USERS]),
        period_days=period.days,
        worst=_jobs_table(worst, asked, now, links),
        best=_jobs_table(best, asked, now, links),
        timelines=list(timelines.values()),
        told=_told(whole, len(timelines)),
        zone=datetime.fromtimestamp(period.until).astimezone().strftime("%Z (UTC%z)"),
        now=clock(now),
        data=embedded(
            {
                "offset_s": offset.total_seconds() if offset else 0,
                "charts": {name: chart.plain for name, chart in charts.items()},
            }
        ),
        style=Markup(style),  # noqa: S704 (our own files)
        uplot=Markup(uplot),  # noqa: S704
        script=Markup(script),  # noqa: S704
    )


def embedded(value: object) -> Markup:
    """Return JSON that can stand between script tags whatever texts are in it."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))  # ASCII: no U+2028 either
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 (nothing that HTML knows is left)


def _policy(scripts: Iterable[str], style: str) -> str:
    allowed = " ".join(map(_hash, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _whose(asked: Asked) -> str:
    names = [
        f"{what} {plain(name)}"
        for what in ("user", "account", "partition", "state")
        if (name := getattr(asked, what)) is not None
    ]
    return f"Only {', '.join(names)}. " if names else ""


def _lead(whole: Summed, days: str) -> str:
    if not whole.leases:
        return f"No jobs ended {days}."
    figures = figures_of_sum(whole)
    return (
        f"{whole.jobs:,} {'job' if whole.jobs == 1 else 'jobs'} ended {days}. They asked for "
        f"{core_hours(figures.requested_core_s)} core-hours and used "
        f"{percent(figures.efficiency_of_request)} of that; "
        f"{core_hours(figures.returned_core_s)} went back to others while they ran."
    )


def _tiles(whole: Summed) -> list[Tile]:
    of = figures_of_sum(whole)
    asked = of.requested_core_s
    events = whole.events_applied
    others = sum((whole.events_refused, whole.events_timed_out, whole.events_failed,
                  whole.events_vm_gone))  # fmt: skip
    limited = percent(of.saturated_s / of.life_s if of.life_s else None)
    return [
        _tile("asked", "asked for", asked, f"by {many(whole.jobs, 'job')}"),
        _tile("held", "held", of.held_core_s, _of(of.held_core_s, asked, "of asked for")),
        _tile(
            "used",
            "used",
            of.used_core_s,
            f"{_of(of.used_core_s, asked, 'of asked for')}, "
            f"{_of(of.used_core_s, of.held_core_s, 'of held')}",
        ),
        _tile("", "returned", of.returned_core_s, _of(of.returned_core_s, asked, "of asked for")),
        Tile("", "limited", cell(of.saturated_s, Kind.SPAN_S), "", f"{limited} of run time"),
        Tile("", "changes of vCPUs", f"{events:,}", "", f"and {others:,} not applied"),
    ]


def _tile(mark: str, name: str, core_s: float, share: str) -> Tile:
    return Tile(mark, name, core_hours(core_s), "core-hours", share)


def _of(part: float, whole: float, words: str) -> str:
    return f"{percent(part / whole if whole else None)} {words}"


def _overview(points: Sequence[OverviewPoint]) -> tuple[list[float | None], ...]:
    """Return times, used, held, asked for and the host's cores, each value up to its time.

    Where no agent ran, a point without values makes a gap.
    """
    columns: tuple[list[float | None], ...] = ([], [], [], [], [])
    for one in points:
        end = one.at + one.span_s
        last = columns[0][-1] if columns[0] else None
        values = (one.used_cores, one.held_cores, one.requested_cores, one.host_cores)
        if last is None or one.at - last > 1:
            if last is not None:
                _put(columns, last + 0.5, (None,) * 4)
            _put(columns, one.at, values)
        _put(columns, end, values)
    return columns


def _put(
    columns: tuple[list[float | None], ...], at: float, values: Iterable[float | None]
) -> None:
    for column, value in zip(columns, (at, *values), strict=True):
        column.append(None if value is None else round(value, 3))


def _overview_words(points: Sequence[OverviewPoint], host: float, asked: Asked) -> str:
    words = host_words(points)
    if not words:
        return ""
    most = max(points, key=lambda one: one.held_cores)
    everybody = "" if asked.owned == gather.Asked(asked.period).owned else " Of everybody's jobs."
    return (
        f"{words} Most were held around {clock(most.at)[:-3]}: {most.held_cores:.1f} of "
        f"{host:.3g}.{everybody}"
    )


def _bars(users: Sequence[Summed]) -> list[tuple[str, str, str]]:
    """Return the widths of each user's bars in percent of the longest."""
    most = max((max(one.requested_core_s, one.held_core_s) for one in users), default=0.0) or 1.0
    return [
        (
            f"{100 * one.requested_core_s / most:.1f}",
            f"{100 * one.held_core_s / most:.1f}",
            f"{100 * one.used_core_s / most:.1f}",
        )
        for one in users
    ]


def _jobs_table(
    jobs: Sequence[Job], asked: Asked, now: float, links: dict[tuple[str, str], str]
) -> Table:
    sheet = jobs_sheet(jobs, asked.period, now, len(jobs) + 1)
    anchors = [links.get(_key(job), "") for job in jobs]
    return table(sheet, JOBS_SHOWN, SPARE, anchors)


def _key(job: Job) -> tuple[str, str]:
    return (job.first.scheduler, job.id)


def _timelines(
    history: History, jobs: Iterable[Job], now: float
) -> dict[tuple[str, str], Timeline]:
    """Return the timelines of jobs, each once, by scheduler and id."""
    known = {_key(job): job for job in jobs}
    details = {key: gather.detail(history, job) for key, job in known.items()}
    bounds = Bounds.for_leases(sum(len(detail.parts) for detail in details.values()))
    return {
        key: timeline(known[key], detail, f"job-{number}", now, bounds)
        for number, (key, detail) in enumerate(details.items(), 1)
    }


def _told(whole: Summed, timelines: int) -> str:
    return (
        f"This page adds up {whole.jobs:,} ended jobs; {timelines} of those that ran have a "
        f"timeline: the {MOST_RANKED} that held most without using it and the {MOST_RANKED} that "
        "gave most back. Any other one is shown by `hotslot job ID`."
    )
