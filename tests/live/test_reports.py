"""What hotslot reports of real jobs, and what Slurm's own accounting says of the same.

They differ where they must (docs/reports.md): Slurm counts allocated CPUs in whole seconds from
the allocation to the job's end, and what the job's processes used; hotslot counts from the prolog's
poke to the epilog's, to the ms, and all that the guest used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from live.cluster import Cluster, eventually

APART_S = 30.0
"""How far a lease's begin and end may be from Slurm's: pokes come late from a starved guest."""

GUEST_CORES = 0.35
"""What the guest's kernel, slurmd and the job's start and end add, under emulation."""

FIELDS = "JobIDRaw,JobID,State,AllocCPUS,CPUTimeRAW,Start,End,NNodes"
BUSY = "timeout {} sh -c 'while :; do :; done'"

pytestmark = pytest.mark.timeout(420)


def seconds(text: str) -> float:
    """Return Slurm's ``[DD-[HH:]]MM:SS[.mmm]`` in s."""
    days, _, clock = text.rpartition("-")
    total = 0.0
    for part in clock.split(":"):
        total = 60 * total + float(part)
    return 86_400 * int(days or 0) + total


def sacct(cluster: Cluster, job: str) -> list[dict[str, str]]:
    """Return sacct's rows of a job, without steps."""
    clock = ["env", "SLURM_TIME_FORMAT=%s"]
    command = [*clock, "sacct", "-n", "-X", "-P", "-j", job, "-o", FIELDS]
    lines = cluster.bed.run(command, user="root").stdout.strip().splitlines()
    return [dict(zip(FIELDS.split(","), line.split("|"), strict=True)) for line in lines]


def seff(cluster: Cluster, job: str) -> tuple[float, float]:
    """Return CPU seconds used and allocated as seff adds them up: steps' TotalCPU over
    AllocCPUS x Elapsed."""
    command = ["sacct", "-n", "-P", "-j", job, "-o", "JobID,TotalCPU,AllocCPUS,ElapsedRaw"]
    lines = cluster.bed.run(command, user="root").stdout.strip().splitlines()
    used = allocated = 0.0
    for line in lines:
        name, total_cpu, cpus, elapsed = line.split("|")
        if "." in name:
            used += seconds(total_cpu) if total_cpu else 0.0
        else:
            allocated += int(cpus) * int(elapsed)
    return used, allocated


@pytest.fixture(scope="module")
def ran(cluster: Cluster) -> dict[str, str]:
    """A few jobs of each kind, all at once as far as workers go."""
    half = f"{BUSY.format(14)} & sleep 16; wait"
    found = {
        "idle": cluster.sbatch("-c4", "-J", "idle", wrap="sleep 14"),
        "half": cluster.sbatch("-c2", "-J", "half", wrap=half),
        "array": cluster.sbatch("--array=1-2", "-c1", "-J", "sweep", wrap="sleep 3"),
        "two": cluster.sbatch("-N2", "-n2", "-c2", "-J", "two", wrap="srun sleep 4"),
        "short": cluster.sbatch("-c2", "-J", "short", wrap="true"),
        "failed": cluster.sbatch("-c2", "-J", "failed", wrap="exit 3"),
    }
    for job in found.values():
        cluster.wait_gone(job, 240)
    cluster.wait_settled()
    return found


def line(cluster: Cluster, job: str) -> dict[str, Any]:
    """Return what ``hotslot report jobs`` says of a job."""
    rows = cluster.json("report", "jobs", "--since", "1h", "--limit", "1000")["rows"]
    (found,) = [row for row in rows if row["job"].split("_")[0] == job]
    return dict(found)


def apart(
    cluster: Cluster, job: str, theirs: list[dict[str, str]]
) -> tuple[list[float], list[float]]:
    """Return how much later than Slurm's the begin and the end of each lease of a job are, in s."""
    said = {one["JobIDRaw"]: one for one in theirs}
    late, after = [], []
    for row in cluster.leases(job):
        lease, slurm = row.lease, said[row.lease.placement.job_id]
        assert lease.closed_at is not None
        late.append(lease.opened_at - float(slurm["Start"]))
        after.append(lease.closed_at - float(slurm["End"]))
    return late, after


