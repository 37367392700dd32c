"""Build the testbed's artifacts, or bring a testbed up and give a shell in it."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from types import FrameType

from . import guest_exec, recipe
from .bed import Testbed
from .cache import cache_dir
from .errors import TestbedError
from .network import condor_seat, slurm_seat
from .progress import say

_USE = """
A cluster hotslot with the workers {workers} in namespaces of its own. This shell is where the agent
runs: this machine's files, the testbed's network and processes. Leave it to end everything.

  as_user alice sbatch --wrap hostname    a job; /home/alice is {home}/alice
  as_user root scontrol show nodes        Slurm's commands as the administrator
  in_worker w1 nproc                      a command in a worker, as root
  {root}
                                          the controller's root (chroot)
  {run}/w1.qmp
                                          the QMP socket of w1; its logs: {run}/share/log
"""
_USE_CONDOR = """\
  as_user alice condor_submit job.sub     a job of HTCondor; condor_q, condor_status likewise
  in_worker c1 condor_who                 what runs in a worker of HTCondor
  CONDOR_CONFIG={config}
                                          for htcondor2 in this shell: hotslot's own identity
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m testbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build roots, image and kernel unless they are cached")
    up = commands.add_parser("up", help="bring a testbed up and give a shell in it")
    up.add_argument("--workers", type=int, default=3, help="worker VMs (default 3)")
    up.add_argument(
        "--condor-workers", type=int, default=0, help="HTCondor's worker VMs (default 0)"
    )
    up.add_argument("--vcpus", type=int, default=4, help="vCPUs a worker can have (default 4)")
    up.add_argument("--cores", type=int, default=8, help="cores of the host (default 8)")
    up.add_argument("--no-hooks", action="store_true", help="without Prolog and Epilog")
    in_worker = commands.add_parser("in-worker", help="in a testbed's shell: run in a worker")
    in_worker.add_argument("worker", help="w1, w2, …")
    in_worker.add_argument("argv", nargs=argparse.REMAINDER, help="the command")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        if arguments.command == "build":
            recipe.build_all()
            say(f"all artifacts are in {cache_dir()}")
            return 0
        if arguments.command == "in-worker":
            return _in_worker(arguments.worker, arguments.argv)
        return _up(arguments)
    except (TestbedError, OSError) as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _terminate(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _in_worker(name: str, argv: list[str]) -> int:
    seat = (condor_seat if name.startswith("c") else slurm_seat)(int(name[1:]))
    connection = socket.create_connection((seat.address, guest_exec.PORT), timeout=10)
    done = guest_exec.execute(connection, argv, timeout=3600, input=None)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


def _up(arguments: argparse.Namespace) -> int:
    bed = Testbed(
        arguments.workers,
        arguments.vcpus,
        arguments.cores,
        condor_workers=arguments.condor_workers,
        hooks=not arguments.no_hooks,
    )
    with bed:
        names = [worker.name for worker in (*bed.workers, *bed.condor_workers)]
        print(_USE.format(workers=", ".join(names), home=bed.home, root=bed.root, run=bed.path))
        if bed.condor_workers:
            print(_USE_CONDOR.format(config=bed.condor_config))
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
