"""What users do with jobs: each scenario submits, waits, and returns the jobs that must be told of.

Run as they are, and again while the agent is killed at random.
"""

from __future__ import annotations

from collections.abc import Callable

from live.cluster import Cluster, eventually

Scenario = Callable[[Cluster], dict[str, str]]
"""Returns job id -> how Slurm must say it ended."""


def sbatch(cluster: Cluster) -> dict[str, str]:
    """Submit one job."""
    job = cluster.sbatch("-c2", wrap="nproc; sleep 2")
    cluster.wait_gone(job)
    assert cluster.bed.home.joinpath(f"alice/slurm-{job}.out").read_text().split() == ["2"]
    return {job: "COMPLETED"}


def srun_inside_sbatch(cluster: Cluster) -> dict[str, str]:
    """Run two steps inside a batch job."""
    job = cluster.sbatch("-c2", wrap="srun nproc; srun hostname")
    cluster.wait_gone(job)
    out = cluster.bed.home.joinpath(f"alice/slurm-{job}.out").read_text().split()
    assert out[0] == "2", out
    return {job: "COMPLETED"}


def array_of_six(cluster: Cluster) -> dict[str, str]:
    """Submit an array of six tasks, more than there are workers."""
    job = cluster.sbatch("--array=1-6", "-c2", wrap="sleep 1")
    cluster.wait_gone(job, 300)
    return {f"{job}_{task}": "COMPLETED" for task in range(1, 7)}


def two_workers(cluster: Cluster) -> dict[str, str]:
    """Run one job on two workers, each sized for its part."""
    job = cluster.sbatch("-N2", "-n2", "-c2", wrap="srun sh -c 'hostname; nproc'")
    cluster.wait_gone(job)
    out = cluster.bed.home.joinpath(f"alice/slurm-{job}.out").read_text().split()
    assert out.count("2") == 2, out
    assert len(cluster.leases(job)) == 2
    return {job: "COMPLETED"}


def heterogeneous(cluster: Cluster) -> dict[str, str]:
    """Run a heterogeneous job of two parts."""
    job = cluster.sbatch("-c1", ":", "-c3", wrap="srun --het-group=0,1 nproc; sleep 1")
    cluster.wait_gone(job)
    requests = sorted(row.lease.request for row in cluster.leases(job))
    assert requests == [1, 3], requests
    return {job: "COMPLETED"}


def cancelled_while_pending(cluster: Cluster) -> dict[str, str]:
    """Cancel a job that never started: it has no lease."""
    job = cluster.sbatch("-c2", "--hold", wrap="true")
    cluster.bed.run(["scancel", job])
    cluster.wait_gone(job)
    assert cluster.leases(job) == []
    return {}


def cancelled_while_starting(cluster: Cluster) -> dict[str, str]:
    """Cancel a job as soon as it has been placed, while its prolog runs."""
    job = cluster.sbatch("-c4", wrap="sleep 60")
    eventually(lambda: cluster.squeue(job) not in ("", "PENDING"), 60, "placed", cluster.explain)
    cluster.bed.run(["scancel", job])
    cluster.wait_gone(job)
    return {job: "CANCELLED"}


def cancelled_while_running(cluster: Cluster) -> dict[str, str]:
    """Cancel a running job."""
    job = cluster.sbatch("-c4", wrap="touch ~/started-$SLURM_JOB_ID; sleep 60")
    started = cluster.bed.home / "alice" / f"started-{job}"
    eventually(started.exists, 90, "the job runs", cluster.explain)
    cluster.bed.run(["scancel", job])
    cluster.wait_gone(job)
    return {job: "CANCELLED"}


def cancelled_while_ending(cluster: Cluster) -> dict[str, str]:
    """Cancel a job that has just ended."""
    job = cluster.sbatch("-c2", wrap="true")
    eventually(lambda: cluster.squeue(job) in ("COMPLETING", ""), 90, "it ends", cluster.explain)
    cluster.bed.run(["scancel", job], check=False)
    cluster.wait_gone(job)
    return {job: "COMPLETED"}