def test_jobs_are_as_sacct_has_them(
    cluster: Cluster, ran: dict[str, str], note: Callable[[str], None]
) -> None:
    for name, job in ran.items():
        ours, theirs = line(cluster, job), sacct(cluster, job)
        cpus = sum(int(one["AllocCPUS"]) for one in theirs)
        nodes = sum(int(one["NNodes"]) for one in theirs)
        asked = sum(float(one["CPUTimeRAW"]) for one in theirs)
        assert ours["requested_vcpus"] == cpus, name
        assert ours["parts"] == nodes, name
        assert ours["user"] == "alice"
        assert {one["State"].split()[0] for one in theirs} == {ours["state"]}, name
        late, after = apart(cluster, job, theirs)
        assert all(-1.5 <= one <= APART_S for one in late), (name, late)
        assert all(-APART_S <= one <= APART_S for one in after), (name, after)
        explained = cpus / len(late) * (sum(after) - sum(late))
        assert ours["requested_core_s"] == pytest.approx(asked + explained, abs=1.5 * cpus), name
        note(
            f"report of {name}: asked {ours['requested_core_s']:.1f} core-s, sacct "
            f"{asked:.0f} (began {max(late):.1f} s later, ended {max(after):.1f} s); held "
            f"{ours['held_core_s']:.1f}, used {ours['used_core_s']:.1f}"
        )


def test_used_is_what_seff_says_and_what_the_guest_does_itself(
    cluster: Cluster, ran: dict[str, str], note: Callable[[str], None]
) -> None:
    for name in ("idle", "half", "two"):
        ours = line(cluster, ran[name])
        used, allocated = seff(cluster, ran[name])
        life_s = ours["requested_core_s"] / ours["requested_vcpus"] * ours["parts"]
        wanted = ours["used_core_s"] + ours["waited_core_s"]
        assert 0.85 * used - 1 <= wanted, (name, ours, used)
        assert ours["used_core_s"] <= used + 3 + GUEST_CORES * life_s, (name, ours, used)
        shares = [ours["efficiency_of_request"], ours["efficiency_of_holding"]]
        asked, held = (f"{100 * share:.0f} %" for share in shares)
        note(
            f"seff's formula of {name}: {used:.1f} of {allocated:.0f} core-s, "
            f"{100 * used / allocated:.0f} %; hotslot used {ours['used_core_s']:.1f} and waited "
            f"{ours['waited_core_s']:.1f}, used/asked {asked}, used/held {held}"
        )


def test_a_user_s_sums_are_those_of_their_jobs(cluster: Cluster, ran: dict[str, str]) -> None:
    jobs = cluster.json("report", "jobs", "--since", "1h", "--limit", "1000")["rows"]
    ended = [row for row in jobs if row["state"] != "running"]
    for what in ("users", "partitions", "hosts", "cluster"):
        total = cluster.json("report", what, "--since", "1h")["total"]
        for key in ("requested_core_s", "held_core_s", "used_core_s"):
            assert total[key] == pytest.approx(sum(row[key] for row in ended), rel=1e-6, abs=0.05)
    assert cluster.hotslot("verify").returncode == 0


def test_the_page_the_mail_and_the_advice_of_real_jobs(
    cluster: Cluster, ran: dict[str, str]
) -> None:
    target = cluster.bed.path / "report.html"
    cluster.hotslot("report", "cluster", "--since", "1h", "--html", str(target))
    text = target.read_text()
    assert "of 8 cores on average" in text
    assert ran["idle"] in text
    mail = cluster.hotslot("report", "user", "alice", "--mail", "--to", "alice@example.org").stdout
    assert mail.startswith("From: hotslot@")
    (advice,) = [one for one in cluster.json("advise", "--user", "alice")["rows"]
                 if one["name"] == "idle"]  # fmt: skip
    assert advice["verdict"] == "wait for more runs"


def test_what_prometheus_scrapes_is_what_the_status_says(cluster: Cluster) -> None:
    settings = cluster.config.read_text()
    if "metrics_listen" not in settings:
        cluster.config.write_text(
            settings.replace("  socket:", "  metrics_listen: 127.0.0.1:9809\n  socket:")
        )
        cluster.stop_agent()
        cluster.start_agent()
    job = cluster.sbatch("-c2", "-J", "scraped", wrap=BUSY.format(8))
    cluster.wait_gone(job)
    cluster.wait_settled()
    get = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9809/metrics').read().decode())"
    text = eventually(
        lambda: cluster.bed.host(["python3", "-c", get], check=False).stdout, 20, "it is scraped"
    )
    values = dict(re.findall(r"^(\S+) (\S+)$", text, re.M))
    for worker, told in cluster.workers().items():
        assert float(values[f'hotslot_worker_granted_vcpus{{worker="{worker}"}}']) == told[
            "granted_vcpus"
        ]  # fmt: skip
    ours = line(cluster, job)
    held = sum(float(value) for name, value in values.items() if "held_core_seconds_total{" in name)
    assert held == pytest.approx(ours["held_core_s"], rel=0.2, abs=4)
    assert "alice" not in text
    assert job not in values.values()
