"""What users do with HTCondor jobs: each scenario submits, waits, and returns how its jobs ended.

Run as they are, and again while daemons are killed.
"""

from __future__ import annotations

from collections.abc import Callable

from hotslot.model import CloseReason
from live.cluster import eventually
from live.condor_cluster import HELD, IDLE, RESULTS, RUNNING, SUSPENDED, CondorCluster

Scenario = Callable[[CondorCluster], dict[str, str]]
"""Returns job -> the outcome of its last run; '' for a job that never had a lease."""

MARK = "touch started.$(Cluster).$(Process)"


def vanilla(cluster: CondorCluster) -> dict[str, str]:
    """Run one job; it has the CPUs it asked for, and so do libraries that ask for threads."""
    job = cluster.submit("nproc; echo $OMP_NUM_THREADS; whoami; sleep 2", cpus=3)
    cluster.wait_left(job)
    said = (cluster.home() / f"out.{job}").read_text().split()
    assert said == ["3", "3", "alice"], said
    return {job: "COMPLETED"}


def queue_20(cluster: CondorCluster) -> dict[str, str]:
    """Submit twenty short jobs in one cluster, many more than there are workers."""
    first = cluster.submit("sleep 1", "queue 20", cpus=1)
    name = first.partition(".")[0]
    jobs = [f"{name}.{proc}" for proc in range(20)]
    for job in jobs:
        cluster.wait_left(job, 600)
    return dict.fromkeys(jobs, "COMPLETED")


def late_materialisation(cluster: CondorCluster) -> dict[str, str]:
    """Let the schedd make five jobs, two at a time."""
    first = cluster.submit("sleep 1", "max_materialize = 2", "queue 5", cpus=1)
    name = first.partition(".")[0]
    jobs = [f"{name}.{proc}" for proc in range(5)]
    for job in jobs:
        cluster.wait_left(job, 300)
    return dict.fromkeys(jobs, "COMPLETED")


def dag_of_three(cluster: CondorCluster) -> dict[str, str]:
    """Run a DAG: A before B and C."""
    home = cluster.home()
    (home / "node.sub").write_text(
        "executable = /bin/sh\narguments = \"-c 'echo $(node) >>dag.order; sleep 1'\"\n"
        "transfer_executable = false\nshould_transfer_files = no\ninitialdir = /home/alice\n"
        "log = dag.log\nrequest_cpus = 1\nrequest_memory = 32\nrequest_disk = 1M\nqueue\n"
    )
    nodes = "".join(f'JOB {n} node.sub\nVARS {n} node="{n}"\n' for n in "ABC")
    (home / "three.dag").write_text(nodes + "PARENT A CHILD B C\n")
    (home / "dag.order").unlink(missing_ok=True)
    cluster.bed.run(["condor_submit_dag", "-f", "three.dag"])
    dagman = cluster.bed.run(["condor_q", "-af:j", "DAGManJobId"]).stdout.split()[0]
    cluster.wait_left(dagman, 400)
    assert (home / "dag.order").read_text().split()[0] == "A"
    assert sorted((home / "dag.order").read_text().split()) == ["A", "B", "C"]
    number = int(dagman.partition(".")[0])
    return {f"{number + n}.0": "COMPLETED" for n in (1, 2, 3)}


def file_transfer(cluster: CondorCluster) -> dict[str, str]:
    """Send a file to the worker and get one back."""
    (cluster.home() / "input.txt").write_text("two words\n")
    job = cluster.submit(
        "wc -w <input.txt >count.txt; pwd",
        "should_transfer_files = yes",
        "when_to_transfer_output = on_exit",
        "transfer_input_files = input.txt",
        "transfer_output_files = count.txt",
    )
    cluster.wait_left(job)
    assert (cluster.home() / "count.txt").read_text().split() == ["2"]
    assert "execute" in (cluster.home() / f"out.{job}").read_text()
    return {job: "COMPLETED"}


def held_and_released(cluster: CondorCluster) -> dict[str, str]:
    """Hold a running job and release it: two leases, whose figures add up in its ad."""
    script = f"if [ -e started.$(Cluster).$(Process) ]; then sleep 2; else {MARK}; sleep 600; fi"
    job = cluster.submit(script)
    cluster.wait_file(f"started.{job}")
    cluster.act("condor_hold", job)
    cluster.wait_status(job, HELD)
    eventually(
        lambda: cluster.leases_of(job)[0].lease.closed_at,
        90,
        "the lease is closed",
        cluster.explain,
    )
    first = cluster.leases_of(job)[0].lease
    assert (first.close_reason, first.placement.outcome) == (CloseReason.REQUEUED, "HELD")
    eventually(
        lambda: abs(cluster.results(job).get(RESULTS[1], 0) - first.totals.held_core_s) < 0.1,
        60,
        "the held job's ad has the figures of its run",
        lambda: f"{cluster.results(job)} {first}",
    )
    cluster.act("condor_release", job)
    cluster.wait_left(job)
    assert len(cluster.leases_of(job)) == 2
    return {job: "COMPLETED"}


def removed_while_idle(cluster: CondorCluster) -> dict[str, str]:
    """Remove a job that cannot start: it has no lease."""
    job = cluster.submit("true", "requirements = false")
    cluster.act("condor_rm", job)
    cluster.wait_left(job)
    return {job: ""}


