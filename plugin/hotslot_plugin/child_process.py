"""A process that answers lines of JSON with lines of JSON, and may crash, hang or talk nonsense.

Libraries of schedulers block for as long as they like, and some end their process: they run in a
child, which is killed when it does not answer in time and started again at the next question.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, NoReturn, cast

from hotslot.errors import SchedulerUnavailable

ANSWER_BYTES = 64 * 2**20
"""Longest answer that is read: some 5,000 jobs of the host's workers; real ones have a few."""


class ChildFailed(SchedulerUnavailable):
    """The process crashed, hung or talked nonsense; the next question starts a new one."""


class Child:
    """One process at a time, started when it is needed.

    It greets with one line, then answers each question. ``timeout_s`` is for each question, the
    start included; ``environment`` is the process's whole environment, by default this one's.
    """

    def __init__(
        self,
        argv: Sequence[str],
        timeout_s: float,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._argv = list(argv)
        self._timeout_s = timeout_s
        self._environment = environment
        self.greeting: dict[str, object] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._unread = b""
        self._one_at_a_time = threading.Lock()

    def ask(
        self, question: Mapping[str, object], timeout_s: float | None = None
    ) -> dict[str, object]:
        """Return the answer to a question; ChildFailed when there is none in time."""
        limit_s = self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s)
        with self._one_at_a_time:
            until = time.monotonic() + limit_s
            try:
                process = self._process or self._start(until, limit_s)
                self._write(process, question)
                return self._line(process, until, limit_s)
            except ChildFailed:
                self._kill()
                raise

    def close(self) -> None:
        """End the process."""
        with self._one_at_a_time:
            self._kill()

    def _start(self, until: float, limit_s: float) -> subprocess.Popen[bytes]:
        """Start the process and read its greeting."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _kill
        try:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=None if self._environment is None else dict(self._environment),
                start_new_session=True,
            )
        except OSError as error:
            raise ChildFailed(f"{self._argv[0]} cannot be run: {error.strerror}") from error
        self.greeting = self._line(self._process, until, limit_s)
        return self._process

    def _write(self, process: subprocess.Popen[bytes], question: Mapping[str, object]) -> None:
        stdin = cast(IO[bytes], process.stdin)
        try:
            stdin.write(json.dumps(question).encode() + b"\n")
            stdin.flush()
        except OSError:
            raise ChildFailed(self._last_words(process)) from None

    def _line(
        self, process: subprocess.Popen[bytes], until: float, limit_s: float
    ) -> dict[str, object]:
        stdout = cast(IO[bytes], process.stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise ChildFailed(f"no answer within {limit_s:g} s")
                piece = os.read(stdout.fileno(), 65536)
                self._unread += piece
                if not piece or len(self._unread) > ANSWER_BYTES:
                    raise ChildFailed(self._last_words(process))
        line, _, self._unread = self._unread.partition(b"\n")
        return _parse(line)

    def _last_words(self, process: subprocess.Popen[bytes]) -> str:
        """Say how the process ended; it has closed its pipe, or is about to be killed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
        said = last_line(self._errors) if self._errors is not None else ""
        status = process.returncode
        how = "talks nonsense" if status is None else f"ended with status {status}"
        return f"{how}{': ' + said if said else ''}"

    def _kill(self) -> None:
        process, self._process, self._unread = self._process, None, b""
        if process is not None:
            # Its whole session: what it started itself must not outlive it. Behind sudo it may be
            # another user's, which cannot be killed; it ends when its pipes close.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
        if self._errors is not None:
            self._errors.close()
            self._errors = None


def last_line(file: IO[bytes]) -> str:
    """Return the last line of a program's errors, on which most say what is wrong."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 4096))
    lines = file.read().decode("utf-8", "replace").strip().splitlines() or [""]
    return "".join(c if c.isprintable() else " " for c in lines[-1][:300]).strip()


def _parse(line: bytes) -> dict[str, object]:
    try:
        answer = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        what = "is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise ChildFailed(f"its answer is not JSON: {what}") from error
    if not isinstance(answer, dict):
        raise ChildFailed("its answer is not an object")
    return answer


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")
