"""A whole cluster on one machine, which ends with the test that started it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from . import accel, cluster_files, progress, recipe, slurm_conf
from .beside import Beside
from .condor import CondorPool
from .controller import Controller
from .errors import TestbedError, log_tail
from .namespaces import Namespaces
from .network import beside_address, condor_seat, slurm_seat
from .run_dir import PATH, USERS, RunDir
from .worker import Machine, Worker

Popen = subprocess.Popen[str]
_CACHED_CORES = 8  # the GrpTRES of the QOS in the cached database


class Testbed:
    """A Slurm cluster whose workers are VMs, in namespaces of its own; a context manager."""

    __test__ = False  # the name starts with "Test"; pytest must not collect it

    def __init__(
        self,
        workers: int = 3,
        vcpus: int = 4,
        cores: int = 8,
        *,
        condor_workers: int = 0,
        boot_vcpus: int = 1,
        memory_mb: int = 640,
        hooks: bool = True,
        hook_conf: str = cluster_files.DEFAULT_HOOK_CONF,
        slurm_conf_extra: str = "",
        condor_conf_extra: str = "",
        condor_worker_conf_extra: str = "",
        beside: Sequence[str] = (),
        keep: bool = False,
    ) -> None:
        """Describe a testbed.

        vcpus: the most a worker can have, and what its Slurm node offers; boot_vcpus: what it
        starts with. cores: GrpTRES=cpu of the partition's QOS. hooks: Prolog and Epilog from
        this repository. slurm_conf_extra: lines added to slurm.conf, of which later ones win.
        condor_workers: how many further VMs are workers of an HTCondor pool; with these and no
        other nodes, Slurm's daemons are left out. condor_conf_extra: lines that win over those of
        the pool's and hotslot's files, on all its machines; condor_worker_conf_extra: on workers.
        beside: names of further nodes, whose slurmd runs without a VM (beside.py).
        keep: leave the run directory behind also on success, as HOTSLOT_KEEP=1 does.
        """
        self._seats = [slurm_seat(n) for n in range(1, workers + 1)]
        self._condor_seats = [condor_seat(n) for n in range(1, condor_workers + 1)]
        self._vcpus = vcpus
        self._cores = cores
        self._boot_vcpus = boot_vcpus
        self._memory_mb = memory_mb
        self._hooks = hooks
        self._hook_conf = hook_conf
        self._slurm_conf_extra = slurm_conf_extra
        self._condor_conf_extra = condor_conf_extra
        self._condor_worker_conf_extra = condor_worker_conf_extra
        self._addresses = {seat.name: seat.address for seat in self._seats}
        self._addresses |= {name: beside_address(n) for n, name in enumerate(beside, 1)}
        self._beside = beside
        self._keep = keep or os.environ.get("HOTSLOT_KEEP", "") not in ("", "0")
        self._cleanup = ExitStack()
        self._with_slurm = bool(self._addresses) or not condor_workers
        self.workers: list[Worker] = []
        self.condor_workers: list[Worker] = []
        self.beside: list[Beside] = []

    def __enter__(self) -> Testbed:
        try:
            self._start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._cleanup.close()
        if kind is None and not self._keep:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            progress.say(f"the testbed's logs are kept in {self.run_dir.log}")

    def keep_logs(self) -> None:
        """Leave the run directory behind, for what was found in it is not an exception."""
        self._keep = True

    def _start(self) -> None:
        start = time.monotonic()
        recipe.build_all()
        image, kernel, lower = (
            self._cleanup.enter_context(artifact.in_use())
            for artifact in (recipe.WORKER_IMAGE, recipe.WORKER_KERNEL, recipe.CTL_ROOT)
        )
        seats = [*self._seats, *self._condor_seats]
        self.accel = accel.choose(lower / "root", kernel) if seats else "no VM"
        self.run_dir = RunDir.create(
            [*self._addresses, *(seat.name for seat in self._condor_seats)]
        )
        self.namespaces = Namespaces()
        self._cleanup.callback(self.namespaces.close)
        self.run_dir.mount(self.namespaces, lower / "root", [image, kernel], seats)
        machine = Machine(
            run=self.run_dir,
            kernel=kernel,
            disk=image / "disk.ext4",
            accel=self.accel,
            vcpus=self._vcpus,
            boot_vcpus=self._boot_vcpus,
            memory_mb=self._memory_mb,
        )
        self._install_slurm(machine)
        self._install_condor(machine)
        with ThreadPoolExecutor(1) as boot:
            booted = boot.submit(self._boot)
            if self._condor_seats:
                self._condor.start()
            if self._with_slurm:
                self._start_slurm()
            booted.result()
        self._wait_started()
        self.start_up_s = time.monotonic() - start
        said = f"{len(self._addresses) + len(self._condor_seats)} nodes ({self.accel})"
        progress.say(f"testbed of {said} up in {self.start_up_s:.1f} s: {self.path}")

    def _install_slurm(self, machine: Machine) -> None:
        files = cluster_files.members_files(self._slurm_conf(), self._hosts)
        self._controller = Controller(self.namespaces, self.root, self.run_dir.log / "ctl")
        self._controller.install(files)
        if self._hooks and self._addresses:
            files.update(cluster_files.hook_files(self._hook_conf))
        self.workers = [Worker(self.namespaces, machine, seat, files) for seat in self._seats]
        self.beside = [
            Beside(self.namespaces, self.run_dir, name, n, files)
            for n, name in enumerate(self._beside, 1)
        ]
        for node in self.beside:
            node.set_up(machine.disk)

    def _install_condor(self, machine: Machine) -> None:
        self._condor = CondorPool(self.namespaces, self.run_dir)
        if not self._condor_seats:
            return
        submit = cluster_files.condor_submit_files() if self._hooks else {}
        self._condor.install(submit, self._condor_conf_extra)
        files = self._condor.worker_files(
            vcpus=self._vcpus,
            memory_mb=self._memory_mb * 3 // 4,
            extra=f"{self._condor_conf_extra}\n{self._condor_worker_conf_extra}\n",
        )
        files["etc/hosts"] = slurm_conf.hosts(self._hosts).encode()
        for seat in self._condor_seats:
            own = dict(files)
            if self._hooks:
                own |= cluster_files.condor_worker_files(self._hook_conf, seat.name)
            self.condor_workers.append(Worker(self.namespaces, machine, seat, own))
        self._condor.workers = self.condor_workers

    def _boot(self) -> None:
        for node in self.beside:
            node.start()
        for worker in (*self.workers, *self.condor_workers):
            worker.start()

    def _start_slurm(self) -> None:
        self._controller.start()
        if self._cores != _CACHED_CORES:
            self.set_cores(self._cores)

    def _wait_started(self) -> None:
        limit_s = 60 + 40 * len([*self._seats, *self._condor_seats])
        if self._with_slurm:
            self.wait_idle(timeout=limit_s)
            for name in self._addresses:
                self.wait_up(name)
        if self._condor_seats:
            self.condor_wait_idle(timeout=limit_s)
            self._condor.register_agent()

    @property
    def _hosts(self) -> dict[str, str]:
        """Every node's address."""
        return self._addresses | {seat.name: seat.address for seat in self._condor_seats}

    def _slurm_conf(self) -> str:
        return slurm_conf.slurm_conf(
            addresses=self._addresses,
            vcpus=self._vcpus,
            memory_mb=self._memory_mb * 3 // 4,
            hooks=self._hooks,
            extra=self._slurm_conf_extra,
        )

    # --- where things are -------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.run_dir.path

    @property
    def root(self) -> Path:
        """The controller's root, to chroot to; it is mounted in the namespaces only."""
        return self.run_dir.root

    @property
    def outer_root(self) -> Path:
        """The controller's root as the test itself, outside the namespaces, reaches it."""
        return self.namespaces.outer(self.root)

    @property
    def home(self) -> Path:
        """The directory which is /home on the controller and in every worker."""
        return self.run_dir.home

    @property
    def scontrol_prefix(self) -> list[str]:
        """What stands before Slurm's commands when the agent calls them."""
        return ["chroot", str(self.root)]

    def logs(self) -> dict[str, Path]:
        """Return every log that has something in it, by its name below the log directory."""
        top = self.run_dir.log
        found = (path for path in sorted(top.rglob("*")) if path.is_file() and path.stat().st_size)
        return {str(path.relative_to(top)): path for path in found}

    @property
    def condor_config(self) -> Path:
        """What CONDOR_CONFIG names for an HTCondor client on the host: the agent's identity."""
        return self._condor.client_config

    def worker(self, name: str) -> Worker:
        """Return a worker, of Slurm or of HTCondor, by its name."""
        workers = {worker.name: worker for worker in (*self.workers, *self.condor_workers)}
        if name not in workers:
            raise TestbedError(f"no worker {name}: there are {', '.join(workers) or 'none'}")
        return workers[name]

    def node(self, name: str) -> Worker | Beside:
        """Return a worker or a node beside them by its name."""
        for node in self.beside:
            if node.name == name:
                return node
        return self.worker(name)

    # --- running commands -------------------------------------------------------------------

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "alice",
        timeout: float = 60,
        check: bool = True,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command such as sbatch on the controller, in the user's home directory."""
        command = self._on_controller(argv, user, env or {})
        return self.namespaces.run(command, timeout=timeout, check=check, input=input)

    def popen(self, argv: Sequence[str], *, user: str = "alice", **popen: Any) -> Popen:
        """Start a command on the controller, in the user's home directory."""
        return self.namespaces.popen(self._on_controller(argv, user, {}), **popen)

    def host(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 60,
        check: bool = True,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command where the agent runs: this machine's files, the testbed's network."""
        return self.namespaces.run(
            argv, timeout=timeout, check=check, input=input, env=env, cwd=cwd
        )

    def popen_host(
        self,
        argv: Sequence[str],
        *,
        stdin: int | IO[Any] = subprocess.DEVNULL,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        new_session: bool = True,
    ) -> Popen:
        """Start a process where the agent runs; its pid and signals are the process' own."""
        return self.namespaces.popen(
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=env,
            cwd=cwd,
            new_session=new_session,
        )

    def _on_controller(self, argv: Sequence[str], user: str, env: Mapping[str, str]) -> list[str]:
        if user not in USERS:
            raise TestbedError(f"no user {user}: there are {', '.join(USERS)}")
        home = USERS[user][1]
        values = {"PATH": PATH, "HOME": home, "USER": user, "LOGNAME": user, "LANG": "C.UTF-8"}
        settings = [f"{name}={value}" for name, value in {**values, **env}.items()]
        enter = ["chroot", f"--userspec={user}:{user}", str(self.root), "env", "-i", "-C", home]
        return [*enter, *settings, *argv]

    def write_shell_functions(self) -> Path:
        """Write what an interactive shell in the testbed sources, and return its path."""
        root, tests = shlex.quote(str(self.root)), shlex.quote(str(Path(__file__).parents[1]))
        python = shlex.quote(sys.executable)
        text = f"""
PS1='(testbed) \\w# '
as_user() {{
  local user=$1 home=/home/$1; shift
  [ "$user" = root ] && home=/root
  chroot --userspec="$user:$user" {root} env -i -C "$home" HOME="$home" USER="$user" \\
    LANG=C.UTF-8 TERM="$TERM" PATH={PATH} "$@"
}}
in_worker() {{ PYTHONPATH={tests} {python} -m testbed in-worker "$@"; }}
"""
        path = self.path / "shell-functions"
        path.write_text(text)
        return path

    # --- the cluster ------------------------------------------------------------------------

    def node_states(self) -> dict[str, str]:
        """Return each node's state as sinfo words it."""
        done = self.run(["sinfo", "-h", "-N", "-o", "%N %T"], user="root", check=False)
        lines = (line.split() for line in done.stdout.splitlines())
        return {words[0]: words[1] for words in lines if len(words) == 2}

    def wait_idle(self, timeout: float = 120) -> None:
        """Wait until every node is idle, up and without a job."""
        deadline = time.monotonic() + timeout
        while set((states := self.node_states()).values()) != {"idle"}:
            self._check_alive()
            if time.monotonic() > deadline:
                raise self._not_up(states, timeout)
            time.sleep(0.25)

    def wait_up(self, name: str, timeout: float = 120) -> None:
        """Wait until Slurm has a worker's node up and its guest answers."""
        deadline = time.monotonic() + timeout
        while True:
            states = self.node_states()
            if states.get(name) in ("idle", "mixed", "allocated") and self.node(name).answers():
                return
            self._check_alive()
            if time.monotonic() > deadline:
                raise self._not_up(states, timeout)
            time.sleep(0.25)

    def set_cores(self, cores: int) -> None:
        """Set how many CPUs Slurm may allocate, and have it look at once."""
        modify = ["sacctmgr", "-i", "modify", "qos", slurm_conf.PARTITION]
        self.run([*modify, "set", f"GrpTRES=cpu={cores}"], user="root")
        update = ["scontrol", "update", f"partitionname={slurm_conf.PARTITION}", "state=UP"]
        self.run(update, user="root")

    def kill_slurmctld(self) -> None:
        """Kill slurmctld with SIGKILL.

        It saves its state within 5 s of a change. What it had not saved it does not know again:
        a job that has just started is lost with its process, one that has just ended may run once
        more, or stay RUNNING for minutes with no process. So this waits until it has saved a state
        that is newer than the call.
        """
        self._controller.await_saved_state()
        self._controller.kill("slurmctld")

    def start_slurmctld(self) -> None:
        """Start slurmctld again, from its saved state."""
        self._controller.start_slurmctld()

    def restart_slurmctld(self) -> None:
        """Stop slurmctld in order and start it again."""
        self._controller.stop("slurmctld")
        self._controller.start_slurmctld()

    def kill_slurmdbd(self) -> None:
        """Kill slurmdbd with SIGKILL."""
        self._controller.kill("slurmdbd")

    def start_slurmdbd(self) -> None:
        """Start slurmdbd again."""
        self._controller.start_slurmdbd()

    def frozen(self, daemon: str) -> AbstractContextManager[None]:
        """Stop a daemon of the controller with SIGSTOP for a while: slurmctld, condor_schedd …"""
        return self.namespaces.frozen(daemon)

    # --- the HTCondor pool --------------------------------------------------------------------

    def condor_submit(self, text: str, *, user: str = "alice") -> str:
        """Submit a job description; return the id of its first job, such as `12.0`."""
        done = self.run(["condor_submit", "-terse"], user=user, input=text)
        return done.stdout.split()[0]

    def condor_wait_idle(self, timeout: float = 120) -> None:
        """Wait until every worker of HTCondor offers all its CPUs and has no job."""
        self._condor.wait_idle(timeout, self._check_alive)

    def kill_condor(self, daemon: str) -> None:
        """Kill schedd, shadow, negotiator, collector or master of the controller with SIGKILL.

        The master starts the others anew, a second or two later.
        """
        self._condor.kill(daemon)

    def start_condor(self) -> None:
        """Start HTCondor on the controller after its master was killed, and the rest with it."""
        self._condor.start()

    def _check_alive(self) -> None:
        for worker in (*self.workers, *self.condor_workers):
            if worker.died:
                raise TestbedError(
                    f"{worker.name} ended\n{log_tail(worker.log_dir / 'qemu.log')}\n"
                    f"{log_tail(worker.console_log)}"
                )

    def _not_up(self, states: Mapping[str, str], timeout: float) -> TestbedError:
        found = ", ".join(f"{name} {state}" for name, state in states.items()) or "no answer"
        parts = [f"not up within {timeout:.0f} s: {found}"]
        for question in (["squeue", "-a"], ["sinfo", "-R"]):
            done = self.run(question, user="root", check=False)
            parts.append(f"{done.stdout}{done.stderr}".rstrip())
        for worker in self.workers:
            if states.get(worker.name) != "idle":
                parts.append(log_tail(worker.console_log, 8))
                parts.append(log_tail(worker.log_dir / "slurmd.log", 8))
        for node in self.beside:
            if states.get(node.name) != "idle":
                parts.append(log_tail(node.log_dir / "node.log", 8))
                parts.append(log_tail(node.log_dir / "slurmd.log", 8))
        parts.append(log_tail(self.run_dir.log / "ctl" / "slurmctld.log", 15))
        return TestbedError("\n".join(parts))