def requeued(cluster: Cluster) -> dict[str, str]:
    """Requeue a running job: each run is a lease of its own."""
    first = "touch ~/run-$SLURM_JOB_ID-0; sleep 600"
    script = f'[ "$SLURM_RESTART_COUNT" ] || {{ {first}; }}; touch ~/run-$SLURM_JOB_ID-1; sleep 4'
    job = cluster.sbatch("-c2", "--requeue", wrap=script)
    home = cluster.bed.home / "alice"
    eventually((home / f"run-{job}-0").exists, 90, "the first run", cluster.explain)
    cluster.bed.run(["scontrol", "requeue", job], user="root")
    eventually(lambda: cluster.squeue(job) == "PENDING", 60, "it is requeued", cluster.explain)
    # Slurm lets a requeued job wait for two minutes; the administrator need not. But slurmd counts
    # in seconds: a job that starts in the second in which its first run was killed is "already
    # killed, do not launch", and fails.
    cluster.bed.run(["scontrol", "update", f"jobid={job}", "starttime=now+3"], user="root")
    eventually((home / f"run-{job}-1").exists, 200, "the second run", cluster.explain)
    cluster.wait_gone(job)
    assert len(cluster.leases(job)) == 2
    return {job: "COMPLETED"}


def failing(cluster: Cluster) -> dict[str, str]:
    """Run a job that fails."""
    job = cluster.sbatch("-c2", wrap="exit 3")
    cluster.wait_gone(job)
    return {job: "FAILED"}


def beyond_its_time(cluster: Cluster) -> dict[str, str]:
    """Run a job into its time limit of one minute."""
    job = cluster.sbatch("-c2", "-t1", wrap="sleep 600")
    cluster.wait_gone(job, 240)
    return {job: "TIMEOUT"}


def not_to_be_requeued(cluster: Cluster) -> dict[str, str]:
    """Run a job with --no-requeue."""
    job = cluster.sbatch("-c2", "--no-requeue", wrap="sleep 1")
    cluster.wait_gone(job)
    return {job: "COMPLETED"}


def same_second(cluster: Cluster) -> dict[str, str]:
    """Submit two jobs in the same second."""
    jobs = [cluster.sbatch("-c2", wrap="sleep 1") for _ in range(2)]
    for job in jobs:
        cluster.wait_gone(job)
    return dict.fromkeys(jobs, "COMPLETED")


def twenty_short_ones(cluster: Cluster) -> dict[str, str]:
    """Run 20 jobs of one second."""
    jobs = [cluster.sbatch("-n1", wrap="sleep 1") for _ in range(20)]
    for job in jobs:
        cluster.wait_gone(job, 400)
    return dict.fromkeys(jobs, "COMPLETED")


ALL: list[Scenario] = [
    sbatch,
    srun_inside_sbatch,
    array_of_six,
    two_workers,
    heterogeneous,
    cancelled_while_pending,
    cancelled_while_starting,
    cancelled_while_running,
    cancelled_while_ending,
    requeued,
    failing,
    beyond_its_time,
    not_to_be_requeued,
    same_second,
    twenty_short_ones,
]


def check_history(cluster: Cluster, ended: dict[str, str]) -> None:
    """Each job has closed leases that tell of it, with the outcome that Slurm gave it."""
    cluster.wait_settled()
    for job, state in ended.items():
        assert cluster.state(job).split()[0] == state, (job, cluster.state(job))
        rows = cluster.leases(job)
        assert rows or state == "CANCELLED", f"job {job} left no lease\n{cluster.explain()}"
        for row in rows:
            assert row.lease.closed_at is not None
            assert row.lease.placement.user == "alice"
            assert row.lease.totals.held_core_s >= 0
        if rows:
            assert rows[-1].lease.placement.outcome.startswith(state), rows[-1]
