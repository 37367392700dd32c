"""``make demo``: Slurm and HTCondor with elastic workers on one host, and a job of each.

Run as ``python -m testbed.demo``; ends with everything it started.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from live.cluster import eventually
from live.condor_cluster import RESULTS, CondorCluster
from testbed import Testbed
from testbed.progress import say

JOB = """#!/bin/sh
#SBATCH -J train -c4 -t10
phase() {
    echo "$1" > "$HOME/$NAME"
    for i in $(seq $2); do timeout $3 sh -c 'while :; do :; done' & done
    wait
}
NAME=phase.${SLURM_JOB_ID:-condor} HOME=${HOME:-/home/alice}
phase 'load data: 4 threads' 4 20
phase 'train: 1 thread' 1 40
phase 'evaluate: 4 threads' 4 20
echo done > "$HOME/$NAME"
"""

SUBMIT = """\
executable = job.sh
transfer_executable = false
should_transfer_files = no
environment = "HOME=/home/alice"
output = job.out
error = job.err
log = job.log
request_cpus = 3
request_memory = 64
request_disk = 1M
queue
"""


def main() -> None:
    """Show two jobs, from sbatch and condor_submit to their reports."""
    say("starting Slurm and HTCondor with a worker VM each (emulated without KVM: be patient)")
    with (
        Testbed(workers=1, condor_workers=1, vcpus=4, cores=8) as bed,
        CondorCluster(bed, agent_wait_s=60) as cluster,
    ):
        say("hotslot check")
        show(cluster, "check")
        home = bed.home / "alice"
        (home / "job.sh").write_text(JOB)
        (home / "job.sh").chmod(0o755)
        slurm = cluster.sbatch("job.sh")
        say(f"alice typed: sbatch job.sh         (job {slurm}, 4 CPUs)")
        condor = bed.condor_submit(SUBMIT)
        say(f"alice typed: condor_submit job.sub (job {condor}, 3 CPUs)")
        phases = {"slurm": home / f"phase.{slurm}", "htcondor": home / "phase.condor"}
        for name, phase in phases.items():
            eventually(phase.exists, 180, f"the {name} job starts", cluster.explain)
        watch(cluster, phases)
        cluster.wait_gone(slurm)
        cluster.wait_left(condor)
        cluster.wait_settled()
        for job in (slurm, f"{condor}@{cluster.schedd}"):
            say(f"hotslot job {job}")
            show(cluster, "job", job)
        say("hotslot jobs")
        show(cluster, "jobs")
        say(f"condor_history {condor} -af {' '.join(RESULTS)}")
        say(" ".join(cluster.ask_history(condor, *RESULTS)))


def watch(cluster: CondorCluster, phases: dict[str, Path]) -> None:
    """Print a line whenever a job's phase or number of vCPUs changes, until both are done."""
    began = time.monotonic()
    before: dict[str, tuple[str, int]] = {}
    schedulers = {"w1": "slurm", "c1": "htcondor"}
    while any(phase.read_text().strip() != "done" for phase in phases.values()):
        for name, worker in cluster.workers().items():
            scheduler = schedulers[name]
            doing, granted = phases[scheduler].read_text().strip(), worker["granted_vcpus"]
            if worker["job"] and before.get(scheduler) != (doing, granted):
                before[scheduler] = (doing, granted)
                passed = time.monotonic() - began
                words = f"{doing:<22} {granted} vCPUs: {worker['decision']}"
                say(f"{passed:5.0f} s  {scheduler:<9} {words}")
        time.sleep(1)


def show(cluster: CondorCluster, *arguments: str) -> None:
    """Run a hotslot command as an administrator would, on this terminal."""
    width = str(os.get_terminal_size().columns) if sys.stdout.isatty() else "100"
    done = cluster.hotslot(*arguments, check=False, columns=width)
    print(done.stdout + done.stderr, flush=True)


if __name__ == "__main__":
    main()
