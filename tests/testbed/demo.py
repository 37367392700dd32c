"""``make demo``: a Slurm cluster with elastic workers, and a job whose vCPUs follow its load.

Run as ``python -m testbed.demo``; ends with everything it started.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from live.cluster import Cluster, eventually
from testbed import Testbed
from testbed.progress import say

JOB = """#!/bin/sh
#SBATCH -J train -c4 -t10
phase() {
    echo "$1" > ~/phase
    for i in $(seq $2); do timeout $3 sh -c 'while :; do :; done' & done
    wait
}
phase 'load data: 4 threads' 4 25
phase 'train: 1 thread' 1 40
phase 'evaluate: 4 threads' 4 25
phase 'train on: 2 threads' 2 40
echo done > ~/phase
"""


def main() -> None:
    """Show one job from sbatch to its report."""
    say("starting a Slurm cluster with two worker VMs (emulated without KVM: be patient)")
    with Testbed(workers=2, vcpus=4, cores=8) as bed, Cluster(bed, agent_wait_s=60) as cluster:
        say("hotslot check")
        show(cluster, "check")
        (bed.home / "alice" / "job.sh").write_text(JOB)
        job = cluster.sbatch("job.sh")
        say(f"alice typed: sbatch job.sh   (job {job}, 4 CPUs)")
        phase = bed.home / "alice" / "phase"
        eventually(phase.exists, 120, "the job starts", cluster.explain)
        watch(cluster, job, phase)
        cluster.wait_gone(job)
        cluster.wait_settled()
        say(f"hotslot job {job}")
        show(cluster, "job", job)
        say("hotslot jobs")
        show(cluster, "jobs")


def watch(cluster: Cluster, job: str, phase: Path) -> None:
    """Print a line whenever the phase or the number of vCPUs changes."""
    began, before = time.monotonic(), ""
    while cluster.squeue(job) in ("RUNNING", "CONFIGURING"):
        here = next((w for w in cluster.workers().values() if w["job"] == job), None)
        doing = phase.read_text().strip()
        if here is not None:
            line = f"{doing:<22} {here['granted_vcpus']} vCPUs: {here['decision']}"
            key = f"{doing} {here['granted_vcpus']}"
            if key != before:
                say(f"{time.monotonic() - began:5.0f} s  {line}")
                before = key
        time.sleep(1)


def show(cluster: Cluster, *arguments: str) -> None:
    """Run a hotslot command as an administrator would, on this terminal."""
    width = str(os.get_terminal_size().columns) if sys.stdout.isatty() else "100"
    done = cluster.hotslot(*arguments, check=False, columns=width)
    print(done.stdout + done.stderr, flush=True)


if __name__ == "__main__":
    main()
