"""What is built for a testbed: the controller's root, the workers' image, their kernel."""

from __future__ import annotations

from pathlib import Path

from . import apt, progress
from .cache import Artifact

HERE = Path(__file__).parent
_RECIPES = HERE / "recipes"


def read_all(*paths: Path) -> str:
    """Return the text of a recipe's files, by which its artifact is keyed."""
    return "".join(f"== {path.name}\n{path.read_text()}" for path in paths)


def run_script(
    title: str, script: Path, into: Path, lock: int, *inputs: Path, niceness: int = 0
) -> None:
    """Run a recipe in namespaces of its own: what it mounts and starts ends with it.

    Its arguments are the directory to fill, Debian's mirror, the package to which it belongs and
    what else it reads.
    """
    log = into.parent / f"{title.replace(' ', '-')}.build.log"
    log.unlink(missing_ok=True)
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    shell = ["nice", "-n", str(niceness), *unshare, "--uts", "sh", "-eu", str(script)]
    arguments = [str(into), apt.mirror(), str(script.parents[1]), *map(str, inputs)]
    progress.run_logged(title, [*shell, *arguments], log, pass_fds=[lock])


def _build_ctl(into: Path, lock: int) -> None:
    run_script("controller root", _RECIPES / "ctl-root.sh", into, lock)


def _build_worker(into: Path, lock: int) -> None:
    run_script("worker image", _RECIPES / "worker-image.sh", into, lock)


def _build_kernel(into: Path, lock: int) -> None:
    apt.update_if_empty("linux-image-cloud-amd64")
    run_script("worker kernel", _RECIPES / "worker-kernel.sh", into, lock)


CTL_ROOT = Artifact(
    "ctl-root", read_all(_RECIPES / "ctl-root.sh", _RECIPES / "trixie.sh"), _build_ctl
)
WORKER_IMAGE = Artifact(
    "worker-image",
    read_all(
        _RECIPES / "worker-image.sh",
        _RECIPES / "trixie.sh",
        HERE / "guest" / "init",
        HERE / "guest" / "exec_server.py",
    ),
    _build_worker,
)
WORKER_KERNEL = Artifact(
    "worker-kernel",
    read_all(_RECIPES / "worker-kernel.sh", HERE / "guest" / "initramfs-init"),
    _build_kernel,
)
ALL = (WORKER_KERNEL, WORKER_IMAGE, CTL_ROOT)


def build_all() -> None:
    """Install what building needs and build what is missing."""
    if not all(artifact.path.is_dir() for artifact in ALL):
        apt.install_missing()
    for artifact in ALL:
        artifact.ensure()