def removed_while_starting(cluster: CondorCluster) -> dict[str, str]:
    """Remove a job as soon as it has been placed, while its hook runs."""
    job = cluster.submit("sleep 60", cpus=4)
    eventually(lambda: cluster.status_of(job) == RUNNING, 90, "it is placed", cluster.explain)
    cluster.act("condor_rm", job)
    cluster.wait_left(job)
    return {job: "REMOVED"} if cluster.leases_of(job) else {job: ""}


def removed_while_running(cluster: CondorCluster) -> dict[str, str]:
    """Remove a running job: its figures are in the history."""
    job = cluster.submit(f"{MARK}; sleep 600")
    cluster.wait_file(f"started.{job}")
    cluster.act("condor_rm", job)
    cluster.wait_left(job)
    return {job: "REMOVED"}


def removed_while_ending(cluster: CondorCluster) -> dict[str, str]:
    """Remove a job whose processes have just ended."""
    job = cluster.submit(f"sleep 1; {MARK}")
    cluster.wait_file(f"started.{job}")
    cluster.bed.run(["condor_rm", job], check=False)
    cluster.wait_left(job)
    cluster.wait_settled()
    ended = cluster.leases_of(job)
    return {job: ended[-1].lease.placement.outcome if ended else ""}


def suspended_and_continued(cluster: CondorCluster) -> dict[str, str]:
    """Suspend a busy job: its worker shrinks to the floor; at continue it has its request again."""
    burn = "for i in 1 2 3 4; do timeout 300 sh -c ''while :; do :; done'' & done; wait"
    job = cluster.submit(f"{MARK}; {burn}", cpus=4)
    cluster.wait_file(f"started.{job}")
    worker = cluster.leases_of(job)[0].lease.placement.worker
    cluster.act("condor_suspend", job)
    cluster.wait_status(job, SUSPENDED)
    eventually(
        lambda: cluster.workers()[worker]["granted_vcpus"] == 1, 60, "it shrinks", cluster.explain
    )
    cluster.act("condor_continue", job)
    eventually(
        lambda: cluster.workers()[worker]["granted_vcpus"] == 4, 60, "it is back", cluster.explain
    )
    cluster.act("condor_rm", job)
    cluster.wait_left(job)
    return {job: "REMOVED"}


def vacated(cluster: CondorCluster) -> dict[str, str]:
    """Vacate a running job: it runs again, as another lease."""
    script = f"if [ -e started.$(Cluster).$(Process) ]; then sleep 2; else {MARK}; sleep 600; fi"
    job = cluster.submit(script)
    cluster.wait_file(f"started.{job}")
    cluster.act("condor_vacate_job", job)
    cluster.wait_left(job)
    leases = cluster.leases_of(job)
    assert [row.lease.placement.run for row in leases] == [0, 1], leases
    assert leases[0].lease.placement.outcome == "EVICTED", leases
    return {job: "COMPLETED"}


def ended_by_a_signal(cluster: CondorCluster) -> dict[str, str]:
    """Run a job that kills itself."""
    job = cluster.submit("kill -9 $$")
    cluster.wait_left(job)
    (row,) = cluster.leases_of(job)
    eventually(lambda: cluster.leases_of(job)[0].lease.closed_at, 90, "closed", cluster.explain)
    (row,) = cluster.leases_of(job)
    assert row.lease.placement.exit_code.endswith(":9"), row
    return {job: "COMPLETED"}


def failing(cluster: CondorCluster) -> dict[str, str]:
    """Run a job that fails."""
    job = cluster.submit("exit 3")
    cluster.wait_left(job)
    eventually(lambda: cluster.leases_of(job)[0].lease.closed_at, 90, "closed", cluster.explain)
    (row,) = cluster.leases_of(job)
    assert row.lease.placement.exit_code == "3:0", row
    return {job: "COMPLETED"}


def never_matching(cluster: CondorCluster) -> dict[str, str]:
    """Submit a job that no worker can take: it waits, and others start meanwhile."""
    giant = cluster.submit("true", cpus=64)
    job = cluster.submit("sleep 1")
    cluster.wait_left(job)
    assert cluster.status_of(giant) == IDLE
    cluster.act("condor_rm", giant)
    cluster.wait_left(giant)
    return {giant: "", job: "COMPLETED"}


ALL: list[Scenario] = [
    vanilla,
    queue_20,
    late_materialisation,
    dag_of_three,
    file_transfer,
    held_and_released,
    removed_while_idle,
    removed_while_starting,
    removed_while_running,
    removed_while_ending,
    suspended_and_continued,
    vacated,
    ended_by_a_signal,
    failing,
    never_matching,
]


def check_history(cluster: CondorCluster, ended: dict[str, str]) -> None:
    """Each job has closed leases that tell of it, and its ad has their figures."""
    cluster.wait_settled()
    for job, outcome in ended.items():
        rows = cluster.leases_of(job)
        assert bool(rows) == bool(outcome), f"job {job} left {len(rows)} leases"
        for row in rows:
            assert row.lease.closed_at is not None
            assert row.lease.placement.user == "alice"
        if not rows:
            continue
        assert rows[-1].lease.placement.outcome == outcome, rows[-1]
        results = cluster.results(job)
        assert results.keys() == set(RESULTS), (job, results)
        held = sum(row.lease.totals.held_core_s for row in rows)
        used = sum(row.lease.totals.used_core_s for row in rows)
        assert abs(results["HotslotHeldCoreSeconds"] - held) <= 0.01 * held + 0.1, (results, rows)
        assert abs(results["HotslotUsedCoreSeconds"] - used) <= 0.01 * used + 0.1, (results, rows)
        assert results["HotslotRequestedCpus"] == rows[-1].lease.request
