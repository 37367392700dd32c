"""A testbed's HTCondor pool: central manager and schedd on the controller, a startd a worker."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from . import condor_conf
from .errors import TestbedError, log_tail
from .namespaces import Namespaces
from .run_dir import DAEMON_ENV, RunDir
from .worker import Worker, file_mode

_BASE = "etc/condor/config.d/10-testbed.conf"
_EXTRA = "etc/condor/config.d/90-testbed-extra.conf"
_KEY = "etc/condor/passwords.d/POOL"
_DAEMONS = {"collector": "Collector", "negotiator": "Negotiator", "schedd": "Scheduler"}
"""The daemons of the controller, each with the type of its ad."""


class CondorPool:
    """Installs, starts, kills and asks the pool of a testbed."""

    def __init__(self, namespaces: Namespaces, run: RunDir) -> None:
        self._namespaces = namespaces
        self._run = run
        self._master: subprocess.Popen[str] | None = None
        self._killed_at: dict[str, float] = {}
        self.workers: Sequence[Worker] = ()
        self.log_dir = run.log / "ctl" / "condor"
        self.client_config = run.path / "condor-client" / "condor_config"

    # --- what makes machines members of the pool ----------------------------------------------

    def install(self, files: dict[str, bytes], extra: str) -> None:
        """Make the controller this pool's: its configuration, and a signing key of its own.

        files: hotslot's part of the configuration, or nothing.
        """
        # Hexadecimal: HTCondor ends a key at its first zero byte.
        own = {
            **files,
            _BASE: condor_conf.controller_conf(hotslot=bool(files)).encode(),
            _EXTRA: extra.encode(),
            _KEY: secrets.token_hex(32).encode(),
        }
        for name, content in own.items():
            path = self._namespaces.outer(self._run.root / name)
            path.write_bytes(content)
            path.chmod(file_mode(name))
        script = f"""
            useradd --system {condor_conf.AGENT_ACCOUNT}
            chown condor: /run/condor /run/lock/condor /var/log/condor
        """
        self._on_controller(["sh", "-euc", script])
        self._install_client()

    def _install_client(self) -> None:
        directory = self.client_config.parent
        directory.mkdir(mode=0o700)
        (directory / "tokens.d").mkdir(mode=0o700)
        token = directory / "tokens.d" / "hotslot"
        token.write_text(self._token(condor_conf.AGENT, "READ", "WRITE"))
        token.chmod(0o600)
        self.client_config.write_text(condor_conf.client_conf(directory))

    def worker_files(self, *, vcpus: int, memory_mb: int, extra: str) -> dict[str, bytes]:
        """Return what makes a VM a worker of this pool, by path."""
        token = self._token(condor_conf.WORKER, "READ", "ADVERTISE_MASTER", "ADVERTISE_STARTD")
        return {
            _BASE: condor_conf.worker_conf(vcpus=vcpus, memory_mb=memory_mb).encode(),
            # As every site must set it in hotslot's file, which has a default.
            _EXTRA: f"HOTSLOT_CEILING = {vcpus}\n{extra}".encode(),
            "etc/condor/tokens.d/worker": token.encode(),
        }

    def _token(self, identity: str, *authorizations: str) -> str:
        may = [word for name in authorizations for word in ("-authz", name)]
        return self._on_controller(["condor_token_create", "-identity", identity, *may]).stdout

    def register_agent(self) -> None:
        """Have the schedd know the agent, whose rights count only once it has submitted a job.

        HTCondor 23.9.6 refuses every edit of a queue super user of whom it has no user record,
        and `condor_qusers -add` says that it made one and does not.
        """
        account = condor_conf.AGENT_ACCOUNT
        script = """
            printf 'executable=/bin/true\\nhold=true\\nqueue\\n' | condor_submit -terse
            condor_rm "$1"
        """
        enter = ["chroot", f"--userspec={account}:{account}", str(self._run.root)]
        command = [*enter, "env", "-C", "/tmp", "sh", "-euc", script, "sh", account]
        self._namespaces.run(command, timeout=60, env=DAEMON_ENV)

    # --- daemons of the controller ------------------------------------------------------------

    def start(self) -> None:
        """Start the master, which starts the rest.

        What an earlier one left is killed first, as condor.service does (KillMode=mixed): without
        their master, daemons live on for up to two minutes.
        """
        if self._master is not None and self._master.poll() is None:
            raise TestbedError("condor_master runs already")
        for daemon in (*_DAEMONS, "shadow", "shared_port", "procd"):
            self._kill(daemon)
        with (self.log_dir.parent / "condor_master.out").open("a") as out:
            self._master = self._namespaces.popen(
                ["chroot", str(self._run.root), "condor_master", "-f"],
                stdout=out,
                stderr=out,
                env=DAEMON_ENV,
            )

    def kill(self, daemon: str) -> None:
        """Kill a daemon, or every shadow, with SIGKILL and wait until it is gone."""
        self._killed_at[daemon] = time.time()
        if not self._kill(daemon):
            raise TestbedError(f"no condor_{daemon} runs on the controller")
        if daemon == "master" and self._master is not None:
            self._master.wait(timeout=30)

    def _kill(self, daemon: str) -> bool:
        """Kill a daemon's processes, wait until they are gone, return whether there were any."""
        name = f"condor_{daemon}"
        found = set(self._namespaces.pids(name))
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while left := found & set(self._namespaces.pids(name)):
            if time.monotonic() > deadline:
                raise TestbedError(f"condor_{daemon} does not die: {left}")
            time.sleep(0.02)
        return bool(found)

    # --- asking -------------------------------------------------------------------------------

    def ads(self) -> list[dict[str, Any]]:
        """Return every ad that the collector has; none while it does not answer."""
        done = self._on_controller(["condor_status", "-any", "-json"], check=False)
        found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
        return found

    def wait_idle(self, timeout: float, check_alive: Callable[[], None]) -> None:
        """Wait until all daemons are known and every worker offers all it has."""
        deadline = time.monotonic() + timeout
        while missing := self._missing(self.ads()):
            check_alive()
            if time.monotonic() > deadline:
                raise self._not_idle(missing, timeout)
            time.sleep(0.25)

    def _missing(self, ads: Sequence[dict[str, Any]]) -> dict[str, str]:
        """Return what is not there or not idle, with why, by its name."""
        missing = {}
        for daemon, kind in _DAEMONS.items():
            since = max(self._killed_at.get(name, 0.0) for name in (daemon, "master"))
            if not any(ad.get("MyType") == kind and ad["LastHeardFrom"] > since for ad in ads):
                missing[daemon] = "no ad since its start"
        for worker in self.workers:
            slots = [
                ad
                for ad in ads
                if ad.get("MyType") == "Machine"
                and str(ad.get("Machine")).split(".")[0] == worker.name
                and ad.get("LastHeardFrom", 0) > worker.changed_at
            ]
            if why := _not_idle_because(slots):
                missing[worker.name] = why
            elif not worker.answers():
                missing[worker.name] = "the guest does not answer"
        return missing

    def _not_idle(self, missing: dict[str, str], timeout: float) -> TestbedError:
        said = ", ".join(f"{name}: {why}" for name, why in missing.items())
        parts = [f"HTCondor not idle within {timeout:.0f} s: {said}"]
        for question in (["condor_status", "-any"], ["condor_q", "-allusers", "-nobatch"]):
            done = self._on_controller(question, check=False)
            parts.append(f"{done.stdout}{done.stderr}".strip())
        for worker in self.workers:
            if worker.name in missing:
                parts.append(log_tail(worker.console_log, 8))
                parts.append(log_tail(worker.log_dir / "condor" / "MasterLog", 8))
                parts.append(log_tail(worker.log_dir / "condor" / "StartLog", 12))
        for log in ("MasterLog", "CollectorLog", "SchedLog"):
            parts.append(log_tail(self.log_dir / log, 10))
        return TestbedError("\n".join(parts))

    def _on_controller(
        self, argv: Sequence[str], *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        command = ["chroot", str(self._run.root), *argv]
        return self._namespaces.run(command, timeout=60, check=check, env=DAEMON_ENV)


def _not_idle_because(slots: Sequence[dict[str, Any]]) -> str:
    """Return why a worker's slots are not one partitionable slot with all its CPUs, else ""."""
    if not slots:
        return "no ad since its start"
    if len(slots) > 1:
        return f"{len(slots) - 1} dynamic slots"
    slot = slots[0]
    if slot.get("State") != "Unclaimed":
        return str(slot.get("State"))
    if slot.get("Cpus") != slot.get("TotalSlotCpus"):
        return f"{slot.get('Cpus')} of {slot.get('TotalSlotCpus')} CPUs"
    return ""
