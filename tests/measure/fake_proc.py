"""A tree of the shape of /proc, written file by file."""

from __future__ import annotations

import shutil
from pathlib import Path

from hotslot.measure.procfs import TICKS_PER_S

QEMU = r"CPU (\d+)/(?:TCG|KVM)"
VIRTUALBOX = r"EMT-(\d+)"
PID = 700
BORN_S = 2.5


class FakeProc:
    """Processes and threads under ``root``; every one of them can change between two reads."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def process(self, pid: int = PID, born_s: float = BORN_S, name: str = "qemu (a) b") -> FakeProc:
        """Add a process without threads; its name is as hostile as a name may be."""
        (self.root / str(pid) / "task").mkdir(parents=True)
        before = " ".join(["S", *"1" * 18])
        stat = f"{pid} ({name}) {before} {round(born_s * TICKS_PER_S)} 1 2 3\n"
        (self.root / str(pid) / "stat").write_text(stat)
        return self

    def thread(
        self, tid: int, name: str, run_ns: int = 1, wait_ns: int = 0, pid: int = PID
    ) -> FakeProc:
        """Add a thread, or change its name and times."""
        task = self.task(tid, pid)
        task.mkdir(exist_ok=True)
        (task / "comm").write_text(name + "\n")
        (task / "schedstat").write_text(f"{run_ns} {wait_ns} 7\n")
        return self

    def end_thread(self, tid: int, pid: int = PID) -> FakeProc:
        """Remove a thread."""
        shutil.rmtree(self.task(tid, pid))
        return self

    def task(self, tid: int, pid: int = PID) -> Path:
        """The directory of a thread."""
        return self.root / str(pid) / "task" / str(tid)

    def own_schedstat(self, text: str) -> FakeProc:
        """Write the schedstat of the process that looks."""
        (self.root / "self").mkdir(exist_ok=True)
        (self.root / "self" / "schedstat").write_text(text)
        return self
