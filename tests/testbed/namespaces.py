"""Private namespaces of a testbed, and the starting of processes in them.

A thread of the test unshares mounts, PIDs, network, host name and IPC for itself alone; what it
starts is a child of the test and lives in the namespaces. So a Popen's pid and signals are those
of the process itself, with no wrapper between, and the test's other threads notice nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any, TypeVar

from .errors import TestbedError

_PID1 = Path(__file__).with_name("pid1.py")
_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
_CLONE_NEWPID, _CLONE_NEWNET = 0x20000000, 0x40000000
_ALL = _CLONE_NEWNS | _CLONE_NEWUTS | _CLONE_NEWIPC | _CLONE_NEWPID | _CLONE_NEWNET

END_S = 120.0
"""How long the kernel may take to end all processes: emulated guests' memory, a busy disk."""

T = TypeVar("T")


class Namespaces:
    """Namespaces that end, with everything in them, when they are closed or the test dies."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="testbed-ns", daemon=True)
        self._thread.start()
        self._children: list[subprocess.Popen[str]] = []
        self._pid1, self._pipe = self.call(self._enter)

    def _serve(self) -> None:
        while call := self._calls.get():
            call()

    def call(self, function: Callable[[], T]) -> T:
        """Run a short function inside the namespaces and return its result."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001  the caller's to handle
                future.set_exception(error)

        self._calls.put(run)
        return future.result(timeout=60)

    @staticmethod
    def _enter() -> tuple[subprocess.Popen[bytes], int]:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_ALL) != 0:
            reason = os.strerror(ctypes.get_errno())
            raise TestbedError(f"a testbed needs namespaces of its own, as root: {reason}")
        read_end, write_end = os.pipe()
        owner = os.pidfd_open(os.getpid())
        pid1 = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_PID1), str(read_end), str(owner)],
            pass_fds=(read_end, owner),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        os.close(read_end)
        os.close(owner)
        assert pid1.stdout is not None
        if pid1.stdout.readline() != b"ready\n":
            os.close(write_end)
            raise TestbedError(f"process 1 of the testbed ended: exit code {pid1.wait()}")
        return pid1, write_end

    @property
    def pid1(self) -> int:
        """The process 1, as seen outside: /proc/<pid1>/root is the namespaces' file system."""
        return self._pid1.pid

    def outer(self, path: Path) -> Path:
        """Return the path by which the test reaches an absolute path of the namespaces."""
        return Path(f"/proc/{self.pid1}/root", path.relative_to("/"))

    def popen(
        self,
        argv: Sequence[str],
        *,
        stdin: int | IO[Any] = subprocess.DEVNULL,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        new_session: bool = True,
    ) -> subprocess.Popen[str]:
        """Start a process in the namespaces; its streams are text."""

        def start() -> subprocess.Popen[str]:
            return subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=env,
                cwd=cwd,
                start_new_session=new_session,
                text=True,
                errors="replace",
            )

        process = self.call(start)
        self._children = [child for child in self._children if child.poll() is None]
        self._children.append(process)
        return process

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        check: bool = True,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the namespaces; at the time limit its whole session is killed."""
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        pipe = subprocess.PIPE
        process = self.popen(argv, stdin=stdin, stdout=pipe, stderr=pipe, env=env, cwd=cwd)
        try:
            stdout, stderr = process.communicate(input, timeout=timeout)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        done = subprocess.CompletedProcess(list(argv), process.returncode, stdout, stderr)
        if check and done.returncode != 0:
            raise TestbedError(
                f"{' '.join(argv)}: exit code {done.returncode}\n{stdout}{stderr}".rstrip()
            )
        return done

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        """Connect from inside the namespaces; the socket is usable anywhere in the test."""
        connection = self.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        connection.settimeout(timeout)
        try:
            connection.connect((address, port))
        except BaseException:
            connection.close()
            raise
        return connection

    def pid_inside(self, process: subprocess.Popen[str]) -> int:
        """Return a process' id inside the PID namespace."""
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
        raise TestbedError(f"process {process.pid} has no NSpid")

    def pids(self, name: str) -> Iterator[int]:
        """Yield the processes in here that are called so, as the test itself sees them."""
        here = Path(f"/proc/{self.pid1}/ns/pid").readlink()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                comm = (process / "comm").read_text().rstrip("\n")
                dead = not (process / "cmdline").read_bytes()  # and not reaped yet
                if comm == name[:15] and not dead and (process / "ns/pid").readlink() == here:
                    yield int(process.name)
            except OSError:
                continue

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Stop the processes that are called so with SIGSTOP, for a while."""
        found = list(self.pids(name))
        if not found:
            raise TestbedError(f"no {name} runs")
        try:
            for pid in found:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _left(self) -> Iterator[str]:
        """Name the processes that are still in the PID namespace, with their states."""
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError):
                status = dict(
                    line.split(":\t", 1)
                    for line in (entry / "status").read_text().splitlines()
                    if ":\t" in line
                )
                if self._pid1.pid == int(entry.name) or "\t" in status["NSpid"]:
                    yield f"{entry.name} {status['Name']} {status['State']} of {status['PPid']}"

    def close(self) -> None:
        """End every process of the namespaces and wait until they are gone."""
        os.write(self._pipe, b"\n")  # closing alone would not do if a child has inherited it
        os.close(self._pipe)
        # Process 1 kills all, but cannot end before its parent has reaped those it started.
        try:
            for child in self._children:
                child.wait(timeout=END_S)
            self._pid1.wait(timeout=END_S)
        except subprocess.TimeoutExpired as error:
            left = ", ".join(self._left()) or "nobody"
            raise TestbedError(f"namespaces not gone within {END_S:g} s; left: {left}") from error
        if self._pid1.stdout:
            self._pid1.stdout.close()
        self._calls.put(None)
        self._thread.join(timeout=30)
