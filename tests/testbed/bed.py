"""A whole cluster on one machine, which ends with the test that started it."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from . import accel, network, progress, recipe, slurm_conf
from .controller import Controller
from .errors import TestbedError, log_tail
from .namespaces import Namespaces
from .worker import Machine, Worker

REPO = Path(__file__).resolve().parents[2]
DEFAULT_HOOK_CONF = f"agent={network.CTL_ADDRESS}:8765\nagent_wait_s=60\n"
_HOOK_FILES = {
    "usr/lib/hotslot/hook.py": REPO / "plugin/hotslot_plugin/hook.py",
    "usr/lib/hotslot/slurm-prolog": REPO / "prolog/slurm-prolog",
    "usr/lib/hotslot/slurm-epilog": REPO / "epilog/slurm-epilog",
}
_USERS = {"root": (0, "/root"), "alice": (1000, "/home/alice"), "bob": (1001, "/home/bob")}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Testbed:
    """A Slurm cluster whose workers are VMs, in namespaces of its own; a context manager."""

    __test__ = False  # the name starts with "Test"; pytest must not collect it

    def __init__(
        self,
        workers: int = 3,
        vcpus: int = 4,
        cores: int = 8,
        *,
        boot_vcpus: int = 1,
        memory_mb: int = 640,
        hooks: bool = True,
        hook_conf: str = DEFAULT_HOOK_CONF,
        slurm_conf_extra: str = "",
        keep: bool = False,
    ) -> None:
        """Describe a testbed.

        vcpus: the most a worker can have, and what its Slurm node offers; boot_vcpus: what it
        starts with. cores: GrpTRES=cpu of the partition's QOS. hooks: Prolog and Epilog from
        this repository. slurm_conf_extra: lines added to slurm.conf, of which later ones win.
        keep: leave the run directory behind also on success.
        """
        self._count = workers
        self._vcpus = vcpus
        self._cores = cores
        self._boot_vcpus = boot_vcpus
        self._memory_mb = memory_mb
        self._hooks = hooks
        self._hook_conf = hook_conf
        self._slurm_conf_extra = slurm_conf_extra
        self._keep = keep
        self._cleanup = ExitStack()
        self.workers: list[Worker] = []

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
            progress.say(f"the testbed's logs are kept in {self.path}/share/log")

    def _start(self) -> None:
        start = time.monotonic()
        recipe.build_all()
        image, kernel, cached_root = (
            self._cleanup.enter_context(artifact.in_use())
            for artifact in (recipe.WORKER_IMAGE, recipe.WORKER_KERNEL, recipe.CTL_ROOT)
        )
        chosen = accel.choose(cached_root / "root", kernel)
        self.path = Path(tempfile.mkdtemp(prefix="hotslot-testbed-"))
        self.path.chmod(0o755)
        self.root = self.path / "root"
        self._make_directories()
        self._namespaces = Namespaces()
        self._cleanup.callback(self._namespaces.close)
        self._mount(cached_root / "root", [image, kernel])
        self._machine = Machine(
            root=self.root,
            run=self.path,
            scratch=self.path / "scratch",
            kernel=kernel,
            image=image / "disk.ext4",
            accel=chosen,
            vcpus=self._vcpus,
            boot_vcpus=self._boot_vcpus,
            memory_mb=self._memory_mb,
        )
        files = self._worker_files()
        self.workers = [
            Worker(self._namespaces, self._machine, n, files) for n in range(1, self._count + 1)
        ]
        self._controller = Controller(self._namespaces, self.root, self.path / "share/log/ctl")
        booting = threading.Thread(target=lambda: [worker.start() for worker in self.workers])
        booting.start()
        try:
            self._controller.start()
            if self._cores != 8:  # what the cached database has
                self.set_cores(self._cores)
        finally:
            booting.join()
        self.wait_idle(timeout=60 + 40 * self._count)
        self.start_up_s = time.monotonic() - start
        progress.say(
            f"testbed of {self._count} workers ({chosen}) up in {self.start_up_s:.1f} s: {self.path}"
        )

    # --- asking and running -----------------------------------------------------------------

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
        return self._namespaces.run(command, timeout=timeout, check=check, input=input)

    def popen(self, argv: Sequence[str], *, user: str = "alice", **popen: Any) -> Popen:
        """Start a command on the controller, in the user's home directory."""
        return self._namespaces.popen(self._on_controller(argv, user, {}), **popen)

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
        return self._namespaces.run(
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
        return self._namespaces.popen(
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=env,
            cwd=cwd,
            new_session=new_session,
        )

    def worker(self, name: str) -> Worker:
        """Return a worker by its name."""
        for worker in self.workers:
            if worker.name == name:
                return worker
        raise TestbedError(f"no worker {name}: there are w1 to w{self._count}")

    @property
    def namespaces(self) -> Namespaces:
        return self._namespaces

    @property
    def accel(self) -> str:
        """`tcg` or `kvm`."""
        return self._machine.accel

    @property
    def scontrol_prefix(self) -> list[str]:
        """What stands before Slurm's commands when the agent calls them."""
        return ["chroot", str(self.root)]

    @property
    def home(self) -> Path:
        """The directory which is /home on the controller and in every worker."""
        return self.path / "share" / "home"

    @property
    def outer_root(self) -> Path:
        """The controller's root as the test itself, outside the namespaces, reaches it."""
        return Path(f"/proc/{self._namespaces.pid1}/root{self.root}")

    def logs(self) -> dict[str, Path]:
        """Return every log that has something in it, by its name below the log directory."""
        top = self.path / "share" / "log"
        return {
            str(path.relative_to(top)): path
            for path in sorted(top.rglob("*"))
            if path.is_file() and path.stat().st_size
        }

    def node_states(self) -> dict[str, str]:
        """Return each node's state as sinfo words it."""
        done = self.run(["sinfo", "-h", "-N", "-o", "%N %T"], user="root", check=False)
        lines = (line.split() for line in done.stdout.splitlines())
        return {words[0]: words[1] for words in lines if len(words) == 2}

    def wait_idle(self, timeout: float = 60) -> None:
        """Wait until every node is idle, up and without a job."""
        deadline = time.monotonic() + timeout
        while True:
            states = self.node_states()
            if len(states) == self._count and set(states.values()) == {"idle"}:
                return
            self._check_alive()
            if time.monotonic() > deadline:
                raise self._not_idle(states, timeout)
            time.sleep(0.25)

    def set_cores(self, cores: int) -> None:
        """Set how many CPUs Slurm may allocate, and have it look at once."""
        modify = ["sacctmgr", "-i", "modify", "qos", slurm_conf.PARTITION]
        self.run([*modify, "set", f"GrpTRES=cpu={cores}"], user="root")
        update = ["scontrol", "update", f"partitionname={slurm_conf.PARTITION}", "state=UP"]
        self.run(update, user="root")

    # --- breaking things --------------------------------------------------------------------

    def kill_slurmctld(self) -> None:
        """Kill slurmctld with SIGKILL."""
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

    # --- setting up -------------------------------------------------------------------------

    def _make_directories(self) -> None:
        names = ["root", "scratch", "share/home", "share/log/ctl"]
        names += [f"share/log/w{n}" for n in range(1, self._count + 1)]
        for name in names:
            (self.path / name).mkdir(parents=True)
        for user, (uid, _) in _USERS.items():
            if uid:
                (self.home / user).mkdir()
                os.chown(self.home / user, uid, uid)

    def _mount(self, cached_root: Path, artifacts: Sequence[Path]) -> None:
        """Mount the controller's root; writes go to a tmpfs that ends with the namespaces."""
        run, root, scratch = (shlex.quote(str(p)) for p in (self.path, self.root, self.scratch))
        lines = [
            "mount --make-rprivate /",
            "mount -t proc proc /proc",
            f"mount -t tmpfs -o mode=755 scratch {scratch}",
            f"mkdir {scratch}/upper {scratch}/work",
            f"mount -t overlay -o lowerdir={shlex.quote(str(cached_root))},"
            f"upperdir={scratch}/upper,workdir={scratch}/work overlay {root}",
            f"mount --rbind /dev {root}/dev",
            f"mount -t proc proc {root}/proc",
            f"mount --rbind /sys {root}/sys",
            f"mount -t tmpfs run {root}/run",
            f"mount --bind {run}/share/home {root}/home",
            f"mount --bind {run}/share/log/ctl {root}/var/log/slurm",
            # QEMU runs in the root: these paths mean the same in and out of it.
            f"mkdir -p {root}{run}",
            f"mount --rbind {run} {root}{run}",
            f"cd {root}/run && mkdir mysqld munge slurm",
            "hostname ctl",
        ]
        for artifact in (shlex.quote(str(path)) for path in artifacts):
            lines += [f"mkdir -p {root}{artifact}", f"mount --bind {artifact} {root}{artifact}"]
        script = "\n".join([*lines, network.setup_script(self._count)])
        self._namespaces.run(["sh", "-euc", script], timeout=60)
        self._munge_key = secrets.token_bytes(128)
        etc = self.outer_root / "etc"
        (etc / "munge/munge.key").write_bytes(self._munge_key)
        (etc / "munge/munge.key").chmod(0o400)
        (etc / "hosts").write_text(slurm_conf.hosts(self._count))
        for name, text in self._slurm_files().items():
            (etc / "slurm" / name).write_text(text)
        chown = "chown mysql: /run/mysqld; chown munge: /run/munge /etc/munge/munge.key"
        self._namespaces.run(["chroot", str(self.root), "sh", "-euc", chown], timeout=60)

    @property
    def scratch(self) -> Path:
        return self.path / "scratch"

    def _slurm_files(self) -> dict[str, str]:
        submit = REPO / "config/slurm/job_submit.lua"
        own = slurm_conf.JOB_SUBMIT_LUA
        return {
            "slurm.conf": slurm_conf.slurm_conf(
                workers=self._count,
                vcpus=self._vcpus,
                memory_mb=self._memory_mb * 3 // 4,
                hooks=self._hooks,
                extra=self._slurm_conf_extra,
            ),
            "gres.conf": "Name=vm Count=1\n",
            "cgroup.conf": slurm_conf.CGROUP_CONF,
            "job_submit.lua": submit.read_text() if submit.exists() else own,
        }

    def _worker_files(self) -> dict[str, bytes]:
        """Return what each worker gets at its start, by path."""
        files = {f"etc/slurm/{name}": text.encode() for name, text in self._slurm_files().items()}
        files["etc/munge/munge.key"] = self._munge_key
        files["etc/hosts"] = slurm_conf.hosts(self._count).encode()
        if self._hooks:
            files["etc/hotslot/hook.conf"] = self._hook_conf.encode()
            for name, path in _HOOK_FILES.items():
                if not path.exists():
                    raise TestbedError(f"{path} is missing; hooks=False does without")
                files[name] = path.read_bytes()
        return files

    def _on_controller(
        self, argv: Sequence[str], user: str, env: Mapping[str, str]
    ) -> list[str]:
        if user not in _USERS:
            raise TestbedError(f"no user {user}: there are {', '.join(_USERS)}")
        home = _USERS[user][1]
        values = {"PATH": _PATH, "HOME": home, "USER": user, "LOGNAME": user, "LANG": "C.UTF-8"}
        settings = [f"{name}={value}" for name, value in {**values, **env}.items()]
        enter = ["chroot", f"--userspec={user}:{user}", str(self.root), "env", "-i", "-C", home]
        return [*enter, *settings, *argv]

    def _check_alive(self) -> None:
        for worker in self.workers:
            if not worker.running:
                raise TestbedError(
                    f"{worker.name} ended\n{log_tail(worker.log_dir / 'qemu.log')}\n"
                    f"{log_tail(worker.console_log)}"
                )

    def _not_idle(self, states: Mapping[str, str], timeout: float) -> TestbedError:
        found = ", ".join(f"{name} {state}" for name, state in states.items()) or "no answer"
        parts = [f"nodes not idle within {timeout:.0f} s: {found}"]
        for worker in self.workers:
            if states.get(worker.name) != "idle":
                parts.append(log_tail(worker.console_log, 8))
                parts.append(log_tail(worker.log_dir / "slurmd.log", 8))
        parts.append(log_tail(self.path / "share/log/ctl/slurmctld.log", 15))
        return TestbedError("\n".join(parts))


Popen = subprocess.Popen[str]
