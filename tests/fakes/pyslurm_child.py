"""slurm_child with the fake pyslurm in a recorded scene: pyslurm_child.py SCENE.

Instead of a scene ``crash`` ends the process at the first question, ``hang`` answers none,
``babble`` answers nonsense, and ``exit`` ends it before it greets.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import fake_pyslurm

from hotslot_plugin import slurm_child


def main() -> None:
    how = sys.argv[1]
    if how == "exit":
        sys.exit("fatal: Could not establish a configuration source")
    if how in ("crash", "hang", "babble"):
        sys.stdout.write('{"version": "25.11.2"}\n')
        sys.stdout.flush()
        sys.stdin.readline()
        if how == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if how == "hang":
            time.sleep(600)
        sys.stdout.write("slurm_load_jobs: error\n")
        sys.exit(0)
    fake_pyslurm.show(Path(how))
    sys.modules["pyslurm"] = fake_pyslurm
    slurm_child.main()


if __name__ == "__main__":
    main()
