"""``hotslot doctor``: what a report of a fault needs."""

from __future__ import annotations

import secrets as random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hotslot.config import load
from hotslot.errors import ConfigError
from hotslot.terminal import as_json, print_json, progress

if TYPE_CHECKING:
    from hotslot.config import Config


@click.command()
@as_json
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE",
              help="A new .tar.gz; default: hotslot-doctor-DATE.tar.gz here.")  # fmt: skip
@click.option("--anonymous", is_flag=True,
              help="Put other names for users, accounts and jobs, the same each time.")  # fmt: skip
@click.option(
    "--list", "only_list", is_flag=True, help="Say what it would collect; collect nothing."
)
@click.pass_obj
def doctor(path: Path, json_: bool, output: Path | None, anonymous: bool, only_list: bool) -> None:
    """Collect what a report of a fault needs into one .tar.gz.

    Versions, configuration, checks, status, the last runs with events and decisions, the audit
    log's end, the journal, facts of the system. Secrets are made blank: what is called password,
    token or key, what looks like one, and wherever the same value comes again. Look through it
    before you send it: a secret in a job's name that is called nothing looks like any word.
    Changes nothing. What fails or takes too long is named and left out; two minutes at most on
    a healthy host.

    \b
    Examples:
      hotslot doctor --list
      hotslot doctor --anonymous -o /tmp/report.tar.gz
      hotslot doctor --json | jq '.parts[] | select(.problem != "")'
    """
    from hotslot import __version__
    from hotslot.blanked import blank_text
    from hotslot.doctor.archive import collect, known_secrets, write
    from hotslot.doctor.asking import NotCollected
    from hotslot.doctor.parts import parts, settings
    from hotslot.doctor.pseudonyms import Pseudonyms

    config = _usable(path)
    wanted = list(parts(path, config))
    if only_list:
        _list([(one.file, one.about, one.limit_s) for one in wanted], json_=json_)
        return
    target = output or Path(time.strftime("hotslot-doctor-%Y%m%d-%H%M%S.tar.gz"))
    try:
        tree = settings(path)
    except NotCollected:
        tree = None
    known = known_secrets(config, tree)
    names = Pseudonyms(_key_of_host()) if anonymous else None
    with progress("collecting", "collecting {}") as tell:
        found = collect(wanted, known, names, tell)
    facts = {"hotslot": __version__, "at": time.time(), "anonymous": anonymous}
    size = write(target, found, facts)
    if json_:
        listed = [
            {"file": one.file, "seconds": one.seconds, "bytes": one.bytes, "problem": one.problem}
            for one in found
        ]
        print_json({"archive": str(target), "bytes": size, "parts": listed})
        return
    for one in found:
        words = f"left out: {blank_text(one.problem)}" if one.problem else f"{one.bytes:,} bytes"
        click.echo(f"{one.file:<16} {one.about}: {words}")
    click.echo(f"\n{target}: {size:,} bytes, for you alone to read; look through it, then send it")


def _usable(path: Path) -> Config | None:
    try:
        return load(path)
    except ConfigError:
        return None


def _list(found: list[tuple[str, str, float]], *, json_: bool) -> None:
    if json_:
        print_json([{"file": f, "about": about, "limit_s": limit} for f, about, limit in found])
        return
    for file, about, limit_s in found:
        click.echo(f"{file:<16} {about}; at most {limit_s:g} s")


def _key_of_host() -> bytes:
    """Return what makes pseudonyms this host's own; a new one where it has no such id."""
    try:
        return Path("/etc/machine-id").read_bytes().strip() or random.token_bytes(32)
    except OSError:
        return random.token_bytes(32)
