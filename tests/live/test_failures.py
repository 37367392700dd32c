"""What a failure does: what DESIGN says, and a clear message. Each test mends what it broke."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from hotslot.model import CloseReason, EventResult
from hotslot.record.history import History
from live.cluster import Cluster, eventually

LONG = "touch ~/started-$SLURM_JOB_ID; sleep 600"


def started(cluster: Cluster, *arguments: str, wrap: str = LONG) -> tuple[str, str]:
    """Start a long job; return its id and its worker."""
    job = cluster.sbatch(*arguments, wrap=wrap)
    mark = cluster.bed.home / "alice" / f"started-{job}"
    eventually(mark.exists, 120, f"job {job} runs", cluster.explain)
    return job, cluster.leases(job)[0].lease.placement.worker


def poke(cluster: Cluster, *fields: str) -> str:
    """Send a poke from inside the testbed's network, as a guest could; return the answer."""
    script = (
        "import sys, urllib.request as u, urllib.error as e\n"
        "try: a = u.urlopen('http://10.77.0.1:8765/v1/poke', sys.argv[1].encode(), 15)\n"
        "except e.HTTPError as error: a = error\n"
        "print(a.status, a.read().decode())"
    )
    worker = cluster.bed.worker("w3")
    return worker.exec(["python3", "-c", script, "&".join(fields)], timeout=60).stdout


@pytest.mark.timeout(300)
def test_a_killed_vm_loses_its_lease_and_its_job_runs_again(cluster: Cluster) -> None:
    job, name = started(cluster, "-c3", "--requeue")
    worker = cluster.bed.worker(name)
    worker.kill()
    eventually(
        lambda: cluster.leases(job)[0].lease.close_reason is CloseReason.LOST,
        30,
        "the lease is closed as lost",
        cluster.explain,
    )
    assert not cluster.workers()[name]["up"]
    worker.start()
    eventually(lambda: cluster.workers()[name]["up"], 60, "the agent adopts it", cluster.explain)
    eventually(lambda: cluster.squeue(job) in ("PENDING", "RUNNING"), 90, "requeued")
    cluster.bed.run(["scancel", job])
    cluster.wait_gone(job)
    cluster.wait_settled(150)


@pytest.mark.timeout(300)
def test_a_vm_that_hangs_delays_no_other_worker(cluster: Cluster) -> None:
    """A stopped QEMU answers nothing: its action times out, another worker is sized at once."""
    job, _ = started(cluster, "-c4", "-w", "w1", wrap=LONG)
    os.kill(cluster.bed.worker("w1").outer_pid, signal.SIGSTOP)
    try:
        eventually(lambda: cluster.workers()["w1"]["busy"], 40, "w1 is to shrink", cluster.explain)
        began = time.monotonic()
        other, _ = started(cluster, "-c4", "-w", "w2")
        assert cluster.leases(other)[0].roll_up.applied == 1
        assert time.monotonic() - began < 15
        eventually(lambda: not cluster.workers()["w1"]["busy"], 30, "the attempt ends")
    finally:
        os.kill(cluster.bed.worker("w1").outer_pid, signal.SIGCONT)
    eventually(lambda: cluster.workers()["w1"]["granted_vcpus"] == 1, 90, "w1 shrinks after all")
    with History(cluster.database) as history:
        events = history.events(cluster.leases(job)[0].lease.id)
    assert {event.result for event in events} >= {EventResult.APPLIED, EventResult.TIMED_OUT}
    assert all(event.took_s <= 15.5 for event in events), events
    cluster.bed.run(["scancel", job, other])
    for one in (job, other):
        cluster.wait_gone(one)
    cluster.wait_settled(120)


def test_a_killed_slurmd_changes_nothing_for_the_job(cluster: Cluster) -> None:
    job, name = started(cluster, "-c2")
    cluster.bed.worker(name).kill_slurmd()
    cluster.bed.worker(name).start_slurmd()
    assert len(cluster.leases(job)) == 1
    assert cluster.leases(job)[0].lease.closed_at is None
    cluster.bed.run(["scancel", job])
    cluster.wait_gone(job)
    cluster.wait_settled(120)


def test_a_killed_slurmctld_stops_no_scaling(cluster: Cluster) -> None:
    job, name = started(cluster, "-c4")
    cluster.bed.kill_slurmctld()
    try:
        eventually(
            lambda: cluster.workers()[name]["granted_vcpus"] == 1, 60, "it shrinks all the same"
        )
        assert cluster.leases(job)[0].lease.closed_at is None
    finally:
        cluster.bed.start_slurmctld()
    eventually(lambda: cluster.squeue(job) == "RUNNING", 60, "the job is still there")
    cluster.bed.run(["scancel", job])
    cluster.wait_gone(job)
    cluster.wait_settled(120)


