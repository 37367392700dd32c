"""Programs, files and calls, each with a time limit, and no more than a report can use."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

MOST_BYTES = 4 * 1024 * 1024
"""Of what a program says or a file has: the last so many."""


class NotCollected(Exception):
    """A part that could not be had; the message says why."""


def within(limit_s: float, collect: Callable[[], Any]) -> Any:
    """Return what a call returns; NotCollected when it raises, or takes longer and is abandoned."""
    found: list[Any] = []
    problem: list[str] = []

    def run() -> None:
        try:
            found.append(collect())
        except NotCollected as error:
            problem.append(str(error))
        except BaseException as error:  # noqa: BLE001 (whatever it is, the rest goes on)
            problem.append(f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit_s)
    if problem:
        raise NotCollected(problem[0])
    if not found:
        raise NotCollected(f"not done within {limit_s:g} s")
    return found[0]


def said(command: Sequence[str], limit_s: float) -> str:
    """Return what a program prints, and how it ended; NotCollected when there is none."""
    try:
        with subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"},
        ) as process:
            try:
                text, _ = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired as error:
                _end(process)
                raise NotCollected(f"{command[0]} was not done within {limit_s:g} s") from error
    except FileNotFoundError as error:
        raise NotCollected(f"there is no {command[0]} here") from error
    except OSError as error:
        raise NotCollected(f"{command[0]}: {error.strerror or error}") from error
    shown = text[-MOST_BYTES:].decode("utf-8", "replace")
    return shown if not process.returncode else f"{shown}\n(exit code {process.returncode})\n"


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=2)


def text_of(path: Path | str) -> str:
    """Return what a file of the kernel's or the distribution's says, '' when it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(64 * 1024).decode("utf-8", "replace").strip()
    except OSError:
        return ""
