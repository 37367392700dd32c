"""A real process whose named threads begin, run and end on command."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

PROGRAM = r"""
import os, sys, threading, time

ends, tids = {}, {}

def live(name, ready):
    tids[name] = threading.get_native_id()
    with open(f"/proc/self/task/{tids[name]}/comm", "w") as comm:
        comm.write(name)
    ready.set()
    for work in iter(ends[name].get, None):
        until = time.thread_time() + work
        while time.thread_time() < until:
            pass
        ends[name].task_done()

def begin(name):
    import queue
    ends[name], ready = queue.Queue(), threading.Event()
    threading.Thread(target=live, args=(name, ready), daemon=True).start()
    ready.wait()

def end(name):
    ends.pop(name).put(None)
    while os.path.exists(f"/proc/self/task/{tids[name]}"):
        time.sleep(0.001)

def spin(name, seconds):
    ends[name].put(float(seconds))
    ends[name].join()

def replace(old, new):
    end(old)
    begin(new)

for line in sys.stdin:
    command, *arguments = line.rstrip("\n").split("\t")
    globals()[command](*arguments)
    print("done", flush=True)
"""


class ThreadedProcess:
    """Each call returns when the kernel shows its effect."""

    def __init__(self, *names: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._child.pid
        for name in names:
            self.begin(name)

    def begin(self, name: str) -> None:
        """Begin a thread of this name."""
        self._tell("begin", name)

    def end(self, name: str) -> None:
        """End a thread."""
        self._tell("end", name)

    def replace(self, old: str, new: str) -> None:
        """End one thread and begin another, so that their number is as before."""
        self._tell("replace", old, new)

    def spin(self, name: str, seconds: float) -> None:
        """Keep a thread on a core for so many seconds of its own time."""
        self._tell("spin", name, str(seconds))

    def kill(self) -> None:
        """Kill the process and leave it unreaped, a zombie."""
        self._child.kill()
        assert self._child.stdout is not None
        assert self._child.stdout.read() == ""
        tasks = Path(f"/proc/{self._child.pid}/task")
        while len(list(tasks.iterdir())) > 1:  # its files are closed before its threads are gone
            time.sleep(0.001)

    def reap(self) -> None:
        """Take the ended process off the process table."""
        self._child.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.kill()
        self._child.communicate()

    def _tell(self, *words: str) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write("\t".join(words) + "\n")
        self._child.stdin.flush()
        assert self._child.stdout.readline() == "done\n"
