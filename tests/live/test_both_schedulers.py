"""Slurm and HTCondor on one host: its cores are shared, and never promised twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from hotslot.model import Lease
from hotslot.record.history import History
from live.cluster import eventually
from live.condor_cluster import CondorCluster
from testbed import Testbed

CORES = 8
JOBS = 50
SEED = 4


@pytest.fixture(scope="module")
def both() -> Iterator[CondorCluster]:
    hook_conf = "agent=10.77.0.1:8765\nagent_wait_s=30\n"
    with (
        Testbed(workers=2, condor_workers=2, vcpus=4, cores=CORES, hook_conf=hook_conf) as bed,
        CondorCluster(bed, agent_wait_s=30, offers_s=2.0) as cluster,
    ):
        yield cluster


def promised(leases: list[Lease]) -> list[tuple[float, int]]:
    """Return how many CPUs were promised from each moment on, from when leases began and ended."""
    steps = [(lease.opened_at, lease.request) for lease in leases]
    steps += [(lease.closed_at, -lease.request) for lease in leases if lease.closed_at]
    total, found = 0, []
    for at, change in sorted(steps):
        total += change
        found.append((at, total))
    return found


@pytest.mark.timeout(1500)
def test_fifty_jobs_of_each_never_have_more_cores_than_there_are(
    both: CondorCluster, note: Callable[[str], None]
) -> None:
    chance = random.Random(SEED)
    order = ["slurm", "htcondor"] * JOBS
    chance.shuffle(order)
    slurm, condor = [], []
    for scheduler in order:
        cpus, seconds = chance.randint(1, 4), chance.uniform(0.5, 3)
        if scheduler == "slurm":
            slurm.append(both.sbatch(f"-c{cpus}", wrap=f"sleep {seconds:.1f}"))
        else:
            condor.append(both.submit(f"sleep {seconds:.1f}", cpus=cpus))

    def all_done() -> bool:
        left = both.bed.run(["squeue", "-h", "-o", "%i"], user="root").stdout.split()
        left += both.bed.run(["condor_q", "-allusers", "-af", "ClusterId"]).stdout.split()
        return not left

    eventually(all_done, 1300, "all jobs have ended", both.explain)
    both.wait_settled()
    with History(both.database) as history:
        leases = history.closed_leases(10_000)
    by_scheduler = {
        name: {lease.placement.job_id for lease in leases if lease.placement.scheduler == name}
        for name in ("slurm", "htcondor")
    }
    assert {name: len(jobs) for name, jobs in by_scheduler.items()} == {
        "slurm": JOBS,
        "htcondor": JOBS,
    }
    most = max(total for _, total in promised(leases))
    took = max(lease.closed_at or 0 for lease in leases) - min(le.opened_at for le in leases)
    note(f"50 jobs of each scheduler on 8 cores in {took:.0f} s; at most {most} promised at once")
    assert most <= CORES
    assert most > CORES // 2, "both schedulers ran at once"
