"""What commands print: JSON for programs, tables and progress for people, one line for mistakes."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import click

# rich is imported when something is printed: --help is instant.

LONG_S = 2.0
"""What takes longer shows that it is at work, and how far it is."""

F = TypeVar("F", bound=Callable[..., Any])


def as_json(command: F) -> F:
    """Give a command the option --json."""
    return click.option("--json", "json_", is_flag=True, help="Print JSON for programs.")(command)


@contextmanager
def progress(first: str, words: str = "{}") -> Iterator[Callable[[str], None]]:
    """Say on a terminal what is going on; nothing elsewhere. ``words`` has {} for what."""
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.text import Text

    shown = Console(stderr=True)
    if not shown.is_terminal:
        yield lambda _: None
        return
    spinner = Spinner("dots", Text(first))
    # Lines printed meanwhile go above the spinner, but those to a file stay in the file.
    with Live(spinner, console=shown, transient=True, redirect_stdout=sys.stdout.isatty()):
        yield lambda what: spinner.update(text=Text(words.format(what)))


@contextmanager
def patience(first: str, words: str = "{}") -> Iterator[Callable[[str], None]]:
    """Do as ``progress`` does once it has taken LONG_S; what is quick shows nothing."""
    done = threading.Event()
    said = [first]
    shown: list[Callable[[str], None]] = []

    def show() -> None:
        if not done.wait(LONG_S):
            with progress(said[0], words) as tell:
                shown.append(tell)
                done.wait()

    def tell(what: str) -> None:
        said[0] = words.format(what)
        for one in shown:
            one(what)

    shower = threading.Thread(target=show, daemon=True)
    shower.start()
    try:
        yield tell
    finally:
        done.set()
        shower.join()


def console() -> Any:
    """Return where tables go."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


def say(line: str) -> None:
    """Print a line on stdout, also while a progress is shown: click.echo would write into it."""
    sys.stdout.write(f"{line}\n")


def print_json(value: object) -> None:
    """Print a value for programs."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def fail(code: int, words: str) -> NoReturn:
    """Say what is wrong on stderr and end with an exit code."""
    click.echo(f"hotslot: {words}", err=True)
    sys.exit(code)
