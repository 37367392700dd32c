"""A testbed with an agent on its host, as a test sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

import yaml

from hotslot.client import ask
from hotslot.errors import AgentUnreachable
from hotslot.record.batch import LeaseRow
from hotslot.record.history import History
from testbed import Testbed
from testbed.node import Node

BIN = Path(sys.executable).parent
WINDOW_S = 15

T = TypeVar("T")


def eventually(
    ask: Callable[[], T], timeout_s: float, what: str, explain: Callable[[], str] = lambda: ""
) -> T:
    """Return the first true answer; fail with words when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}\n{explain()}")
        time.sleep(0.1)


class Cluster:
    """The testbed's schedulers and workers, and the agent that sizes them."""

    workers_built = 4
    """VCPUs for which each worker was built."""

    def __init__(
        self,
        bed: Testbed,
        *,
        agent_wait_s: float,
        host_cores: int = 8,
        lending: dict[str, object] | None = None,
        **agent: object,
    ) -> None:
        self.bed = bed
        self._host_cores = host_cores
        self._lending = lending
        self.config = bed.path / "hotslot.yaml"
        self.socket = bed.path / "hotslotd.sock"
        self.database = bed.path / "record" / "hotslot.db"
        self.log = bed.path / "share" / "log" / "hotslotd.log"
        self._agent: subprocess.Popen[str] | None = None
        self.config.write_text(yaml.safe_dump(self._settings(agent_wait_s, agent)))

    def _settings(self, agent_wait_s: float, agent: dict[str, object]) -> dict[str, Any]:
        return {
            "host": {"name": "host1", "cores": self._host_cores},
            "workers": [
                {"name": node.name, "ceiling": self.workers_built, "scheduler": scheduler}
                for scheduler, nodes in self._nodes().items()
                for node in nodes
            ],
            "driver": self._driver(),
            "scheduler": [self._scheduler(name) for name in self._nodes()],
            "policy": {"name": "window", "window_s": float(WINDOW_S)},
            "limits": {"cooldown_s": 5.0},
            "lending": {"enabled": self._lending is not None, **(self._lending or {})},
            "agent": {
                "socket": str(self.socket),
                "listen": "10.77.0.1:8765",
                "reconcile_s": 15.0,
                "agent_wait_s": float(agent_wait_s),
                **agent,
            },
            "record": {"database": str(self.database)},
        }

    def _nodes(self) -> dict[str, Sequence[Node]]:
        """Return the workers of each scheduler that there is."""
        bed = self.bed
        both: dict[str, Sequence[Node]] = {
            "slurm": [*bed.workers, *bed.beside],
            "htcondor": bed.condor_workers,
        }
        return {name: nodes for name, nodes in both.items() if nodes}

    def _scheduler(self, name: str) -> dict[str, object]:
        if name == "htcondor":
            return {"name": name, "config": str(self.bed.condor_config), "timeout_s": 30.0}
        shared = (
            {"partition": "host1"} if self.bed.condor_workers or self._lending is not None else {}
        )
        command = self._scontrol_prefix()
        return {"name": name, "source": "scontrol", "command": command, **shared}

    def _driver(self) -> dict[str, object]:
        return {"name": "qemu", "qmp_socket": str(self.bed.path / "{vm}.qmp")}

    def _scontrol_prefix(self) -> list[str]:
        return self.bed.scontrol_prefix

    def popen_agent(self, config: Path, out: IO[str]) -> subprocess.Popen[str]:
        """Start an agent where agents of this cluster run."""
        command = [str(BIN / "hotslotd"), "-c", str(config)]
        return self.bed.popen_host(command, stdout=out, stderr=out)

    def __enter__(self) -> Self:
        self.start_agent()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop_agent()

    # --- the agent ----------------------------------------------------------------------------

    def start_agent(self) -> None:
        """Start the agent and wait until it answers."""
        with self.log.open("a") as out:
            self._agent = self.popen_agent(self.config, out)
        eventually(self._answers, 60, "the agent answers", self.log_tail)

    def _answers(self) -> bool:
        assert self._agent is not None
        if self._agent.poll() is not None:
            raise AssertionError(f"the agent ended: {self._agent.returncode}\n{self.log_tail()}")
        try:
            return bool(ask(self.socket, "/v1/status"))
        except AgentUnreachable:
            return False

    def stop_agent(self) -> None:
        """Stop the agent in order."""
        if self._agent is not None:
            self._agent.send_signal(signal.SIGCONT)
            self._agent.terminate()
            assert self._agent.wait(timeout=30) == 0, self.log_tail()
            self._agent = None

    def signal_agent(self, number: signal.Signals) -> None:
        """Send the agent a signal; a killed one is waited for."""
        assert self._agent is not None
        self._agent.send_signal(number)
        if number is signal.SIGKILL:
            self._agent.wait(timeout=30)

    def log_tail(self, lines: int = 40) -> str:
        """Return the end of the agent's log."""
        return "\n".join(self.log.read_text().splitlines()[-lines:]) if self.log.exists() else ""

    # --- commands -----------------------------------------------------------------------------

    def hotslot(
        self, *arguments: str, check: bool = True, timeout: float = 60, columns: str = "120"
    ) -> subprocess.CompletedProcess[str]:
        """Run a hotslot command on the host."""
        command = [str(BIN / "hotslot"), "-c", str(self.config), *arguments]
        env = {"PATH": os.environ["PATH"], "COLUMNS": columns, "LANG": "C.UTF-8"}
        return self.bed.host(command, check=check, timeout=timeout, env=env)

    def json(self, *arguments: str) -> Any:
        """Return what a hotslot command says with --json."""
        return json.loads(self.hotslot(*arguments, "--json").stdout)

    def workers(self) -> dict[str, dict[str, Any]]:
        """Return the workers by name, as the agent tells ``hotslot status``."""
        return {w["worker"]: w for w in ask(self.socket, "/v1/status")["workers"]}

    def sbatch(self, *arguments: str, wrap: str | None = None, user: str = "alice") -> str:
        """Submit a job and return its id."""
        command = ["sbatch", "--parsable", *arguments, *(["--wrap", wrap] if wrap else [])]
        return self.bed.run(command, user=user).stdout.strip().split(";")[0]

    def squeue(self, job: str) -> str:
        """Return a job's state as squeue words it, '' when it is not queued any more."""
        found = self.bed.run(["squeue", "-h", "-j", job, "-o", "%T"], check=False).stdout
        return found.split()[0] if found.split() else ""

    def state(self, job: str) -> str:
        """Return a job's state as the accounting has it."""
        command = ["sacct", "-n", "-X", "-P", "-j", job, "-o", "State"]
        return self.bed.run(command, user="root").stdout.strip().split("\n")[0]

    # --- the record ---------------------------------------------------------------------------

    def leases(self, job: str) -> list[LeaseRow]:
        """Return the leases of a job from the record."""
        with History(self.database) as history:
            return history.leases_of(job)

    def open_leases(self) -> int:
        """Return how many leases are open in the record."""
        with History(self.database) as history:
            return len(history.open_leases())

    # --- waiting ------------------------------------------------------------------------------

    def wait_running(self, job: str, timeout_s: float = 90) -> None:
        """Wait until the job's batch script runs."""
        eventually(
            lambda: self.squeue(job) == "RUNNING", timeout_s, f"job {job} runs", self.explain
        )

    def wait_gone(self, job: str, timeout_s: float = 180) -> None:
        """Wait until the job has left the queue."""
        eventually(lambda: not self.squeue(job), timeout_s, f"job {job} ends", self.explain)

    def wait_settled(self, timeout_s: float = 90) -> None:
        """Wait until nothing is left: no open lease, every worker idle-sized, no node drained."""
        eventually(lambda: not self.unsettled(), timeout_s, "all is idle again", self.explain)

    def unsettled(self) -> list[str]:
        """Say what is not idle."""
        left = []
        if "slurm" in self._nodes():
            left = [f"{n}: {s}" for n, s in self.bed.node_states().items() if s != "idle"]
        if count := self.open_leases():
            left.append(f"{count} open leases")
        for worker in self.workers().values():
            if worker["granted_vcpus"] != worker["floor_vcpus"] or worker["job"]:
                left.append(f"{worker['worker']}: {worker['granted_vcpus']} vCPUs")
        return left

    def explain(self) -> str:
        """Return what helps to see why something did not come about."""
        asks = {
            "slurm": [["squeue", "-a", "-o", "%i %T %r %N"], ["sinfo", "-N", "-o", "%N %T %E"]],
            "htcondor": [["condor_q", "-allusers", "-nobatch"], ["condor_status"]],
        }
        said = [
            self.bed.run(ask, check=False).stdout for name in self._nodes() for ask in asks[name]
        ]
        status = self.hotslot("status", check=False).stdout
        return "\n".join([*said, status, self.log_tail()])
