"""The controller's daemons in their root: MariaDB, munged, slurmdbd, slurmctld."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .errors import TestbedError, log_tail
from .namespaces import Namespaces
from .network import CTL_ADDRESS
from .run_dir import DAEMON_ENV

_SLURMDBD_PORT = 6819
_SLURMCTLD_PORT = 6817
_SAVED_WITHIN_S = 5


class Controller:
    """Starts, kills and restarts the daemons of the controller."""

    def __init__(self, namespaces: Namespaces, root: Path, log_dir: Path) -> None:
        self._namespaces = namespaces
        self._root = root
        self._log_dir = log_dir
        self._daemons: dict[str, subprocess.Popen[str]] = {}

    def install(self, files: Mapping[str, bytes]) -> None:
        """Write the cluster's files into the root; paths are relative to it."""
        for name, content in files.items():
            path = self._namespaces.outer(self._root / name)
            path.write_bytes(content)
            path.chmod(0o400 if name.endswith("munge.key") else 0o644)
        chown = "chown mysql: /run/mysqld; chown munge: /run/munge /etc/munge/munge.key"
        self._namespaces.run(["chroot", str(self._root), "sh", "-euc", chown], timeout=60)

    def start(self) -> None:
        """Start everything in the order in which each finds what it needs."""
        self._start("munged", ["runuser", "-u", "munge", "--", "munged", "-F"])
        self._start("mariadbd", ["mariadbd", "--user=mysql"])
        database = self._namespaces.outer(self._root / "run/mysqld/mysqld.sock")
        self._wait("mariadbd", database.exists, 60)
        self.start_slurmdbd()
        self.start_slurmctld()

    def start_slurmdbd(self) -> None:
        self._start("slurmdbd", ["slurmdbd", "-D"])
        self._wait("slurmdbd", lambda: self._answers(_SLURMDBD_PORT), 60)

    def start_slurmctld(self) -> None:
        self._start("slurmctld", ["slurmctld", "-D"])
        self._wait("slurmctld", lambda: self._answers(_SLURMCTLD_PORT), 60)

    def await_saved_state(self) -> None:
        """Wait until slurmctld has nothing left to save.

        It saves a change within 5 s (its SAVE_MAX_WAIT): either its state of jobs is saved anew
        in that time and a margin, or nothing had changed.
        """
        state = self._namespaces.outer(self._root / "var/spool/slurmctld/job_state")
        asked = time.time()
        deadline = time.monotonic() + 2 * _SAVED_WITHIN_S
        while time.monotonic() < deadline:
            if state.exists() and state.stat().st_mtime > asked:
                return
            time.sleep(0.05)

    def kill(self, daemon: str) -> None:
        """Kill a daemon with SIGKILL and wait until it is gone."""
        self._stop(daemon, signal.SIGKILL)

    def stop(self, daemon: str) -> None:
        """Ask a daemon to end and wait until it has."""
        self._stop(daemon, signal.SIGTERM)

    def _stop(self, daemon: str, how: signal.Signals) -> None:
        process = self._daemons.get(daemon)
        if process is None or process.poll() is not None:
            raise TestbedError(f"{daemon} does not run")
        process.send_signal(how)
        process.wait(timeout=60)

    def _start(self, daemon: str, argv: Sequence[str]) -> None:
        running = self._daemons.get(daemon)
        if running is not None and running.poll() is None:
            raise TestbedError(f"{daemon} runs already")
        with self._log(daemon).open("a") as out:
            command = ["chroot", str(self._root), *argv]
            self._daemons[daemon] = self._namespaces.popen(
                command, stdout=out, stderr=out, env=DAEMON_ENV
            )

    def _log(self, daemon: str) -> Path:
        return self._log_dir / f"{daemon}.out"

    def _answers(self, port: int) -> bool:
        try:
            self._namespaces.connect(CTL_ADDRESS, port, timeout=1).close()
        except OSError:
            return False
        return True

    def _wait(self, daemon: str, ready: Callable[[], bool], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not ready():
            ended = self._daemons[daemon].poll()
            if ended is not None or time.monotonic() > deadline:
                how = f"ended with {ended}" if ended is not None else f"not up in {timeout:.0f} s"
                raise TestbedError(f"{daemon}: {how}\n{log_tail(self._log(daemon))}")
            time.sleep(0.05)
