"""What accounting alone tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from hotslot.accounting import AccountingError, clock_s, from_condor, from_slurm
from hotslot.assess import Account, LeftOut, shares, sifted, total
from hotslot.cli import cli

LINES = """JobID|User|JobName|AllocCPUS|Elapsed|TotalCPU|NNodes
12|alice|align|8|00:01:40|04:10.000|1
12.batch|||8|00:01:40|04:10.000|1
13|bob|idle|4|1-00:00:00|00:00:00|1
13.0|||4|1-00:00:00|01:00:00|1
14|carol|short|4|00:00:00|00:00:00|1
"""


def test_lines_of_sacct_give_each_job_once() -> None:
    alice, bob = from_slurm(LINES)
    assert (alice.requested_core_s, alice.idle_core_s, alice.bound_core_s) == (800, 550, 500)
    assert bob.cpu_s == 3600, "from its steps, where the job itself has none"


def test_json_of_sacct_is_understood_with_wrapped_and_with_plain_numbers() -> None:
    job = {
        "user": "alice",
        "name": "align",
        "allocation_nodes": 1,
        "tres": {"allocated": [{"type": "mem", "count": 4}, {"type": "cpu", "count": 8}]},
        "time": {
            "elapsed": {"set": True, "infinite": False, "number": 100},
            "total": {"seconds": 250, "microseconds": 500_000},
        },
    }
    assert from_slurm(json.dumps({"jobs": [job]})) == [Account("alice", "align", 8, 1, 100, 250.5)]


def test_ads_of_condor_history_are_understood() -> None:
    ad = {
        "Owner": "bob",
        "Cmd": "/home/bob/run.sh",
        "RequestCpus": 4,
        "RemoteWallClockTime": 100.0,
        "RemoteUserCpu": 90.0,
        "RemoteSysCpu": 10.0,
    }
    assert from_condor(json.dumps([ad])) == [Account("bob", "run.sh", 4, 1, 100, 100)]


def test_running_jobs_and_those_without_cpu_time_are_left_out() -> None:
    lines = """JobID|User|JobName|AllocCPUS|Elapsed|TotalCPU|NNodes|State
12|alice|align|8|00:01:40|04:10.000|1|COMPLETED
13|bob|long|8|10:00:00|00:00:00|1|RUNNING
14|bob|lost|8|10:00:00|00:00:00|1|CANCELLED by 1000
"""
    kept, left_out = sifted(from_slurm(lines))
    assert [job.application for job in kept] == ["align"]
    assert left_out == LeftOut(running=1, without_cpu_time=1)
    assert str(left_out) == "left out: 1 running, 1 without CPU time"


@pytest.mark.parametrize(
    ("state", "end", "running"),
    [
        ({"current": ["RUNNING"]}, {"set": True, "number": 0}, True),
        ({"current": "COMPLETED"}, 1_700_000_000, False),
        ({"current": ["TIMEOUT"]}, {"set": True, "number": 1_700_000_000}, False),
        ({"current": ["SUSPENDED"]}, 1_700_000_000, True),
        (None, 0, True),
    ],
)
def test_json_of_sacct_tells_what_runs(state: object, end: object, running: bool) -> None:
    cpus = {"allocated": [{"type": "cpu", "count": 8}]}
    times = {"elapsed": 100, "end": end, "total": {"seconds": 250}}
    (job,) = from_slurm(json.dumps({"jobs": [{"state": state, "tres": cpus, "time": times}]}))
    assert job.running is running


def test_condor_sums_over_runs_and_takes_suspensions_off() -> None:
    ad = {
        "RequestCpus": 4,
        "RemoteWallClockTime": 300.0,
        "CumulativeSuspensionTime": 100,
        "RemoteUserCpu": 90.0,
        "CumulativeRemoteUserCpu": 390.0,
        "CumulativeRemoteSysCpu": 0,
        "RemoteSysCpu": 5,
        "JobStatus": 4,
    }
    (job,) = from_condor(json.dumps([ad]))
    assert (job.elapsed_s, job.cpu_s, job.running) == (200, 390, False)
    assert from_condor(json.dumps([{**ad, "JobStatus": 2}]))[0].running


def test_the_most_idle_come_first_and_the_total_has_all() -> None:
    found = from_slurm(LINES)
    assert [one.user for one in shares(found)] == ["bob", "alice"]
    assert total(found).jobs == 2


def test_one_cpu_and_short_jobs_return_nothing() -> None:
    assert Account("a", "b", 1, 1, 1000, 0).bound_core_s == 0
    assert Account("a", "b", 8, 1, 30, 0).bound_core_s == 0
    assert Account("a", "b", 8, 8, 1000, 0).bound_core_s == 0, "one CPU a node"


@given(st.integers(1, 64), st.integers(1, 8), st.floats(1, 1e6), st.floats(0, 1e8))
def test_never_more_than_idle_comes_back(cpus: int, nodes: int, life_s: float, cpu: float) -> None:
    job = Account("a", "b", cpus, nodes, life_s, cpu)
    assert 0 <= job.bound_core_s <= job.idle_core_s + 1e-6 * job.requested_core_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1-02:03:04", 93784), ("00:05.250", 5.25), ("10:00:00", 36000), ("", 0), ("UNKNOWN", 0)],
)
def test_times_of_sacct_are_read(text: str, seconds: float) -> None:
    assert clock_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "is no JSON"), ('{"jobs": 3}', "no list of jobs"), ("a|b\n1|2\n", "no column JobID")],
)
def test_what_is_no_accounting_is_refused_with_words(text: str, words: str) -> None:
    with pytest.raises(AccountingError, match=words):
        from_slurm(text)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (from_slurm, from_condor):
        try:
            read(text)
        except AccountingError:
            continue


def test_the_command_prints_a_table_and_json(tmp_path: Path) -> None:
    (tmp_path / "jobs.txt").write_text(LINES)
    shown = CliRunner().invoke(cli, ["assess", "--slurm", str(tmp_path / "jobs.txt")])
    assert shown.exit_code == 0
    assert "align" in shown.output
    assert "Coarse" in shown.output
    printed = CliRunner().invoke(cli, ["assess", "--slurm", str(tmp_path / "jobs.txt"), "--json"])
    assert "left out: 0 running, 0 without CPU time" in shown.output
    assert json.loads(printed.output)["total"]["jobs"] == 2
    assert json.loads(printed.output)["left_out"] == {"running": 0, "without_cpu_time": 0}


@pytest.mark.parametrize("width", [50, 80, 90, 120])
def test_a_narrow_table_never_cuts_a_number(width: int, tmp_path: Path) -> None:
    large = "7|a_user_of_a_long_name|" + "x" * 60 + "|100000|900-00:00:00|00:01:00|1\n"
    (tmp_path / "jobs.txt").write_text(LINES + large)
    command = ["assess", "--slurm", str(tmp_path / "jobs.txt")]
    shown = CliRunner(env={"COLUMNS": str(width)}).invoke(cli, command).output.splitlines()
    row = next(line for line in shown if line.startswith("a_user"))
    figures = " ".join(row.split()[2:])
    words = "1 2,160,000,000 2,160,000,000 100.0 % 1,079,989,200 – 2,159,978,400"
    assert (words + " ").startswith(figures + " ")
    assert shown[0].count("…") == 0


def test_one_source_is_asked_for() -> None:
    assert CliRunner().invoke(cli, ["assess"]).exit_code == 2
