"""Cores that a job does not use start another one, and come back when their owner wants them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from live.cluster import eventually
from live.condor_cluster import CondorCluster
from testbed import Testbed

CORES = 4

# Uses one core until it is told to want all four.
OWNER = """
MARK=$1
touch $MARK-started
timeout 400 sh -c 'while :; do :; done' &
while [ ! -e $MARK-go ]; do sleep 0.2; done
for i in 2 3 4; do timeout 40 sh -c 'while :; do :; done' & done
sleep 40
kill %1
"""
BORROWER = """
MARK=$1
touch $MARK-started
for i in 1 2; do timeout 120 sh -c 'while :; do :; done' & done
while [ ! -e $MARK-end ]; do sleep 0.5; done
kill %1 %2
"""


@pytest.fixture(scope="module")
def host() -> Iterator[CondorCluster]:
    """Four cores, with two workers of each scheduler."""
    hook_conf = "agent=10.77.0.1:8765\nagent_wait_s=30\n"
    with (
        Testbed(workers=2, condor_workers=2, vcpus=4, cores=CORES, hook_conf=hook_conf) as bed,
        CondorCluster(bed, agent_wait_s=30, host_cores=CORES, lends=True, offers_s=2.0) as cluster,
    ):
        (cluster.home() / "owner.sh").write_text(OWNER)
        (cluster.home() / "borrower.sh").write_text(BORROWER)
        yield cluster


class Job:
    """A job of either scheduler, with its marks."""

    def __init__(self, host: CondorCluster, scheduler: str, script: str, cpus: int) -> None:
        self._host = host
        self._scheduler = scheduler
        self._mark = f"{script}-{time.time():.0f}"
        command = f"sh /home/alice/{script}.sh /home/alice/{self._mark}"
        if scheduler == "slurm":
            self.number = host.sbatch(f"-c{cpus}", wrap=command)
            self.job_id = self.number
        else:
            self.number = host.submit(command, cpus=cpus)
            self.job_id = f"{self.number}@{host.schedd}"

    def tell(self, what: str) -> None:
        (self._host.home() / f"{self._mark}-{what}").touch()

    @property
    def started(self) -> bool:
        return (self._host.home() / f"{self._mark}-started").exists()

    @property
    def granted(self) -> int:
        here = [w for w in self._host.workers().values() if w["job"] == self.job_id]
        return int(here[0]["granted_vcpus"]) if here else 0

    def end(self) -> None:
        if self._scheduler == "slurm":
            self._host.bed.run(["scancel", self.number])
            self._host.wait_gone(self.number)
        else:
            self._host.bed.run(["condor_rm", self.number], check=False)
            self._host.wait_left(self.number)


@pytest.mark.timeout(500)
@pytest.mark.parametrize(
    ("owners", "borrowers"),
    [("slurm", "slurm"), ("htcondor", "htcondor"), ("slurm", "htcondor")],
)
def test_cores_are_lent_and_come_back(
    host: CondorCluster, owners: str, borrowers: str, note: Callable[[str], None]
) -> None:
    owner = Job(host, owners, "owner", 4)
    eventually(lambda: owner.started, 120, "the owner starts", host.explain)
    assert owner.granted == 4
    borrower = Job(host, borrowers, "borrower", 2)
    eventually(lambda: owner.granted <= 2, 60, "the owner shrinks", host.explain)
    assert not borrower.started, "it waits while the owner has all cores"
    shrunk = time.monotonic()
    eventually(lambda: borrower.started, 60, "the borrower starts", host.explain)
    started_s = time.monotonic() - shrunk
    assert borrower.granted == 2
    owner.tell("go")
    wanted = time.monotonic()
    eventually(lambda: owner.granted == 3, 30, "the owner has its due", host.explain)
    due_s = time.monotonic() - wanted
    note(
        f"owner in {owners}, borrower in {borrowers}, {CORES} cores: the borrower runs "
        f"{started_s:.1f} s after the owner's shrink; the owner has its due again in {due_s:.1f} s"
    )
    assert borrower.granted == 1, "the borrower keeps its floor"
    owner.end()
    eventually(lambda: borrower.granted == 2, 30, "the borrower grows", host.explain)
    borrower.tell("end")
    borrower.end()
    host.wait_settled()
    assert started_s <= 10
    assert due_s <= 5
