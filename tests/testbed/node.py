"""A node of the cluster as a test sees it: a machine with slurmd, in which it can run commands."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import guest_exec
from .errors import TestbedError
from .namespaces import Namespaces


class Node:
    """What workers and nodes beside them have in common."""

    def __init__(self, namespaces: Namespaces, name: str, address: str, log_dir: Path) -> None:
        self.name = name
        self.address = address
        self.log_dir = log_dir
        self._namespaces = namespaces

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def exec(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 60,
        check: bool = True,
        input: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the node as root, through the testbed's own server there."""
        said = " ".join(argv)
        try:
            connection = self._namespaces.connect(self.address, guest_exec.PORT, timeout=10)
            done = guest_exec.execute(connection, argv, timeout=timeout, input=input)
        except (OSError, TestbedError) as error:
            raise TestbedError(f"{self.name} cannot run {said}: {error}") from error
        if check and done.returncode != 0:
            raise TestbedError(
                f"{self.name}: {said}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def answers(self) -> bool:
        """Return whether the node runs a command at once."""
        try:
            self.exec(["true"], timeout=5)
        except TestbedError:
            return False
        return True

    @contextmanager
    def frozen(self, daemon: str) -> Iterator[None]:
        """Stop a daemon in the node with SIGSTOP for a while: slurmd, condor_startd …"""
        self.exec(["pkill", "-STOP", "-x", daemon])
        try:
            yield
        finally:
            self.exec(["pkill", "-CONT", "-x", daemon])

    def kill_slurmd(self) -> None:
        """Kill slurmd in the node; the steps of running jobs live on."""
        self.exec(["pkill", "-KILL", "-x", "slurmd"])

    def start_slurmd(self) -> None:
        """Start slurmd in the node."""
        self.exec(["slurmd", "-N", self.name])
