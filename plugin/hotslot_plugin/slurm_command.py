"""Running Slurm's commands: no shell, a time limit, a bounded answer, nothing left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from hotslot.errors import SchedulerError, SchedulerUnavailable
from hotslot_plugin.child_process import last_line

ANSWER_BYTES = 64 * 2**20
"""Longest answer that is read: some 5,000 jobs of the host's workers; real ones have a few."""

_AWAY = (
    "unable to contact slurm controller",
    "unable to contact",
    "connect failure",
    "connection refused",
    "timed out",
    "unexpected eof",
    "zero bytes were transmitted",
    "error connecting",
    "slurm backup controller in standby",
    "in standby mode",
    "unable to establish",
    "no route to host",
    "communication",
    "persistent connection",
)
"""Words of libslurm's messages (slurm_errno.c) that mean: ask again later."""

_KEPT = ("SLURM_CONF",)
_DROPPED = ("SLURM_", "SQUEUE_", "SCONTROL_", "SACCT_", "SINFO_")
"""Variables that change what the commands print; the agent must not inherit somebody's taste."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a command said."""

    status: int
    stdout: bytes
    stderr: str


@dataclass(frozen=True, slots=True)
class Command:
    """How Slurm's commands are run: what stands before them, and for how long they may run."""

    prefix: tuple[str, ...] = ()
    timeout_s: float = 10.0

    def ask(self, *words: str) -> bytes:
        """Run a command and return what it prints.

        Raises SchedulerUnavailable when it cannot be run, ends not in time or says that the
        controller does not answer, and SchedulerError when it fails otherwise.
        """
        output = self.run(*words)
        if output.status != 0:
            raise failure(words[0], output.stderr or f"exit status {output.status}")
        return output.stdout

    def run(self, *words: str) -> Output:
        """Run a command whatever its exit status; SchedulerUnavailable when it does not end."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            try:
                process = subprocess.Popen(
                    [*self.prefix, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env=clean(os.environ),
                    start_new_session=True,
                )
            except OSError as error:
                first = self.prefix[0] if self.prefix else words[0]
                raise SchedulerUnavailable(
                    f"{first} cannot be run: {error.strerror}; see scheduler.command"
                ) from error
            try:
                status = process.wait(self.timeout_s)
            except subprocess.TimeoutExpired:
                _kill(process)
                raise SchedulerUnavailable(
                    f"{words[0]} did not answer within {self.timeout_s:g} s"
                ) from None
            return Output(status, _read(out, words[0]), last_line(err))


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a command: without what changes its output."""
    kept = {
        key: value
        for key, value in environment.items()
        if key in _KEPT or not key.startswith(_DROPPED)
    }
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def failure(who: str, words: str) -> SchedulerError:
    """Return the error that a message of Slurm's stands for."""
    kind = SchedulerUnavailable if any(w in words.lower() for w in _AWAY) else SchedulerError
    return kind(f"{who}: {words}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole process group, and wait for its first process.

    Behind sudo it may be another user's, which cannot be killed: then it is left to its end.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1.0)


def _read(file: IO[bytes], who: str) -> bytes:
    file.seek(0)
    text = file.read(ANSWER_BYTES + 1)
    if len(text) > ANSWER_BYTES:
        raise SchedulerError(f"{who} answered more than {ANSWER_BYTES} bytes")
    return text
