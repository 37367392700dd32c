"""What is built for VirtualBox: its root, a guest, and what is needed to make them."""

from __future__ import annotations

from pathlib import Path

from testbed import apt
from testbed.cache import Artifact
from testbed.recipe import read_all, run_script

_HERE = Path(__file__).parent
_RECIPES = _HERE / "recipes"
_NICENESS = 10


def _script(title: str, script: str, into: Path, lock: int, *inputs: Path) -> None:
    run_script(title, _RECIPES / script, into, lock, *inputs, niceness=_NICENESS)


def _build_tools(into: Path, lock: int) -> None:
    _script("build root", "build-root.sh", into, lock)


def _build_kernel(into: Path, lock: int) -> None:
    with TOOLS.in_use() as tools:
        _script("guest kernel", "kernel.sh", into, lock, tools / "root")


def _build_guest(into: Path, lock: int) -> None:
    with TOOLS.in_use() as tools, KERNEL.in_use() as kernel:
        _script("guest image", "guest.sh", into, lock, tools / "root", kernel)


def _build_root(into: Path, lock: int) -> None:
    with TOOLS.in_use() as tools:
        _script("virtualbox root", "root.sh", into, lock, tools / "root")


TOOLS = Artifact(
    "vbox-build-root", read_all(_RECIPES / "build-root.sh", _RECIPES / "sid.sh"), _build_tools
)
KERNEL = Artifact(
    "vbox-kernel", read_all(_RECIPES / "kernel.sh", _HERE / "guest/kernel.config"), _build_kernel
)
GUEST = Artifact(
    "vbox-guest",
    KERNEL.recipe
    + read_all(
        _RECIPES / "guest.sh",
        _HERE / "guest/init",
        _HERE / "guest/vboxservice",
        _HERE / "guest/announce.c",
        _HERE / "guest/onliner.c",
    ),
    _build_guest,
)
ROOT = Artifact(
    "vbox-root",
    read_all(_RECIPES / "root.sh", _RECIPES / "sid.sh", _HERE / "host/headless.c"),
    _build_root,
)
ALL = (ROOT, GUEST)


def build_all() -> None:
    """Install what building needs and build what is missing; the guest's kernel takes minutes."""
    if not all(artifact.path.is_dir() for artifact in ALL):
        apt.install_missing()
    for artifact in ALL:
        artifact.ensure()
