"""Small Debians that their own systemd has started, as process 1 of namespaces of their own."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from live.cluster import eventually
from live.package_root import TREE, Root

_BOOT = TREE / "tests/packaging/boot.sh"
_MOUNTS = Path("/sys/fs/cgroup")
_JOIN = """
root=$1 cgroups=$2
shift 2
for cgroup in $cgroups; do echo $$ >"$cgroup/cgroup.procs"; done
exec unshare --mount --pid --fork --kill-child=KILL --net --uts --ipc --cgroup \
    sh -eu "$0" "$root" "$@"
"""
BOOT_S = 120.0
_LAST_WITH_V1 = "bookworm"
"""Later releases' systemd starts with cgroup v2 alone."""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A mounted hierarchy of cgroups, and the cgroup there in which this process is."""

    kind: str
    options: str
    directory: str
    own: Path

    def __str__(self) -> str:
        return f"{self.kind}:{self.options}:{self.directory}"


def hierarchies(suite: str) -> list[Hierarchy]:
    """Return what a systemd of this suite can have of this machine's hierarchies."""
    found = list(_mounted())
    second = [one for one in found if one.kind == "cgroup2"]
    if suite == _LAST_WITH_V1 and len(found) > 1:
        return found
    return [Hierarchy(one.kind, one.options, ".", one.own) for one in second]


def _mounted() -> Iterator[Hierarchy]:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, own = line.split(":", 2)
        if controllers == "cpuset":
            continue  # a new one has no CPUs; no unit here asks for any
        kind = "cgroup" if controllers else "cgroup2"
        wanted = set(controllers.split(",")) - {""}
        for _, at, mounted, options, *_ in mounts:
            if mounted == kind and wanted <= set(options.split(",")):
                named = f"none,{controllers}" if "=" in controllers else controllers or "rw"
                directory = str(Path(at).relative_to(_MOUNTS))
                yield Hierarchy(kind, named, directory, Path(at, own.lstrip("/")))
                break


class BootedRoot(Root):
    """A root whose systemd runs; commands are run beside it. It ends with the test's process."""

    def __init__(self, suite: str, at: Path) -> None:
        super().__init__(suite, at)
        of = hierarchies(suite)
        self._cgroups = [one.own / f"hotslot-{at.name}-{os.getpid()}" for one in of]
        self.log = at / "boot.log"
        self._unshare: subprocess.Popen[bytes] | None = None
        try:
            for cgroup in self._cgroups:
                cgroup.mkdir()
            names = " ".join(map(str, self._cgroups))
            with self.log.open("wb") as log:
                self._unshare = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", "sh", "-euc", _JOIN, str(_BOOT),
                     str(self.path), names, *map(str, of)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            eventually(self._is_up, BOOT_S, f"{suite} is up", self.log.read_text)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid1(self) -> int:
        """systemd's process id as the test sees it."""
        assert self._unshare is not None
        assert self._unshare.poll() is None, self.log.read_text()
        pid = self._unshare.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def _is_up(self) -> bool:
        try:
            # Before it has changed its root, a command would be the machine's.
            if not Path(f"/proc/{self.pid1}/root").samefile(self.path):
                return False
            asked = self.argv("systemctl", "is-system-running")
        except (IndexError, FileNotFoundError):
            return False
        answer = subprocess.run(asked, capture_output=True, text=True, check=False)
        return answer.stdout.strip() in {"running", "degraded"}

    def argv(self, *command: str) -> list[str]:
        """Return the command line that runs a command beside the root's systemd."""
        enter = ["nsenter", "-t", str(self.pid1), "-m", "-p", "-n", "-u", "-i", "-C", "-r", "-w"]
        return [*enter, "--", *command]

    def close(self) -> None:
        """Kill systemd, and with it all that runs in the root."""
        if self._unshare is not None and self._unshare.poll() is None:
            try:
                os.kill(self.pid1, signal.SIGKILL)
            except IndexError:
                self._unshare.kill()
            self._unshare.wait(timeout=60)
        for cgroup in self._cgroups:
            for directory, _, _ in os.walk(cgroup, topdown=False):
                eventually(partial(_removed, Path(directory)), 30, f"{directory} is empty")


def _removed(cgroup: Path) -> bool:
    """Remove a cgroup; its last process may need a moment to be gone."""
    try:
        cgroup.rmdir()
    except OSError:
        return not cgroup.exists()
    return True
