"""Progress on a terminal or in a log: what runs and for how long."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .errors import TestbedError, log_tail

_SAY_EVERY_S = 4.0
_started = time.monotonic()


def say(text: str) -> None:
    """Print one line with the seconds since the program started."""
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{clear}[{time.monotonic() - _started:6.1f}s] {text}", file=sys.stderr, flush=True)


def _say_live(text: str) -> None:
    """Overwrite the live line of a terminal; elsewhere print a line."""
    if not sys.stderr.isatty():
        say(text)
        return
    width = os.get_terminal_size(sys.stderr.fileno()).columns
    line = f"[{time.monotonic() - _started:6.1f}s] {text}"[: max(20, width - 1)]
    print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a step, and say how long it took."""
    say(f"{title} …")
    start = time.monotonic()
    yield
    say(f"{title}: done in {time.monotonic() - start:.1f} s")


def run_logged(title: str, argv: Sequence[str], log: Path, pass_fds: Sequence[int] = ()) -> None:
    """Run a long command into a log, showing elapsed time and the log's last line meanwhile."""
    start = time.monotonic()
    interval_s = 0.5 if sys.stderr.isatty() else _SAY_EVERY_S
    with log.open("ab") as out:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=tuple(pass_fds)
        )
    try:
        while True:
            try:
                code = process.wait(timeout=interval_s)
                break
            except subprocess.TimeoutExpired:
                elapsed_s = time.monotonic() - start
                _say_live(f"{title}: {elapsed_s:.0f} s, {_last_line(log)}")
    except BaseException:
        process.kill()
        process.wait()
        raise
    if code != 0:
        raise TestbedError(f"{title} failed with exit code {code}\n{log_tail(log)}")


def _last_line(log: Path) -> str:
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 2000))
        lines = stream.read().decode(errors="replace").replace("\r", "\n").split("\n")
    return next((line.strip()[:90] for line in reversed(lines) if line.strip()), "")
