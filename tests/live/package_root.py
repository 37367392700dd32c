"""Small Debians in which packages are installed and removed: copies, thrown away after a test."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

from testbed import apt
from testbed.cache import Artifact
from testbed.recipe import read_all, run_script

TREE = Path(__file__).parents[2]
_RECIPE = TREE / "tests/packaging/clean-root.sh"
SUITES = ("bookworm", "trixie")
_ENTER = """
mount --make-rprivate / && mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev"
cd / && exec chroot "$0" "$@"
"""
_LEAVES = ("/var/lib/dpkg/", "/var/log/", "/var/cache/", "/tmp/", "/proc", "/dev", "/etc/.pwd.lock")
"""Where a package manager leaves traces of its own."""
_BACKUPS = {f"/etc/{name}-" for name in ("passwd", "shadow", "group", "gshadow")}
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def clean_root(suite: str) -> Artifact:
    """Return the artifact with the root file system of a Debian without hotslot."""

    def build(into: Path, lock: int) -> None:
        apt.install_missing()
        run_script(f"clean {suite} root", _RECIPE, into, lock, Path(suite))

    return Artifact(f"clean-{suite}", read_all(_RECIPE), build)


class Root:
    """A copy of a clean root; what runs in it sees its own processes and no network."""

    def __init__(self, suite: str, at: Path) -> None:
        self.path = at / suite
        with clean_root(suite).in_use() as artifact:
            copy = ["cp", "-a", "--reflink=auto", f"{artifact}/root", str(self.path)]
            subprocess.run(copy, check=True)

    def argv(self, *command: str) -> list[str]:
        """Return the command line that runs a command in the root."""
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--ipc"]
        return [*apart, "sh", "-euc", _ENTER, str(self.path), *command]

    def run(
        self, *command: str, code: int = 0, within_s: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, which must end with this exit code."""
        done = subprocess.run(
            self.argv(*command),
            capture_output=True,
            text=True,
            check=False,
            timeout=within_s,
            env={"PATH": PATH, "HOME": "/root", "TERM": "dumb", "LC_ALL": "C.UTF-8"},
        )
        said = f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == code, said
        return done

    def install(self, *packages: Path) -> str:
        """Install .deb files; their dependencies are there."""
        for package in packages:
            shutil.copy(package, self.path / "var/cache")
        names = [f"/var/cache/{package.name}" for package in packages]
        return self.run("dpkg", "--install", *names).stdout

    def files(self) -> dict[str, str]:
        """Return what there is but a package manager's own, with what distinguishes it."""
        look = ["find", "/", "-xdev", "-printf", r"%p\t%y %m %U:%G %l\n"]
        lines = self.run(*look).stdout.splitlines()
        return {
            name: kind
            for name, kind in (line.split("\t", 1) for line in lines)
            if not name.startswith(_LEAVES) and name not in _BACKUPS and "/__pycache__" not in name
        }


def build(into: Path, *packages: str) -> Path:
    """Build packages, as `make deb` and `make rpm` do; return the directory with copies of them.

    One build at a time: it replaces what is in dist/.
    """
    with (TREE / "packaging/build.sh").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        script = ["sh", "packaging/build.sh", *packages]
        subprocess.run(script, cwd=TREE, check=True, stdin=subprocess.DEVNULL)
        shutil.copytree(TREE / "dist", into, dirs_exist_ok=True)
    return into


def with_higher_version(package: Path, into: Path) -> Path:
    """Return the same package with a version that is an upgrade."""
    tree = into / "unpacked"
    subprocess.run(["dpkg-deb", "-R", str(package), str(tree)], check=True)
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines()
    changed = [f"{line}.1" if line.startswith("Version:") else line for line in lines]
    control.write_text("\n".join(changed) + "\n")
    higher = into / f"higher-{package.name}"
    subprocess.run(["dpkg-deb", "-Zzstd", "-z1", "-b", str(tree), str(higher)], check=True)
    shutil.rmtree(tree)
    return higher
