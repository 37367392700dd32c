"""``hotslot explain``: why a job, a worker or the host has what it has now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hotslot.config import Config, load
from hotslot.terminal import as_json, console, fail, print_json

if TYPE_CHECKING:
    from hotslot.report.explain import Explanation
    from hotslot.report.status import Status


@click.command()
@as_json
@click.argument("about", metavar="[JOB|HOST|WORKER]", default="")
@click.pass_obj
def explain(path: Path, json_: bool, about: str) -> None:
    """Say in sentences why a job, a worker or this host has what it has now.

    A job is named as `hotslot job` takes it; one that waits is told what it lacks. Without a name:
    this host: who owns, borrows and lends, what is kept and why, who waits for what.

    \b
    Examples:
      hotslot explain
      hotslot explain 4711
      hotslot explain 4711_3 --json
      hotslot explain w1
    """
    from hotslot.client import ask
    from hotslot.report import explain as words
    from hotslot.report.status import Status

    config = load(path)
    status = Status.of(ask(config.agent.socket, "/v1/status"))
    found = words.explain(status, about) or [_over(config, status, about)]
    if json_:
        print_json(words.as_json(status, found))
    else:
        console().print(words.explain_page(found))


def _over(config: Config, status: Status, about: str) -> Explanation:
    """Explain a job that runs no more, from the record; exit 1 when nobody is called so."""
    from hotslot.record.history import History
    from hotslot.report.explain import over

    with History(config.record.database) as history:
        rows = history.leases_of(about)
    if not rows:
        fail(1, f"nothing here is called {about[:80]!r}; `hotslot status` lists workers and their "
                "jobs, `hotslot jobs` what has run")  # fmt: skip
    return over(status.at, about, [row.lease for row in rows])
