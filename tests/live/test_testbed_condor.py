"""The testbed's HTCondor pool: real jobs in real VMs, and an agent that may do what it must."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from live.cluster import eventually
from testbed import Testbed, TestbedError

VCPUS = 4


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    with Testbed(workers=0, vcpus=VCPUS, condor_workers=2, hooks=False) as bed:
        yield bed


@pytest.fixture(autouse=True)
def idle(bed: Testbed) -> Iterator[None]:
    yield
    bed.run(["condor_rm", "-all"], user="root", check=False)
    bed.condor_wait_idle()


def submit(bed: Testbed, script: str, *lines: str, user: str = "alice") -> str:
    """Submit a shell script as a user's job, whose output is in out.ID below the home."""
    (bed.home / user / "job.sh").write_text(f"#!/bin/sh\n{script}\n")
    (bed.home / user / "job.sh").chmod(0o755)
    said = ["executable = job.sh", "output = out.$(Cluster).$(Process)", "log = log", *lines]
    return bed.condor_submit("\n".join([*said, "queue"]), user=user)


def status(bed: Testbed, job: str) -> str:
    """Return a job's JobStatus, or nothing once it has left the queue."""
    return bed.run(["condor_q", job, "-af", "JobStatus"], check=False).stdout.strip()


def wait_for(bed: Testbed, job: str, wanted: str, timeout_s: float = 120) -> None:
    def explain() -> str:
        return bed.run(["condor_q", "-better-analyze", job], check=False).stdout

    eventually(lambda: status(bed, job) == wanted, timeout_s, f"{job} is {wanted!r}", explain)


def output(bed: Testbed, job: str, user: str = "alice") -> str:
    wait_for(bed, job, "")
    return (bed.home / user / f"out.{job}").read_text()


# --- jobs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer", ["NO", "YES"])
def test_a_job_runs_as_its_user_and_its_output_comes_back(bed: Testbed, transfer: str) -> None:
    lines = (f"should_transfer_files = {transfer}", "request_cpus = 2")
    job = submit(bed, "id -un; hostname; pwd; echo $OMP_NUM_THREADS", *lines)
    user, host, directory, threads = output(bed, job).split()
    assert (user, threads) == ("alice", "2")
    assert host in {"c1", "c2"}
    assert (directory == "/home/alice") == (transfer == "NO")


def test_a_dynamic_slot_has_what_its_job_asked_for(bed: Testbed) -> None:
    job = submit(bed, "sleep 1000", "request_cpus = 3", user="bob")
    wait_for(bed, job, "2")
    slot, owner = bed.run(["condor_q", job, "-af", "RemoteHost", "Owner"]).stdout.split()
    assert owner == "bob"
    whole = f"slot1@{slot.partition('@')[2]} {VCPUS - 3} {VCPUS}"

    def offered() -> list[str]:
        wanted = ["condor_status", "-af", "Name", "Cpus", "TotalSlotCpus"]
        return bed.run(wanted).stdout.splitlines()

    eventually(lambda: {whole, f"{slot} 3 3"} <= set(offered()), 60, whole)


def test_a_worker_is_a_vm_like_any_other(bed: Testbed) -> None:
    worker = bed.worker("c2")
    with worker.control() as qmp:
        qmp.plug(1)
        eventually(lambda: worker.online() == {0, 1}, 30, "the vCPU is online")
        qmp.unplug(1)
    assert worker.online() == worker.plugged() == {0}
    assert worker.qmp == bed.path / "c2.qmp"
    assert bed.worker("c1").exec(["pgrep", "slurmd"], check=False).returncode == 1


# --- the agent ------------------------------------------------------------------------------

AGENT = """
import json, sys
import htcondor2

def tried(act):
    try:
        return act()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

job, cluster = sys.argv[1], sys.argv[1].split(".")[0]
collector = htcondor2.Collector()
schedd_ad = collector.locate(htcondor2.DaemonTypes.Schedd)
schedd = htcondor2.Schedd(schedd_ad)
startd_ad = collector.locateAll(htcondor2.DaemonTypes.Startd)[0]
slots = collector.query(htcondor2.AdTypes.Startd, projection=["Machine", "Cpus"])

print(json.dumps({
    "slots": sorted({(slot["Machine"], slot["Cpus"]) for slot in slots}),
    "edit": tried(lambda: schedd.edit(job, "HotslotGrantedCoreSeconds", "12")),
    "queue": [
        (ad["Owner"], ad.get("HotslotGrantedCoreSeconds"))
        for ad in schedd.query(f"ClusterId == {cluster}")
    ],
    "history": [str(ad["Owner"]) for ad in schedd.history("true", ["Owner"], match=1)],
    "administrator": {
        "ping": tried(lambda: dict(htcondor2.ping(schedd_ad, "ADMINISTRATOR"))),
        "drain": tried(lambda: htcondor2.Startd(startd_ad).drainJobs()),
        "configure": tried(lambda: htcondor2.RemoteParam(schedd_ad).__setitem__("FOO", "bar")),
        "advertise": tried(lambda: collector.advertise([startd_ad], "UPDATE_STARTD_AD")),
    },
}))
"""


