"""Build the testbed's artifacts, or bring a testbed up and give a shell in it."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType

from . import recipe
from .bed import Testbed
from .cache import cache_dir
from .errors import TestbedError
from .progress import say

_USE = """
A cluster hotslot with {workers} workers in namespaces of its own. This shell is where the agent
runs: this machine's files, the testbed's network and processes. Leave it to end everything.

  as_user alice sbatch --wrap hostname    a job; /home/alice is {home}/alice
  as_user root scontrol show nodes        Slurm's commands as the administrator
  in_worker w1 nproc                      a command in a worker, as root
  {root}
                                          the controller's root (chroot)
  {run}/w1.qmp
                                          the QMP socket of w1; its logs: {run}/share/log
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m testbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build roots, image and kernel unless they are cached")
    up = commands.add_parser("up", help="bring a testbed up and give a shell in it")
    up.add_argument("--workers", type=int, default=3, help="worker VMs (default 3)")
    up.add_argument("--vcpus", type=int, default=4, help="vCPUs a worker can have (default 4)")
    up.add_argument("--cores", type=int, default=8, help="cores of the host (default 8)")
    up.add_argument("--no-hooks", action="store_true", help="without Prolog and Epilog")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        if arguments.command == "build":
            recipe.build_all()
            say(f"all artifacts are in {cache_dir()}")
            return 0
        return _up(arguments)
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _terminate(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _up(arguments: argparse.Namespace) -> int:
    bed = Testbed(arguments.workers, arguments.vcpus, arguments.cores, hooks=not arguments.no_hooks)
    with bed:
        print(_USE.format(workers=arguments.workers, home=bed.home, root=bed.root, run=bed.path))
        shell = bed.popen_host(
            ["bash", "--rcfile", str(bed.write_shell_functions()), "-i"],
            stdin=sys.stdin,
            new_session=False,
        )
        while shell.poll() is None:
            try:
                shell.wait()
            except KeyboardInterrupt:
                continue  # the shell's to handle
    return 0


if __name__ == "__main__":
    sys.exit(main())
