"""A process that answers lines with lines, and may crash or hang."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, cast

from hotslot.errors import SchedulerError, SchedulerUnavailable
from hotslot_plugin.slurm_command import ANSWER_BYTES, clean, last_line
from hotslot_plugin.slurm_document import Part, parse


class ChildFailed(SchedulerUnavailable):
    """The process crashed, hung or talked nonsense; the next question starts a new one."""


class Child:
    """One process at a time, started when it is needed; ``timeout_s`` for each question."""

    def __init__(self, argv: Sequence[str], timeout_s: float) -> None:
        self._argv = list(argv)
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._unread = b""
        self._one_at_a_time = threading.Lock()

    def ask(self, question: Mapping[str, object]) -> Part:
        """Return the answer to a question; ChildFailed when there is none in time."""
        with self._one_at_a_time:
            until = time.monotonic() + self._timeout_s
            try:
                process = self._process or self._start(until)
                self._write(process, question)
                return self._line(process, until)
            except ChildFailed:
                self._kill()
                raise

    def close(self) -> None:
        """End the process."""
        with self._one_at_a_time:
            self._kill()

    def _start(self, until: float) -> subprocess.Popen[bytes]:
        """Start the process and read its greeting."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _kill
        try:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=clean(os.environ),
                start_new_session=True,
            )
        except OSError as error:
            raise ChildFailed(f"{self._argv[0]} cannot be run: {error.strerror}") from error
        self._line(self._process, until)
        return self._process

    def _write(self, process: subprocess.Popen[bytes], question: Mapping[str, object]) -> None:
        stdin = cast(IO[bytes], process.stdin)
        try:
            stdin.write(json.dumps(question).encode() + b"\n")
            stdin.flush()
        except OSError:
            raise ChildFailed(self._last_words(process)) from None

    def _line(self, process: subprocess.Popen[bytes], until: float) -> Part:
        stdout = cast(IO[bytes], process.stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise ChildFailed(f"no answer within {self._timeout_s:g} s")
                piece = os.read(stdout.fileno(), 65536)
                self._unread += piece
                if not piece or len(self._unread) > ANSWER_BYTES:
                    raise ChildFailed(self._last_words(process))
        line, _, self._unread = self._unread.partition(b"\n")
        try:
            return parse(line)
        except SchedulerError as error:
            raise ChildFailed(str(error)) from error

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
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            process.wait()
        if self._errors is not None:
            self._errors.close()
            self._errors = None
