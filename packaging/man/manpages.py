"""Write hotslot's man pages: manpages.py DIRECTORY, from the commands and the shipped files.

A page for each click command, hotslotd(8), hotslot.yaml(5) and hook.conf(5). Run by build.sh.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from hotslot import __version__
from hotslot.cli import cli

SOURCE = Path(__file__).parents[2]
FILES = """\
.SH FILES
.TP
.I /etc/hotslot/hotslot.yaml
The configuration, see
.BR hotslot.yaml (5).
.TP
.I /run/hotslot/hotslotd.sock
Where commands reach the agent.
.TP
.I /var/lib/hotslot/hotslot.db
The record, an SQLite database.
.TP
.I /var/lib/hotslot/audit.log
Who changed what of this host's allocations, see
.BR hotslot\\-audit (1).
"""
EXIT = """\
.SH EXIT STATUS
.TP
.B 0
All is well.
.TP
.B 1
Something is wrong, or not found.
.TP
.B 2
The command line or the configuration cannot be used.
.TP
.B 3
The agent does not answer.
"""
DAEMON = """\
.SH NAME
hotslotd \\- the agent of one host: sizes its worker VMs as their jobs need it
.SH SYNOPSIS
.B hotslotd
[\\fB\\-c\\fR \\fIFILE\\fR] [\\fB\\-\\-version\\fR]
.SH DESCRIPTION
.B hotslotd
runs on each host that has worker VMs. Once a second it measures each worker's vCPUs from the host,
decides what each should have, plugs and unplugs, and records all of it. Jobs start and end
without it; it only sizes what they run in. A new start adopts VMs and leases as they are.
.PP
It is started by
.BR "systemctl enable \\-\\-now hotslotd" ,
once
.B hotslot check
finds nothing wrong. It logs to the journal:
.BR "journalctl \\-u hotslotd" .
It needs no privilege but access to its VMs; what it is allowed is in its unit.
.SH OPTIONS
.TP
\\fB\\-c\\fR, \\fB\\-\\-config\\fR \\fIFILE\\fR
The configuration; default:
.IR /etc/hotslot/hotslot.yaml .
.TP
.B \\-\\-version
Show the version and exit.
.SH SIGNALS
SIGTERM and SIGINT end the agent in order: it writes the end of the record, and leaves VMs and jobs
as they are.
.SH EXIT STATUS
0 after a signal; 1 when it cannot start now: an address cannot be listened on, another agent uses
the same record or VMs; 2 when its configuration cannot be used, after which its unit does not start
it again. The last line says which.
"""


def roff(text: str) -> str:
    """Return text that is shown as it is: backslashes, dashes, and dots at a line's start."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("^", "\\(ha")
    escaped = escaped.replace("~", "\\(ti").replace("`", "\\(ga")
    return re.sub(r"(?m)^(?=[.'])", r"\\&", escaped)


def heading(name: str, section: int) -> str:
    """Return a page's first line; its date is SOURCE_DATE_EPOCH's, so that builds repeat."""
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    date = time.strftime("%Y-%m-%d", time.gmtime(seconds))
    return f'.TH "{roff(name.upper())}" "{section}" "{date}" "hotslot {__version__}" "hotslot"\n'


def prose(help_: str) -> Iterator[str]:
    """Yield the paragraphs of a command's help; those behind ``\\b`` keep their lines."""
    for block in re.split(r"\n\s*\n", inspect.cleandoc(help_)):
        if not block.startswith("\b"):
            yield f".PP\n{roff(' '.join(block.split()))}\n"
            continue
        lines = block.removeprefix("\b").strip("\n").splitlines()
        if lines[0].strip() == "Examples:":
            lines = lines[1:]
            yield ".SH EXAMPLES\n"
        yield "".join([".PP\n.nf\n", *(f"{roff(line)}\n" for line in lines), ".fi\n"])


def option(one: click.Option, context: click.Context) -> str:
    """Return the entry of an option: its names, its value, its words."""
    names, words = one.get_help_record(context) or ("", "")
    shown = re.sub(r"(--?[A-Za-z][A-Za-z-]*)", r"\\fB\1\\fR", names)
    return f".TP\n{roff(shown).replace(chr(92) + 'ef', chr(92) + 'f')}\n{roff(words)}\n"


