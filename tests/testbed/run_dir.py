"""The directories of one testbed, and the controller's root mounted among them."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .namespaces import Namespaces
from .network import Seat, setup_script

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DAEMON_ENV = {"PATH": PATH, "LANG": "C.UTF-8"}  # the test's TMPDIR and the like do not hold there
USERS = {"root": (0, "/root"), "alice": (1000, "/home/alice"), "bob": (1001, "/home/bob")}


@dataclass(frozen=True, slots=True)
class RunDir:
    """Where a testbed lives; the paths mean the same in and out of the controller's root."""

    path: Path

    @classmethod
    def create(cls, nodes: Iterable[str]) -> RunDir:
        """Make a directory below TMPDIR with the logs' and users' directories in it."""
        made = cls(Path(tempfile.mkdtemp(prefix="hotslot-testbed-")))
        made.path.chmod(0o755)  # users reach their home through it
        logs = (made.log / name / "condor" for name in ("ctl", *nodes))
        for directory in (made.root, made.scratch, made.home, *logs):
            directory.mkdir(parents=True)
        for user, (uid, _) in USERS.items():
            if uid:
                (made.home / user).mkdir()
                os.chown(made.home / user, uid, uid)
        return made

    @property
    def root(self) -> Path:
        """The controller's root; mounted in the namespaces only."""
        return self.path / "root"

    @property
    def scratch(self) -> Path:
        """A tmpfs in the namespaces for what ends with them: the root's changes, disks."""
        return self.path / "scratch"

    @property
    def share(self) -> Path:
        """What every worker mounts."""
        return self.path / "share"

    @property
    def home(self) -> Path:
        """/home of the controller and of every worker."""
        return self.share / "home"

    @property
    def log(self) -> Path:
        """Logs, a directory for the controller and for each worker."""
        return self.share / "log"

    def mount(
        self, namespaces: Namespaces, lower: Path, artifacts: Iterable[Path], seats: Iterable[Seat]
    ) -> None:
        """Mount the root over its pristine copy and make the network."""
        run, root, scratch = (shlex.quote(str(p)) for p in (self.path, self.root, self.scratch))
        share, log = shlex.quote(str(self.share)), shlex.quote(str(self.log))
        overlay = f"lowerdir={lower},upperdir={self.scratch}/upper,workdir={self.scratch}/work"
        lines = [
            "mount --make-rprivate /",
            "mount -t proc proc /proc",
            f"mount -t tmpfs -o mode=755 scratch {scratch}",
            f"mkdir {scratch}/upper {scratch}/work",
            f"mount -t overlay -o {shlex.quote(overlay)} overlay {root}",
            f"mount --rbind /dev {root}/dev",
            f"mount -t proc proc {root}/proc",
            f"mount --rbind /sys {root}/sys",
            f"mount -t tmpfs run {root}/run",
            f"mount --bind {share}/home {root}/home",
            f"mount --bind {log}/ctl {root}/var/log/slurm",
            f"mount --bind {log}/ctl/condor {root}/var/log/condor",
            # QEMU runs in the root, and its sockets are used from outside.
            f"mkdir -p {root}{run}",
            f"mount --rbind {run} {root}{run}",
            f"cd {root}/run && mkdir -p mysqld munge slurm condor lock/condor",
            "hostname ctl",
        ]
        for artifact in (shlex.quote(str(path)) for path in artifacts):
            lines += [f"mkdir -p {root}{artifact}", f"mount --bind {artifact} {root}{artifact}"]
        script = "\n".join([*lines, setup_script(seats)])
        namespaces.run(["sh", "-euc", script], timeout=60)
