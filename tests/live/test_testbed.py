"""The testbed itself: real jobs in real VMs, and nothing left behind."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.hook_agent import READY, HookAgent
from testbed import Testbed
from testbed.network import CTL_ADDRESS

TESTS = Path(__file__).resolve().parents[1]
pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    with Testbed(workers=3, vcpus=4, cores=8, hooks=False) as testbed:
        yield testbed


def submit(bed: Testbed, *argv: str, script: str) -> str:
    """Submit a batch script as alice and return the id of its job."""
    command = ["sbatch", "--parsable", "--output=%x-%j.out", *argv]
    return bed.run(command, input=f"#!/bin/sh\n{script}\n").stdout.strip()


def final_states(bed: Testbed, job: str, timeout: float = 120) -> list[str]:
    """Wait until a job, with all its parts, has left the queue; return their states."""
    deadline = time.monotonic() + timeout
    query = ["squeue", "-h", "-r", "-j", job, "-t", "all", "-o", "%T"]
    while True:
        states = bed.run(query).stdout.split()
        if states and not {"PENDING", "RUNNING", "CONFIGURING", "COMPLETING"} & set(states):
            return states
        assert time.monotonic() < deadline, f"job {job} after {timeout} s: {states}"
        time.sleep(0.3)


def output(bed: Testbed, name: str, job: str) -> str:
    return (bed.home / "alice" / f"{name}-{job}.out").read_text()


def test_a_job_runs_as_its_user_and_its_output_is_on_the_shared_home(bed: Testbed) -> None:
    job = submit(bed, "-J", "one", "-c2", script="id -un; hostname; echo $SLURM_CPUS_PER_TASK")
    assert final_states(bed, job) == ["COMPLETED"]
    user, host, cpus = output(bed, "one", job).split()
    assert (user, cpus) == ("alice", "2")
    assert host in {"w1", "w2", "w3"}


def test_steps_of_a_batch_script_run_side_by_side(bed: Testbed) -> None:
    one = "srun -n1 --exact sh -c 'date +%s.%N; sleep 3; date +%s.%N'"
    job = submit(bed, "-J", "steps", "-n2", "-N1", script=f"{one} & {one} & wait")
    assert final_states(bed, job) == ["COMPLETED"]
    times = sorted(map(float, output(bed, "steps", job).split()))
    assert len(times) == 4
    assert times[1] - times[0] < 2.9, "the second step began when the first had ended"


def test_a_step_has_a_task_for_each_cpu_it_asks_for(bed: Testbed) -> None:
    job = submit(bed, "-J", "tasks", "-n3", "-N1", script="srun -l hostname")
    assert final_states(bed, job) == ["COMPLETED"]
    lines = output(bed, "tasks", job).splitlines()
    assert {line.split(":")[0] for line in lines} == {"0", "1", "2"}
    assert len({line.split()[1] for line in lines}) == 1


def test_a_two_node_job_runs_its_step_on_both_workers(bed: Testbed) -> None:
    job = submit(bed, "-J", "two", "-N2", "-c2", script="srun hostname")
    assert final_states(bed, job) == ["COMPLETED"]
    assert len(set(output(bed, "two", job).split())) == 2


def test_a_heterogeneous_job_has_a_worker_for_each_part(bed: Testbed) -> None:
    script = "#SBATCH -c2\n#SBATCH hetjob\n#SBATCH -c1\nsrun --het-group=0,1 hostname"
    job = submit(bed, "-J", "het", script=script)
    assert set(final_states(bed, job)) == {"COMPLETED"}
    assert len(set(output(bed, "het", job).split())) == 2


def test_an_array_has_one_job_a_worker_at_a_time(bed: Testbed) -> None:
    script = "date +%s.%N; hostname; sleep 2; date +%s.%N"
    job = submit(bed, "-J", "array", "--array=1-4", script=script)
    assert final_states(bed, job) == ["COMPLETED"] * 4
    runs: dict[str, list[tuple[float, float]]] = {}
    for path in (bed.home / "alice").glob("array-*.out"):
        start, host, end = path.read_text().split()
        runs.setdefault(host, []).append((float(start), float(end)))
    assert sum(map(len, runs.values())) == 4
    for times in runs.values():
        ordered = sorted(times)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(ordered))


def test_an_interactive_srun_gets_an_answer(bed: Testbed) -> None:
    assert bed.run(["srun", "-c2", "id", "-un"]).stdout.split() == ["alice"]


def test_sacct_remembers_a_job(bed: Testbed) -> None:
    job = submit(bed, "-J", "past", script="exit 3")
    assert final_states(bed, job) == ["FAILED"]
    deadline = time.monotonic() + 30
    query = ["sacct", "-n", "-X", "-P", "-j", job, "-o", "User,State,ExitCode"]
    while (line := bed.run(query).stdout.strip()) != "alice|FAILED|3:0":
        assert time.monotonic() < deadline, line
        time.sleep(0.5)


def test_a_plugged_vcpu_comes_online_in_the_guest_and_an_unplugged_one_goes(bed: Testbed) -> None:
    worker = bed.worker("w2")
    bed.wait_idle()
    with worker.control() as qmp:
        qmp.plug(1)
        wait_online(bed, "w2", {0, 1})
        qmp.unplug(1)
    assert worker.online() == {0}
    assert worker.plugged() == {0}


def wait_online(bed: Testbed, name: str, cpus: set[int], timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while (online := bed.worker(name).online()) != cpus:
        assert time.monotonic() < deadline, f"{name} has {online}"
        time.sleep(0.05)


def test_a_process_on_the_host_side_sees_qemu_by_its_pid(bed: Testbed) -> None:
    worker = bed.worker("w1")
    assert bed.host(["cat", f"/proc/{worker.pid}/comm"]).stdout.startswith("qemu-system")
    threads = bed.host(["sh", "-c", f"cat /proc/{worker.pid}/task/*/comm"]).stdout
    assert "CPU 0/" in threads


def test_slurmctld_comes_back_after_a_kill(bed: Testbed) -> None:
    bed.kill_slurmctld()
    bed.start_slurmctld()
    bed.wait_idle()


def test_a_killed_worker_comes_back(bed: Testbed) -> None:
    worker = bed.worker("w3")
    worker.kill()
    assert not worker.running
    worker.start()
    bed.wait_up("w3")
    job = submit(bed, "-J", "back", "-w", "w3", script="hostname")
    assert final_states(bed, job) == ["COMPLETED"]


def test_a_node_beside_the_vms_runs_jobs_and_hooks_as_a_worker_does() -> None:
    with Testbed(workers=0, beside=["v1", "v2"]) as bed:
        with bed.namespaces.call(lambda: HookAgent(READY, host=CTL_ADDRESS)) as agent:
            for node in bed.beside:
                conf = node.outer_root / "etc/hotslot/hook.conf"
                conf.write_text(f"agent={agent.address}\nagent_wait_s=20\n")
            job = submit(bed, "-J", "beside", "-w", "v2", script="id -un; hostname; srun hostname")
            assert final_states(bed, job) == ["COMPLETED"]
            assert output(bed, "beside", job).split() == ["alice", "v2", "v2"]
            bed.wait_idle()
            pokes = [poke.split(b"\r\n\r\n")[1].decode() for poke in agent.pokes]
        assert pokes == [f"event={event}&job={job}&worker=v2" for event in ("start", "end")]
        bed.node("v1").kill_slurmd()
        bed.node("v1").start_slurmd()
        bed.wait_up("v1")


OWNER = """
import os, signal, subprocess, sys, time
from testbed import Testbed
# A command that a script runs in the background starts with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with Testbed(workers=1, vcpus=2, hooks=False) as bed:
    bed.popen_host(["sleep", "1000"])
    bed.run(["sbatch", "--wrap", "sleep 1000"])
    # A child that inherits every descriptor, as one of a careless library would.
    if os.fork() == 0:
        os.setsid()
        time.sleep(20)
        os._exit(0)
    print("UP", bed.path, os.readlink(f"/proc/{bed.namespaces.pid1}/ns/pid"), flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose sockets have names that the kernel takes: 107 characters at most."""
    with tempfile.TemporaryDirectory(prefix="hs-") as path:
        yield Path(path)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_survives_the_end_of_the_owner(how: signal.Signals, short_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        env={**os.environ, "PYTHONPATH": str(TESTS), "TMPDIR": str(short_path)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with owner:
        assert owner.stdout is not None
        mark, run_dir, namespace = owner.stdout.readline().split()
        assert mark == "UP"
        assert len(processes_in(namespace)) > 8
        owner.send_signal(how)
        try:
            deadline = time.monotonic() + 10
            while left := processes_in(namespace):
                assert time.monotonic() < deadline, left
                time.sleep(0.05)
        finally:
            owner.kill()
    assert run_dir not in Path("/proc/self/mounts").read_text()


def processes_in(namespace: str) -> list[str]:
    """Return the processes of a PID namespace, but not those already dead and unreaped."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str((process / "ns/pid").readlink()) == namespace:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found
