"""Cores that a job does not use start another one, and come back when their owner wants them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotslot.client import ask
from live.cluster import WINDOW_S, eventually
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


LENDING: dict[str, object] = {"risk": 1.0, "horizon_s": 10.0, "requeue_after_s": 25.0}
"""All that owners do not use now is lent: what is measured is how fast it goes and comes back."""


@pytest.fixture(scope="module")
def host() -> Iterator[CondorCluster]:
    """Four cores, with two workers of each scheduler."""
    hook_conf = "agent=10.77.0.1:8765\nagent_wait_s=30\n"
    with (
        Testbed(workers=2, condor_workers=2, vcpus=4, cores=CORES, hook_conf=hook_conf) as bed,
        CondorCluster(bed, agent_wait_s=30, host_cores=CORES, lending=LENDING) as cluster,
    ):
        (cluster.home() / "owner.sh").write_text(OWNER)
        (cluster.home() / "borrower.sh").write_text(BORROWER)
        yield cluster


class Job:
    """A job of either scheduler, with its marks."""

    def __init__(
        self, host: CondorCluster, scheduler: str, script: str, cpus: int, asks: bool = False
    ) -> None:
        self._host = host
        self._scheduler = scheduler
        self._mark = f"{script}-{time.time():.0f}"
        command = f"sh /home/alice/{script}.sh /home/alice/{self._mark}"
        if scheduler == "slurm":
            said = ["--comment=hotslot:elastic=no"] if asks else []
            self.number = host.sbatch(f"-c{cpus}", *said, wrap=command)
            self.job_id = self.number
        else:
            said = ["+HotslotElastic = False"] if asks else []
            self.number = host.submit(command, *said, cpus=cpus)
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

    @property
    def queued(self) -> bool:
        if self._scheduler == "slurm":
            return bool(self._host.squeue(self.number))
        return self._host.status_of(self.number) is not None

    @property
    def waits(self) -> bool:
        return not any(w["job"] == self.job_id for w in self._host.workers().values())


Start = Callable[..., Job]


@pytest.fixture
def start(host: CondorCluster) -> Iterator[Start]:
    """Starts jobs; what is left of them afterwards is ended, whatever became of the test."""
    jobs: list[Job] = []

    def start(*args: Any, **options: Any) -> Job:
        jobs.append(Job(host, *args, **options))
        return jobs[-1]

    yield start
    for job in jobs:
        if job.queued:
            job.end()
    host.wait_settled()


def promised(host: CondorCluster) -> int:
    """Return the CPUs that all schedulers may use together."""
    return sum(
        int(group["limit_cpus"]) for group in ask(host.socket, "/v1/status")["offers"]["groups"]
    )


@pytest.mark.timeout(500)
@pytest.mark.parametrize(
    ("owners", "borrowers"),
    [("slurm", "slurm"), ("htcondor", "htcondor"), ("slurm", "htcondor")],
)
def test_cores_are_lent_and_come_back(
    host: CondorCluster, start: Start, owners: str, borrowers: str, note: Callable[[str], None]
) -> None:
    """How long it may take is measured by an ordinary start where machines are slow."""
    submitted = time.monotonic()
    owner = start(owners, "owner", 4)
    eventually(lambda: owner.started, 120, "the owner starts", host.explain)
    plain_s = time.monotonic() - submitted
    assert owner.granted == 4
    borrower = start(borrowers, "borrower", 2)
    eventually(lambda: owner.granted <= 2, 60, "the owner shrinks", host.explain)
    assert not borrower.started, "it waits while the owner has all cores"
    shrunk = time.monotonic()
    eventually(lambda: promised(host) > CORES, 60, "cores are lent", host.explain)
    lent_s = time.monotonic() - shrunk
    eventually(lambda: borrower.started, 60, "the borrower starts", host.explain)
    started_s = time.monotonic() - shrunk
    assert borrower.granted == 2
    explained = host.hotslot("explain", borrower.job_id).stdout
    assert "lent by job" in explained, explained
    owner.tell("go")
    wanted = time.monotonic()
    eventually(lambda: owner.granted == 3, 30, "the owner has its due", host.explain)
    due_s = time.monotonic() - wanted
    eventually(lambda: borrower.granted == 1, 30, "the borrower has its floor", host.explain)
    owner.end()
    eventually(lambda: borrower.granted == 2, 30, "the borrower grows", host.explain)
    borrower.tell("end")
    note(
        f"owner in {owners}, borrower in {borrowers}, {CORES} cores: the borrower runs "
        f"{started_s:.1f} s after the owner's shrink: {lent_s:.1f} s until {borrowers} may use the "
        f"cores, the rest is its own; the owner has its due again in {due_s:.1f} s; "
        f"an ordinary start takes {plain_s:.1f} s"
    )
    assert started_s <= max(10, 3 * plain_s)
    assert due_s <= max(5, plain_s)


@pytest.mark.timeout(500)
@pytest.mark.parametrize("scheduler", ["slurm", "htcondor"])
def test_a_job_whose_owner_wants_it_so_keeps_its_request(
    host: CondorCluster, start: Start, scheduler: str
) -> None:
    job = start(scheduler, "owner", 3, asks=True)
    eventually(lambda: job.started, 120, "it starts", host.explain)
    until = time.monotonic() + 2 * WINDOW_S
    while time.monotonic() < until:
        assert job.granted == 3, host.explain()
        time.sleep(1)
    said = host.hotslot("job", job.number).stdout
    assert "keeps its request all the time, as its owner asked" in said


@pytest.mark.timeout(500)
@pytest.mark.parametrize("scheduler", ["slurm", "htcondor"])
def test_a_borrower_goes_back_into_the_queue_when_its_owner_stays_short(
    host: CondorCluster, start: Start, scheduler: str, note: Callable[[str], None]
) -> None:
    owner = start(scheduler, "owner", 4)
    eventually(lambda: owner.started, 120, "the owner starts", host.explain)
    borrower = start(scheduler, "borrower", 2)
    eventually(lambda: borrower.started, 90, "the borrower starts", host.explain)
    owner.tell("go")
    wanted = time.monotonic()
    eventually(lambda: borrower.waits, 120, "it is requeued", host.explain)
    eventually(lambda: owner.granted == 4, 60, "the owner has all", host.explain)
    took_s = time.monotonic() - wanted
    note(f"{scheduler}: an owner that stays short has its borrower's cores after {took_s:.0f} s")
    owner.end()
    first = host.leases(borrower.job_id)[0].lease.placement
    assert (first.run, first.outcome) == (0, {"slurm": "REQUEUED"}.get(scheduler, "EVICTED"))
    assert borrower.queued, "it starts again when its scheduler lets it"