def context_of(
    path: Sequence[str], command: click.Command, parent: click.Context | None
) -> click.Context:
    """Return the context in which a command is called, with its settings."""
    return click.Context(command, parent, path[-1], **command.context_settings)


def page(path: Sequence[str], command: click.Command, parent: click.Context | None) -> str:
    """Return a command's page."""
    context = context_of(path, command, parent)
    blocks = list(prose(command.help or ""))
    at = next((i for i, block in enumerate(blocks) if block.startswith(".SH")), len(blocks))
    usage = " ".join([*path, *command.collect_usage_pieces(context)])
    options = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    parts = [
        heading("-".join(path), 1),
        f".SH NAME\n{roff('-'.join(path))} \\- {roff(brief(command))}\n",
        f".SH SYNOPSIS\n.B {roff(usage)}\n",
        ".SH DESCRIPTION\n",
        *blocks[:at],
    ]
    if isinstance(command, click.Group):
        parts += [".SH COMMANDS\n", *entries(path, command)]
    parts += [".SH OPTIONS\n", *(option(one, context) for one in options)]
    return "".join([*parts, *blocks[at:], EXIT, FILES, see_also(path)])


def brief(command: click.Command) -> str:
    """Return a command's first sentence, as whatis shows it."""
    first = (command.help or "").strip().split("\n\n")[0]
    sentence = " ".join(first.split()).rstrip(".").partition(". ")[0]
    return sentence[:1].lower() + sentence[1:]


def entries(path: Sequence[str], group: click.Group) -> Iterator[str]:
    """Yield a line for each command of a group, which has a page of its own."""
    for name, command in sorted(group.commands.items()):
        yield f".TP\n.BR {roff('-'.join([*path, name]))} (1)\n{roff(brief(command))}\n"


def see_also(path: Sequence[str]) -> str:
    """Return the section that names the pages around this one."""
    near = [f"{'-'.join(path[:-1])} (1)"] if len(path) > 1 else ["hotslotd (8)"]
    near.append("hotslot.yaml (5)")
    lines = ",\n".join(f".BR {roff(one)}" for one in near).replace(",\n", " ,\n")
    return f".SH SEE ALSO\n{lines}\n"


def walk(
    path: Sequence[str], command: click.Command, parent: click.Context | None
) -> Iterator[tuple[str, str]]:
    """Yield file name and text of the pages of a command and all below it."""
    if command.hidden:
        return
    yield f"{'-'.join(path)}.1", page(path, command, parent)
    if isinstance(command, click.Group):
        context = context_of(path, command, parent)
        for name, below in sorted(command.commands.items()):
            yield from walk([*path, name], below, context)


def file_page(name: str, what: str, source: Path, words: str) -> str:
    """Return the page of a configuration file, which is the shipped, commented file itself."""
    text = "".join(f"{roff(line)}\n" for line in source.read_text().splitlines())
    return (
        f"{heading(name, 5)}.SH NAME\n{roff(name)} \\- {roff(what)}\n"
        f".SH DESCRIPTION\n{roff(words)}\n.SH THE FILE AS SHIPPED\n.nf\n{text}.fi\n"
        ".SH SEE ALSO\n.BR hotslot (1) ,\n.BR hotslotd (8)\n"
    )


def pages() -> Iterator[tuple[str, str]]:
    """Yield file name and text of every page."""
    yield from walk(["hotslot"], cli, None)
    also = f"{FILES}.SH SEE ALSO\n.BR hotslot (1) ,\n.BR hotslot.yaml (5)\n"
    yield "hotslotd.8", heading("hotslotd", 8) + DAEMON + also
    yield (
        "hotslot.yaml.5",
        file_page(
            "hotslot.yaml",
            "configuration of hotslotd and hotslot",
            SOURCE / "config/hotslot.yaml",
            "YAML, read by the agent at its start and by each command. An unknown key is refused. "
            "`hotslot check` reads the file and says what is wrong and what to do.",
        ),
    )
    yield (
        "hook.conf.5",
        file_page(
            "hook.conf",
            "how the hooks in a worker reach the agent",
            SOURCE / "config/slurm/hook.conf",
            "In each worker, /etc/hotslot/hook.conf is read by the hooks of Slurm and HTCondor.",
        ),
    )


def main() -> None:
    """Write all pages into the directory that is named."""
    into = Path(sys.argv[1])
    into.mkdir(parents=True, exist_ok=True)
    for name, text in pages():
        (into / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
