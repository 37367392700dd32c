"""``hotslot report`` and ``hotslot advise``: what administrators and users review."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from hotslot.config import load
from hotslot.report_options import (
    JOB_SORTS,
    SUM_SORTS,
    Form,
    Out,
    out_options,
    rank_options,
    when_options,
    whose_options,
)
from hotslot.report_out import give, write
from hotslot.terminal import as_json, fail, patience

if TYPE_CHECKING:
    from hotslot.record.history import History
    from hotslot.record.reports import Sort, Summed
    from hotslot.report.gather import Asked
    from hotslot.report.sheet import Sheet
    from hotslot.report.sheets import What


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def report(context: click.Context, json_: bool) -> None:
    """Report what jobs asked for, held, used and gave back, and whose they were.

    Alone: the days of the last week. Works without a running agent, and while one writes.

    \b
    Examples:
      hotslot report users --since 30d
      hotslot report jobs --since yesterday --sort idle --limit 10
      hotslot report cluster --since 2026-11-01 --html november.html
      hotslot report user alice --mail | sendmail -t
    """
    if context.invoked_subcommand is None:
        context.invoke(cluster, since=time.time() - 7 * 86_400, json_=json_)


@report.command()
@out_options
@rank_options(JOB_SORTS, "newest", 50)
@whose_options
@when_options
@click.pass_obj
def jobs(
    path: Path,
    /,
    since: float,
    until: float | None,
    sort: str,
    lowest_first: bool,
    limit: int,
    json_: bool,
    form: Form | None,
    output: Path | None,
    html: Path | None,
    **whose: str | None,
) -> None:
    """List jobs that ran in that time, an array or a job on many workers as one.

    \b
    Examples:
      hotslot report jobs --since yesterday
      hotslot report jobs --since 30d --sort idle --limit 10
      hotslot report jobs --user alice --state timeout --format csv -o alice.csv
    """
    out = Out.of(form, json_, output, html)
    asked = _asked(since, until, whose)
    with _history(path) as history:
        if out.html is not None:
            _page(history, asked, out.html)
            return
        from hotslot.report import gather
        from hotslot.report.sheets import jobs_sheet

        with patience("ranking jobs"):
            ranked = cast("Sort", sort)
            found = gather.jobs(history, asked, ranked, limit, lowest_first=lowest_first)
        if not found:
            _nothing(history, asked, f"no jobs ran between {_between(asked)}")
        words = "newest first" if sort == "newest" else f"by {sort}"
        give(jobs_sheet(found, asked.period, time.time(), limit, words), out)


def _sums_command(what: What, words: str, first: str) -> click.Command:
    """Make one of the commands whose lines are sums."""

    @out_options
    @rank_options(SUM_SORTS, first, 1000)
    @whose_options
    @when_options
    @click.pass_obj
    def command(
        path: Path,
        /,
        since: float,
        until: float | None = None,
        sort: str = first,
        lowest_first: bool = False,
        limit: int = 1000,
        json_: bool = False,
        form: Form | None = None,
        output: Path | None = None,
        html: Path | None = None,
        **whose: str | None,
    ) -> None:
        out = Out.of(form, json_, output, html)
        asked = _asked(since, until, whose)
        _check_state(asked)
        with _history(path) as history:
            if out.html is not None:
                _page(history, asked, out.html)
            else:
                give(_sums_sheet(history, what, asked, (sort, lowest_first, limit)), out)

    command.__doc__ = f"""{words}

    Sums are over the jobs that ended on the whole days (UTC) of that time; totals are of all,
    shown or not.

    \b
    Examples:
      hotslot report {what}
      hotslot report {what} --since 30d --sort idle
      hotslot report {what} --since 2026-11-01 --until 2026-12-01 --format md
    """
    return click.command(what)(command)


def _sums_sheet(history: History, what: What, asked: Asked, ranked: tuple[str, bool, int]) -> Sheet:
    from dataclasses import replace

    from hotslot.report import gather
    from hotslot.report.sheets import KEYS, host_words, sums_sheet

    sort, lowest_first, limit = ranked
    with patience("adding up"):
        rows = gather.sums(history, asked, KEYS[what])
        points = history.overview(asked.period.since, asked.period.until, 500)
    if not rows:
        _nothing(history, asked, f"no jobs ended {asked.period.days}")
    key = None if sort == "name" else _key(sort)
    sheet = sums_sheet(
        what, rows, asked.period,
        sort=key, lowest_first=lowest_first, limit=limit, state=asked.state or "",
    )  # fmt: skip
    host = host_words(points) if what in ("cluster", "hosts") else ""
    return replace(sheet, notes=(*sheet.notes, host)) if host else sheet


def _key(sort: str) -> Callable[[Summed], float]:
    from hotslot.report.efficiency import figures_of_sum

    if sort == "jobs":
        return lambda one: one.jobs
    if sort == "efficiency":
        return lambda one: figures_of_sum(one).efficiency_of_request or 0.0
    if sort == "idle":
        return lambda one: one.held_core_s - one.used_core_s
    name = "saturated_s" if sort == "saturated" else f"{sort}_core_s"
    return lambda one: float(getattr(one, name))


users = _sums_command("users", "Add up jobs by user.", "held")
accounts = _sums_command("accounts", "Add up jobs by account.", "held")
partitions = _sums_command("partitions", "Add up jobs by partition.", "held")
hosts = _sums_command("hosts", "Add up jobs by host.", "held")
cluster = _sums_command("cluster", "Add up jobs by day.", "name")
for one in (users, accounts, partitions, hosts, cluster):
    report.add_command(one)


@report.command()
@click.argument("name", metavar="USER")
@click.option("--mail", is_flag=True, help="Print a message for `sendmail -t`.")
@click.option("--to", help="Its recipient; default: USER at this host.")
@click.option("--from", "sender", help="Its sender; default: hotslot at this host.")
@out_options
@when_options
@click.pass_obj
def user(
    path: Path,
    name: str,
    mail: bool,
    to: str | None,
    sender: str | None,
    since: float,
    until: float | None,
    json_: bool,
    form: Form | None,
    output: Path | None,
    html: Path | None,
) -> None:
    """Tell one user about their jobs: what they asked for, held and used, and what to change.

    \b
    Examples:
      hotslot report user alice --since monday
      hotslot report user alice --mail | sendmail -t
      hotslot report user alice --html alice.html
    """
    from hotslot.report import gather
    from hotslot.report.mail import Mail, message
    from hotslot.report.user import summary, user_sheet

    out = Out.of(form, json_, output, html)
    if mail and (form or json_ or html):
        raise click.UsageError("--mail goes without --format, --json and --html")
    asked = _asked(since, until, {"user": name})
    with _history(path) as history:
        if out.html is not None:
            _page(history, asked, out.html)
            return
        with patience("looking through jobs"):
            sums = gather.sums(history, asked, "user")
            if not sums:
                _nothing(history, asked, f"no jobs of {name} ended {asked.period.days}")
            told = summary(
                name,
                asked.period,
                sums,
                gather.jobs(history, asked, "held", 10),
                gather.all_advice(history, name, None, 20, 20),
            )
        if not mail:
            give(user_sheet(told, time.time()), out)
            return
    host = socket.gethostname()
    try:
        written = message(told, Mail(to or f"{name}@{host}", sender or f"hotslot@{host}"))
    except ValueError as error:
        fail(1, f"{error}; name one with --to and --from")
    write(written, out.output)


@click.command()
@out_options
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True,
              help="So many lines, what saves most first.")  # fmt: skip
@click.option("--last", type=click.IntRange(1, 32), default=20, show_default=True,
              help="How many runs of each name are looked at.")  # fmt: skip
@click.option("--name", help="Only jobs of this name.")
@click.option("--user", help="Only this user's jobs.")
@click.pass_obj
def advise(
    path: Path,
    user: str | None,
    name: str | None,
    last: int,
    limit: int,
    json_: bool,
    form: Form | None,
    output: Path | None,
    html: Path | None,
) -> None:
    """Say what to ask for next time, by user and job name, with the runs that it rests on.

    Nobody is told to ask for less where runs came to a limit below their request, or where
    fewer than three are known.

    \b
    Examples:
      hotslot advise --user alice
      hotslot advise --user alice --name train --last 10
      hotslot advise --limit 100 --format csv -o advice.csv
    """
    from hotslot.record.reports import Owned
    from hotslot.report import gather
    from hotslot.report.advice import advice_sheet

    out = Out.of(form, json_, output, html)
    if out.html is not None:
        raise click.UsageError("--html is for `hotslot report`")
    with _history(path) as history:
        with patience("looking through runs"):
            found = gather.all_advice(history, user, name, last, limit)
        if not found:
            if user is not None and not gather.is_known(history, Owned(user=user)):
                fail(1, f"no user {user!r} in the record; `hotslot report users` lists them")
            whose = "" if user is None else f" of {user}"
            called = "" if name is None else f" called {name!r}"
            fail(1, f"no job{whose}{called} has ended yet: nothing to go by")
    give(advice_sheet(found, limit), out)


def _asked(since: float, until: float | None, whose: dict[str, Any]) -> Asked:
    from hotslot.report.gather import Asked
    from hotslot.report.period import Period

    until = time.time() if until is None else until
    if until <= since:
        raise click.UsageError("--until is not after --since")
    return Asked(Period(since, until), **whose)


def _check_state(asked: Asked) -> None:
    """Sums know ends, not the scheduler's every word."""
    from hotslot.report.by_state import CLASSES

    if asked.state is not None and asked.state not in CLASSES:
        raise click.UsageError(
            f"{asked.state!r} is no end that sums know; say one of {', '.join(CLASSES)} "
            "(`hotslot report jobs --state running` lists running jobs)"
        )


@contextmanager
def _history(path: Path) -> Iterator[History]:
    """Open the record; all answers are of one moment, while an agent writes on."""
    from hotslot.record.history import History

    with History(load(path).record.database) as history, history.at_one_moment():
        yield history


def _between(asked: Asked) -> str:
    return asked.period.words.replace(" to ", " and ")


def _nothing(history: History, asked: Asked, words: str) -> None:
    """Say on stderr that there is nothing; exit 1 when a name is not in the record at all."""
    from hotslot.record.reports import Owned
    from hotslot.report.gather import is_known

    for what in ("user", "account", "partition"):
        name = getattr(asked, what)
        if name is not None and not is_known(history, Owned(**{what: name})):
            fail(1, f"no {what} {name!r} in the record; `hotslot report {what}s` lists them")
    click.echo(f"hotslot: {words}", err=True)


def _page(history: History, asked: Asked, target: Path) -> None:
    from hotslot.report.html.page import page

    began = time.monotonic()
    with patience("writing the page"):
        text = page(history, asked, time.time())
        write(text.encode(), target)
    took_s = time.monotonic() - began
    click.echo(f"{target}: {len(text.encode()) / 2**20:.2f} MiB in {took_s:.1f} s", err=True)