@pytest.mark.timeout(420)
def test_a_stopped_agent_fails_the_prolog_and_resumes_the_node(cluster: Cluster) -> None:
    """Without an answer the prolog gives up; the node that Slurm drained for it is resumed."""
    cluster.signal_agent(signal.SIGSTOP)
    try:
        job = cluster.sbatch("-c2", "-w", "w1", wrap="true")
        eventually(lambda: "drain" in cluster.bed.node_states()["w1"], 120, "w1 is drained")
    finally:
        cluster.signal_agent(signal.SIGCONT)
    eventually(lambda: "drain" not in cluster.bed.node_states()["w1"], 90, "w1 is resumed")
    assert "w1 resumed: it was drained" in cluster.log.read_text()
    cluster.bed.run(["scontrol", "update", f"jobid={job}", "starttime=now"], user="root")
    cluster.wait_gone(job, 200)
    assert cluster.state(job) == "COMPLETED"
    cluster.wait_settled()


def test_a_node_drained_by_an_administrator_stays_drained(cluster: Cluster) -> None:
    update = ["scontrol", "update", "nodename=w2"]
    cluster.bed.run([*update, "state=drain", "reason=broken fan"], user="root")
    cluster.stop_agent()
    cluster.start_agent()
    eventually(
        lambda: cluster.json("status")["agent"]["schedulers"][0]["compared_at"],
        60,
        "it has compared",
    )
    assert "drain" in cluster.bed.node_states()["w2"]
    cluster.bed.run([*update, "state=resume"], user="root")


def test_a_poke_for_a_job_that_does_not_exist(cluster: Cluster) -> None:
    answer = poke(cluster, "event=start", "job=999999", "worker=w3")
    assert answer.startswith("404"), answer
    assert "no such job 999999" in answer


def test_a_poke_for_a_job_that_runs_elsewhere(cluster: Cluster) -> None:
    job, name = started(cluster, "-c1", "-w", "w1")
    answer = poke(cluster, "event=start", f"job={job}", "worker=w3")
    assert answer.startswith("409"), answer
    assert f"runs elsewhere: {name}" in answer
    assert poke(cluster, "event=end", f"job={job}", f"worker={name}").startswith("200")
    assert cluster.workers()["w3"]["job"] is None
    assert cluster.leases(job)[0].lease.closed_at is None, "a forged end closes nothing"
    cluster.bed.run(["scancel", job])
    cluster.wait_gone(job)
    cluster.wait_settled()


def test_a_poke_from_a_worker_of_another_host(cluster: Cluster) -> None:
    answer = poke(cluster, "event=start", "job=1", "worker=elsewhere")
    assert answer.startswith("421"), answer
    assert "does not manage a worker 'elsewhere'" in answer


def test_a_hook_with_a_wrong_agent_says_so_and_fails(cluster: Cluster) -> None:
    worker = cluster.bed.worker("w3")
    conf = "agent=no-such-host:8765\\nagent_wait_s=2\\n"
    script = (
        f"printf '{conf}' > /tmp/hook.conf; mount --bind /tmp/hook.conf /etc/hotslot/hook.conf; "
        "SLURM_JOB_ID=1 SLURMD_NODENAME=w3 /usr/lib/hotslot/slurm-prolog; code=$?; "
        "umount /etc/hotslot/hook.conf; exit $code"
    )
    done = worker.exec(["sh", "-c", script], check=False)
    assert done.returncode == 1, done
    assert "no-such-host" in done.stderr


FLOOD = """
import socket
body = b'event=start&job=999999&worker=w3'
head = b'POST /v1/poke HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\nContent-Type: '
head += b'application/x-www-form-urlencoded\\r\\nContent-Length: %d\\r\\n\\r\\n' % len(body)
all = [socket.create_connection(('10.77.0.1', 8765)) for _ in range(300)]
def ask(one):
    try:
        one.sendall(head + body)
    except OSError:
        pass
def hear(one):
    try:
        return (one.recv(4096).split() or ['', b'refused'])[1].decode()
    except OSError:
        return 'refused'
for one in all:
    ask(one)
print(*map(hear, all))
"""


def test_a_flood_of_pokes_leaves_the_agent_responsive(
    cluster: Cluster, note: Callable[[str], None]
) -> None:
    before = cluster.json("status")["agent"]["schedulers"][0]["calls"]
    done = cluster.bed.worker("w3").exec(["python3", "-c", FLOOD], timeout=120)
    calls = cluster.json("status")["agent"]["schedulers"][0]["calls"] - before
    said = done.stdout.split()
    told = ", ".join(f"{said.count(code)} times {code}" for code in sorted(set(said)))
    note(f"300 forged pokes at once: {calls} calls to the controller; answers {told}")
    assert calls <= 10
    assert said.count("429") + said.count("refused") > 200
    assert said.count("429") > 20
    log = cluster.log.read_text()
    assert log.count("pokes for w3 more than") == 1
    assert log.count("too many connections from") == 1
