"""A real ``hotslotd`` in a process of its own, over processes that look like VMs.

Its hypervisor and its scheduler are those of the benchmark (bench/load_plugins.py): each worker
has one job all the time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hotslot.client import ask
from hotslot.errors import AgentUnreachable
from load_plugins import Plan, write_site

BENCH = Path(__file__).parents[2] / "bench"
VCPUS = 4

VM = r"""
import sys, threading
def vcpu(index):
    with open(f"/proc/self/task/{threading.get_native_id()}/comm", "w") as comm:
        comm.write(f"EMT-{index}")
    threading.Event().wait()
for index in range(int(sys.argv[1])):
    threading.Thread(target=vcpu, args=(index,), daemon=True).start()
print("up", flush=True)
sys.stdin.read()
"""


def eventually(holds: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, f"not within {within_s:g} s: {what}"
        time.sleep(0.05)


class AgentProcess:
    """Starts, kills and asks the agent of one site; ``folder`` is short enough for a socket."""

    def __init__(self, folder: Path, vms: dict[str, int]) -> None:
        self.folder = folder
        self.database = folder / "hotslot.db"
        self.log = folder / "log"
        steady = Plan(len(vms), len(vms), starts_per_s=1e-9, life_s=1.0, begin_at=time.time() - 10)
        self._config = write_site(folder, vms, steady, _settings(folder, vms))
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._running is not None
        return self._running.pid

    def start(self) -> None:
        """Start it and wait until it has compared with its scheduler."""
        program = "from hotslot.agent import main; main()"
        command = [sys.executable, "-c", program, "--config", str(self._config)]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(self.folder), str(BENCH)])}
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(command, env=env, stderr=log)
        eventually(lambda: bool(self.leases()), "each worker has its lease")

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; return its exit status."""
        if self._running is None:
            return 0
        self._running.send_signal(how)
        running, self._running = self._running, None
        return running.wait(30)

    def status(self) -> dict[str, Any]:
        """Return what it says of itself."""
        return ask(self.folder / "agent.sock", "/v1/status", 2.0)

    def leases(self) -> dict[str, int]:
        """Return each worker's lease; none while it does not answer."""
        try:
            workers = self.status()["workers"]
        except AgentUnreachable:
            return {}
        found = {one["worker"]: one["lease"] for one in workers}
        return found if all(found.values()) else {}

    def cycles(self) -> int:
        """Return how many cycles the last one that was started has written down."""
        return len((self.folder / "diary").read_text(encoding="ascii").splitlines())


@contextmanager
def vms(count: int) -> Iterator[dict[str, int]]:
    """Run processes with threads named as VirtualBox's vCPUs; return the pid of each."""
    command = [sys.executable, "-S", "-E", "-c", VM, str(VCPUS)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(count)
    ]
    try:
        for one in running:
            assert one.stdout is not None
            assert one.stdout.readline() == b"up\n"
        yield {f"v{n}": one.pid for n, one in enumerate(running)}
    finally:
        for one in running:
            one.kill()
            one.communicate()


def _settings(folder: Path, vms: Collection[str]) -> dict[str, Any]:
    """Return the agent's configuration but for what load_plugins.py adds."""
    workers = [{"name": f"w{n}", "vm": vm, "ceiling": VCPUS} for n, vm in enumerate(sorted(vms))]
    return {
        "host": {"name": "n1", "cores": 16},
        "workers": workers,
        "agent": {"socket": str(folder / "agent.sock"), "interval_s": 0.2, "reconcile_s": 5},
    }