def test_the_agent_reads_all_and_edits_jobs_and_administers_nothing(bed: Testbed) -> None:
    assert bed.condor_config.parent.stat().st_mode & 0o777 == 0o700
    job = submit(bed, "sleep 1000")
    wait_for(bed, job, "2")
    env = {"CONDOR_CONFIG": str(bed.condor_config), "PATH": "/usr/bin:/bin"}
    done = bed.host([sys.executable, "-c", AGENT, job], env=env)
    found = json.loads(done.stdout)
    assert {machine.split(".")[0] for machine, _ in found["slots"]} == {"c1", "c2"}
    assert found["edit"] == 1
    assert found["queue"] == [["alice", 12]]
    assert found["history"]
    for what, answer in found["administrator"].items():
        assert "Exception" in str(answer), f"{what} was allowed: {answer}"
    assert bed.run(["condor_q", job, "-af", "HotslotGrantedCoreSeconds"]).stdout == "12\n"


def test_nobody_joins_the_pool_or_submits_without_a_token(bed: Testbed) -> None:
    stranger = bed.condor_config.with_name("stranger")
    text = bed.condor_config.read_text().replace("tokens.d", "none.d")
    stranger.write_text(text.replace("IDTOKENS", "IDTOKENS, ANONYMOUS, CLAIMTOBE"))
    script = """
import classad2, htcondor2
ad = classad2.ClassAd({"MyType": "Machine", "Name": "stranger", "MyAddress": "<10.77.0.99:9618>"})
htcondor2.Collector().advertise([ad], "UPDATE_STARTD_AD")
"""
    env = {"CONDOR_CONFIG": str(stranger), "PATH": "/usr/bin:/bin"}
    done = bed.host([sys.executable, "-c", script], env=env, check=False)
    assert done.returncode != 0
    assert "Failed to advertise" in done.stderr


# --- what a test can break ------------------------------------------------------------------


@pytest.mark.parametrize("daemon", ["schedd", "negotiator", "collector"])
def test_a_killed_daemon_comes_back_and_jobs_run(bed: Testbed, daemon: str) -> None:
    bed.kill_condor(daemon)
    bed.condor_wait_idle()
    assert output(bed, submit(bed, "echo after")) == "after\n"


def test_a_job_outlives_its_schedd(bed: Testbed) -> None:
    go = bed.home / "alice" / "go"
    go.unlink(missing_ok=True)
    job = submit(bed, "while [ ! -e ~alice/go ]; do sleep 0.2; done; echo lived")
    wait_for(bed, job, "2")
    bed.kill_condor("schedd")
    wait_for(bed, job, "2")
    go.touch()
    assert output(bed, job) == "lived\n"
    assert starts(bed, job) == 1


def starts(bed: Testbed, job: str) -> int:
    return int(bed.run(["condor_history", job, "-af", "NumJobStarts"]).stdout)


@pytest.mark.parametrize("daemon", ["shadow", "startd", "starter"])
def test_a_job_whose_daemon_is_killed_runs_again(bed: Testbed, daemon: str) -> None:
    started = bed.home / "alice" / "started"
    started.unlink(missing_ok=True)
    script = "[ -e ~alice/started ] && exit; touch ~alice/started; sleep 1000"
    job = submit(bed, script, "should_transfer_files = NO")
    eventually(started.exists, 60, "the job runs")
    if daemon == "shadow":
        bed.kill_condor("shadow")
    else:
        slot = bed.run(["condor_q", job, "-af", "RemoteHost"]).stdout
        bed.worker(slot.partition("@")[2].split(".")[0]).kill_condor(daemon)
    wait_for(bed, job, "", timeout_s=240)
    bed.condor_wait_idle()


def test_masters_that_were_killed_are_started_again(bed: Testbed) -> None:
    bed.kill_condor("master")
    bed.start_condor()
    bed.worker("c1").kill_condor("master")
    bed.worker("c1").start_condor()
    bed.condor_wait_idle()
    with pytest.raises(TestbedError, match="runs already"):
        bed.start_condor()


def test_a_killed_vm_comes_back(bed: Testbed) -> None:
    worker = bed.worker("c1")
    worker.kill()
    worker.start()
    bed.condor_wait_idle()
    job = submit(bed, "hostname", 'requirements = Machine == "c1.hotslot.test"')
    assert output(bed, job) == "c1\n"


# --- figures --------------------------------------------------------------------------------


def test_figures_of_the_pool(bed: Testbed, note: Callable[[str], None]) -> None:
    note(f"HTCondor's testbed of 2 workers: idle in the collector after {bed.start_up_s:.1f} s")
    for worker in bed.condor_workers:
        rss_mb = kilobytes(Path(f"/proc/{worker.outer_pid}/status").read_text(), "VmRSS") / 1024
        free = worker.exec(["cat", "/proc/meminfo"]).stdout
        used = kilobytes(free, "MemTotal") - kilobytes(free, "MemAvailable")
        note(f"  {worker.name}: QEMU holds {rss_mb:.0f} MB; {used / 1024:.0f} MB used in the guest")
    assert "ctl/condor/SchedLog" in bed.logs()
    assert "c1/condor/StartLog" in bed.logs()


def kilobytes(text: str, name: str) -> int:
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name}:"))
