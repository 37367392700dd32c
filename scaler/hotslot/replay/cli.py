"""``hotslot replay``: what policies would have done to recorded jobs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hotslot.decide.policies import build
from hotslot.errors import ConfigError, Problem
from hotslot.out_file import open_out

if TYPE_CHECKING:
    from hotslot.decide.policy import Lawful
    from hotslot.replay.host import HostFigures
    from hotslot.replay.host_arbiter import Arbiter
    from hotslot.replay.replay import Setting


def _a_number(_context: click.Context, _option: click.Parameter, value: float) -> float:
    if math.isnan(value):
        raise click.BadParameter("nan is no number of seconds")
    return value


DEFAULTS = ("static", "threshold", "window", "vpa", "autopilot", "holt", "harvest", "hotslot")


@click.command()
@click.argument("traces", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--policy", "names", multiple=True, metavar="NAME[:key=value…]",
              help="A policy with parameters; repeat to compare. Default: all.")  # fmt: skip
@click.option("--host-cores", type=click.IntRange(1, 1024),
              help="Replay a whole host with so many cores and a queue of all jobs.")  # fmt: skip
@click.option("--arbiter", "arbiters", multiple=True, metavar="on|key=value…",
              help="With --host-cores: each policy with an arbiter, too; repeat to compare. Keys "
                   "are those of docs/arbiter.md.")  # fmt: skip
@click.option("--all", "everything", is_flag=True,
              help="Every job whole; default: the model's choice (docs/replay.md).")  # fmt: skip
@click.option("--cooldown", type=click.FloatRange(0, 3600), default=0.0, show_default=True,
              callback=_a_number, help="The limit limits.cooldown_s, in seconds.")  # fmt: skip
@click.option("--svg", "svg_path", type=click.Path(path_type=Path, dir_okay=False),
              help="Write the plot of the trade-off to this file.")  # fmt: skip
@click.option("--json", "json_", is_flag=True, help="Print JSON for programs.")
def replay(
    traces: tuple[Path, ...],
    names: tuple[str, ...],
    host_cores: int | None,
    arbiters: tuple[str, ...],
    everything: bool,
    cooldown: float,
    svg_path: Path | None,
    json_: bool,
) -> None:
    """Show what policies would have done to recorded jobs.

    Runs the agent's own policies over trace sets (directories with jobs.parquet and
    samples.parquet), second by second: a decision takes effect a second later and stalls the job
    for half a second.

    \b
    Examples:
      hotslot replay traces/last-month
      hotslot replay traces/a traces/b --policy hotslot:harm_budget_pct=0.25 --policy window
      hotslot replay traces/a --host-cores 64 --json
      hotslot replay traces/a --host-cores 64 --arbiter on --arbiter overcommit=1.5
    """
    from hotslot.decide.limits import Limits
    from hotslot.replay.replay import Setting

    if host_cores and svg_path:
        raise click.UsageError("--svg draws jobs on workers of their own: leave --host-cores out")
    if arbiters and not host_cores:
        raise click.UsageError("--arbiter shares a host out: give --host-cores, too")
    if svg_path:
        _writable(svg_path)
    policies = {name: parsed(name) for name in names or DEFAULTS}
    setting = Setting(limits=Limits(1.0, 1024.0, cooldown, 1024.0))
    if host_cores:
        rules = {text: arbiter(text) for text in arbiters}
        _host(traces, policies, rules, host_cores, setting, everything, json_)
    else:
        _each(traces, policies, setting, everything, svg_path, json_)


def parsed(text: str) -> Lawful:
    """Return the policy that ``NAME[:key=value…]`` names; keys are separated by : or , both.

    Raises ConfigError. Worked: ``window:window_s=30:margin_pct=5``.
    """
    from hotslot.decide.limits import is_lawful

    name, *pairs = text.replace(",", ":").split(":")
    policy: Any = build(name, _pairs("--policy", text, pairs))
    if not is_lawful(policy):
        raise ConfigError("--policy", [Problem(name, "has no law, and cannot be replayed")])
    return policy


def arbiter(text: str) -> Arbiter:
    """Return the arbiter that ``on`` or ``key=value…`` names. Raises ConfigError.

    Worked: ``overcommit=1.5:risk=0.05``.
    """
    from hotslot.decide.arbiter import Lending
    from hotslot.decide.forecast import Foresight
    from hotslot.replay.host_arbiter import Arbiter

    pairs = [] if text == "on" else text.replace(",", ":").split(":")
    given = _pairs("--arbiter", text, pairs)
    looks = signature(Foresight).parameters
    ahead: Any = {key: given.pop(key) for key in list(given) if key in looks}
    rest: Any = given
    known = sorted((*signature(Lending).parameters, *looks))
    unknown = [key for key in given if key not in known]
    if unknown:
        what = f"knows no {', '.join(unknown)}; known: {', '.join(known)}"
        raise ConfigError("--arbiter", [Problem(text, what)])
    try:
        return Arbiter(Lending(**rest), Foresight(**ahead))
    except ValueError as error:
        raise ConfigError("--arbiter", [Problem(text, str(error))]) from error


def _pairs(option: str, text: str, pairs: list[str]) -> dict[str, object]:
    parameters: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(option, [Problem(text, f"{pair!r} is no key=value")])
        if key in parameters:
            raise ConfigError(option, [Problem(text, f"has {key} twice")])
        parameters[key] = _value(value)
    return parameters


def _value(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _each(
    paths: tuple[Path, ...],
    policies: dict[str, Lawful],
    setting: Setting,
    everything: bool,
    svg_path: Path | None,
    json_: bool,
) -> None:
    from hotslot.replay.columns import TraceError
    from hotslot.replay.figures import figures, sums
    from hotslot.replay.page import TradeOff, table
    from hotslot.replay.replay import ORACLES, outcomes
    from hotslot.replay.svg import picture
    from hotslot.replay.traces import NONE, NONE_ALL, Choose, chunks
    from hotslot.report.table import console

    oracles = {} if json_ and svg_path is None else ORACLES
    done: dict[str, list[Any]] = {name: [] for name in (*policies, *oracles)}
    empty: list[Path] = []
    with _progress() as tell:
        for path in paths:
            before = sum(map(len, done.values()))
            for jobs in chunks(path, Choose(everything), note=partial(_note, path)):
                tell(f"{path.name}: {len(jobs):,} jobs", float(jobs.life_s.sum()) * len(policies))
                for name, policy in policies.items():
                    out = outcomes(policy, jobs, setting, lambda job_s: tell("", job_s))
                    done[name].append(sums(jobs, out))
                for name, oracle in oracles.items():
                    done[name].append(sums(jobs, oracle(jobs)))
            if sum(map(len, done.values())) == before:
                empty.append(path)
    why = NONE_ALL if everything else NONE
    if len(empty) == len(paths):
        raise TraceError(paths[0], why)
    for path in empty:
        _note(path, why)
    rows = [figures(name, parts) for name, parts in done.items()]
    if svg_path:
        with open_out(svg_path) as file:
            file.write(picture(rows).encode())
    if json_:
        only = [row.as_json() for row in rows if row.policy in policies]
        click.echo(json.dumps(only, indent=2, allow_nan=False))
        return
    page = console()
    page.print(table(rows))
    page.print(TradeOff(rows))


def _host(
    paths: tuple[Path, ...],
    policies: dict[str, Lawful],
    arbiters: dict[str, Arbiter],
    host_cores: int,
    setting: Setting,
    everything: bool,
    json_: bool,
) -> None:
    from hotslot.replay.host import gains, on_host
    from hotslot.replay.host_arbiter import arbitrated
    from hotslot.replay.host_bound import bound
    from hotslot.replay.page import host_table
    from hotslot.replay.traces import Choose, whole
    from hotslot.report.table import console
    from hotslot.report.words import plain

    asked = {"static": parsed("static"), **policies}
    sets: list[tuple[Path, list[HostFigures]]] = []
    for path in paths:
        jobs = whole(path, Choose(everything), partial(_note, path))
        if int(jobs.cap.min()) > host_cores:
            what = f"no job fits {host_cores} cores"
            raise ConfigError("--host-cores", [Problem(str(path), what)])
        larger = int((jobs.cap > host_cores).sum())
        if larger:
            _note(path, f"{larger:,} jobs ask for more than {host_cores} cores, and are left out")
        with _progress() as tell:
            tell(path.name, float(len(asked) * (1 + len(arbiters))))
            found = []
            for name, policy in asked.items():
                found.append(on_host(name, policy, jobs, host_cores, setting))
                tell("", 1.0)
            for text, rules in arbiters.items():
                for name, policy in asked.items():
                    title = f"{name}, arbiter {text}"
                    found.append(arbitrated(title, policy, jobs, host_cores, rules, setting))
                    tell("", 1.0)
            if arbiters:
                found.append(bound(jobs, host_cores, setting))
        sets.append((path, gains(found)))
    if json_:
        answer = [{"trace": str(path), **row.as_json()} for path, rows in sets for row in rows]
        click.echo(json.dumps(answer, indent=2, allow_nan=False))
        return
    page = console()
    for path, rows in sets:
        if len(sets) > 1:
            page.print(plain(str(path)))
        page.print(host_table(rows))


def _writable(path: Path) -> None:
    """Try to write before the run, which may take long."""
    there = path.exists()
    try:
        path.open("ab").close()
        if not there:
            path.unlink()
    except OSError as error:
        what = f"cannot write {path}: {error.strerror}"
        raise click.BadParameter(what, param_hint="--svg") from error


def _note(path: Path, words: str) -> None:
    click.echo(f"{path}: {words}", err=True)


@contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    """Yield what takes a title with the work ahead, or work that is done; a bar on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _title, _work: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def tell(title: str, work: float) -> None:
            if title:
                bar.reset(task, description=title, total=work)
            else:
                bar.advance(task, work)

        yield tell
