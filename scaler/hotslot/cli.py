"""The command ``hotslot``: one short function a command.

Exit codes: 0 all is well, 1 something is wrong or not found, 2 the command line or the
configuration cannot be used, 3 the agent does not answer.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hotslot import __version__
from hotslot.assess_cli import assess
from hotslot.audit_cli import audit
from hotslot.config import DEFAULT_PATH, load
from hotslot.doctor_cli import doctor
from hotslot.errors import AgentUnreachable, ConfigError, HotslotError
from hotslot.explain_cli import explain
from hotslot.options import Moment
from hotslot.record_cli import export, prune, verify
from hotslot.replay.cli import replay
from hotslot.report_cli import advise, report
from hotslot.terminal import as_json, console, fail, print_json, progress
from hotslot.workers_cli import workers

# Tables, HTTP and the database are imported by the commands that need them: --help is instant.


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="hotslot")
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=DEFAULT_PATH,
    show_default=True,
    envvar="HOTSLOT_CONFIG",
    help="The configuration file; also from $HOTSLOT_CONFIG.",
)
@click.pass_context
def cli(context: click.Context, path: Path) -> None:
    """Batch jobs whose CPUs follow what they really use.

    \b
    Examples:
      hotslot check              is everything set up well? what to type where it is not
      hotslot status --watch     the workers of this host, now
      hotslot explain 4711       why a job has the CPUs that it has, and who waits for what
      hotslot jobs --since 7d    what the jobs of a week asked for, held and used
      hotslot job 4711           one job, with every change of its vCPUs and why
      hotslot report users       what everybody's jobs added up to; hotslot advise: what to ask for
    """
    context.obj = path


@cli.command()
@as_json
@click.pass_obj
def check(path: Path, json_: bool) -> None:
    """Check configuration, hypervisor, scheduler and permissions.

    Each line is ok, a warning, or wrong with what to do. Changes nothing. Exit code 1 when
    something is wrong.

    \b
    Examples:
      hotslot check
      hotslot -c ./hotslot.yaml check --json
    """
    from hotslot.check import check as run
    from hotslot.report.findings import findings_page

    config = load(path)
    with progress("looking", "looking at {}") as tell:
        found = run(config, tell)
    if json_:
        print_json([{**_fields(f), "level": f.level.value} for f in found])
    else:
        console().print(findings_page(str(path), found))
    sys.exit(any(f.level == "wrong" for f in found))


@cli.command()
@as_json
@click.option("--watch", is_flag=True, help="Keep the screen up to date until Ctrl-C.")
@click.option("--every", type=click.FloatRange(0.5, 3600), default=2.0, show_default=True,
              help="Seconds between two looks with --watch.")  # fmt: skip
@click.pass_obj
def status(path: Path, json_: bool, watch: bool, every: float) -> None:
    """Show the workers now: job, user, requested, granted, used, last decision with its reason.

    Above them the host's vCPUs: to whom they are granted, what is free, kept, offered and lent. A
    job marked * runs on cores that others own; `hotslot explain JOB` says why.

    \b
    Examples:
      hotslot status
      hotslot status --watch --every 5
      hotslot status --json | jq '.workers[] | {worker, granted_vcpus}'
    """
    from hotslot.client import ask
    from hotslot.report.status import Status, status_page

    config = load(path)
    if json_:
        print_json(ask(config.agent.socket, "/v1/status"))
    elif watch:
        _watch(lambda: status_page(Status.of(ask(config.agent.socket, "/v1/status"))), every)
    else:
        console().print(status_page(Status.of(ask(config.agent.socket, "/v1/status"))))


@cli.command()
@as_json
@click.option("--since", type=Moment(), default="7d", show_default=True,
              help="From when on: 30m, 2h, 7d ago, or a date.")  # fmt: skip
@click.option("--until", type=Moment(), help="Until when; default: now.")
@click.option("--user", help="Only this user's jobs.")
@click.option("--state", help="Only these: running, completed, failed, cancelled, timeout …")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True,
              help="The newest ones, at most.")  # fmt: skip
@click.pass_obj
def jobs(
    path: Path,
    json_: bool,
    since: float,
    until: float | None,
    user: str | None,
    state: str | None,
    limit: int,
) -> None:
    """List jobs: core-hours requested, held and used, and what that makes.

    Works without a running agent.

    \b
    Examples:
      hotslot jobs
      hotslot jobs --since 30d --user alice --json
      hotslot jobs --state timeout
    """
    from hotslot.record.history import History
    from hotslot.report.as_json import jobs_json
    from hotslot.report.efficiency import jobs_of
    from hotslot.report.text import jobs_table

    with History(load(path).record.database) as history:
        rows = history.jobs(since=since, until=until, user=user, state=state, limit=limit)
    found = jobs_of(rows)
    if json_:
        print_json(jobs_json(found))
    else:
        console().print(jobs_table(found, time.time()))


@cli.command()
@as_json
@click.argument("job_id", metavar="ID")
@click.pass_obj
def job(path: Path, json_: bool, job_id: str) -> None:
    """Show one job: figures, every change of its vCPUs with its reason, a plot over time.

    ID is a job's, an array's (all its tasks), or one task's, like 4711_3. Works without a
    running agent.

    \b
    Examples:
      hotslot job 4711
      hotslot job 4711_3 --json
    """
    from hotslot.record.history import History
    from hotslot.report.as_json import detail_json
    from hotslot.report.job import JobDetail
    from hotslot.report.text import job_page

    with History(load(path).record.database) as history:
        rows = history.leases_of(job_id)
        if not rows:
            fail(1, f"no job {job_id!r} in the record; `hotslot jobs` lists what there is")
        detail = JobDetail(tuple(_part(history, row) for row in rows))
    if json_:
        print_json(detail_json(detail))
    else:
        console().print(job_page(detail, time.time()))


cli.add_command(workers)
cli.add_command(explain)
cli.add_command(replay)
cli.add_command(assess)
cli.add_command(report)
cli.add_command(advise)
cli.add_command(verify)
cli.add_command(prune)
cli.add_command(export)
cli.add_command(audit)
cli.add_command(doctor)


def main() -> None:
    """Run a command; errors are one sentence and what to do next."""
    try:
        cli(prog_name="hotslot")
    except ConfigError as error:
        fail(2, str(error))
    except AgentUnreachable as error:
        fail(3, str(error))
    except HotslotError as error:
        fail(1, str(error))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        fail(1, str(error))


def _part(history: Any, row: Any) -> Any:
    from hotslot.report.job import PartDetail

    lease = row.lease.id
    return PartDetail(row, history.events(lease), history.samples(lease), history.decisions(lease))


def _watch(page: Callable[[], Any], every: float) -> None:
    from rich.live import Live

    screen = console()
    try:
        with Live(page(), console=screen, screen=screen.is_terminal, auto_refresh=False) as live:
            while True:
                live.update(page(), refresh=True)
                time.sleep(every)
    except KeyboardInterrupt:
        return


def _fields(value: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(value)
