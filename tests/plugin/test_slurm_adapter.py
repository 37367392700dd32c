"""What the adapter changes in Slurm, and the settings it takes."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import placement, run_summary
from hotslot.errors import ConfigError, SchedulerError, SchedulerUnavailable
from hotslot.model import Placement
from hotslot.schedulers import connect as connect_by_name
from hotslot_plugin.slurm import Slurm, accounting_id, connect
from hotslot_plugin.slurm_comment import LENGTH_MAX, ForeignComment, merged

FIGURES = "[4,260,150,3.9,2]"


def slurm(tmp_path: Path, script: str) -> Slurm:
    """Return an adapter whose commands are a shell script; it gets the command's words."""
    path = tmp_path / "command"
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{tmp_path}/said\n{script}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return connect({"command": [str(path)], "timeout_s": 20})


def said(tmp_path: Path) -> list[str]:
    return (tmp_path / "said").read_text().splitlines()


def test_a_node_is_resumed_by_name(tmp_path: Path) -> None:
    slurm(tmp_path, "exit 0").resume("w1")
    assert said(tmp_path) == ["scontrol update nodename=w1 state=resume"]


def test_a_node_that_is_not_drained_needs_no_resuming(tmp_path: Path) -> None:
    slurm(tmp_path, "echo slurm_update error: Invalid node state specified >&2; exit 1").resume(
        "w1"
    )


def test_a_resume_that_is_not_allowed_says_so(tmp_path: Path) -> None:
    with pytest.raises(SchedulerError, match="Invalid user id"):
        slurm(tmp_path, "echo slurm_update error: Invalid user id >&2; exit 1").resume("w1")


def test_a_summary_is_added_to_what_other_workers_said(tmp_path: Path) -> None:
    there = """case "$1" in sacct) echo '{`hotslot`:1,`w1`:[4,2,1,1.0,0]}';; esac"""
    slurm(tmp_path, there).write_back([run_summary(placement("12", "w2"))])
    comment = f'AdminComment={{"hotslot":1,"w1":[4,2,1,1.0,0],"w2":{FIGURES}}}'
    assert said(tmp_path) == [
        "sacct -n -P -X -j 12 --format=AdminComment",
        f"sacctmgr -i modify job where jobid=12 set {comment}",
    ]


def test_a_comment_of_somebody_else_is_kept(tmp_path: Path) -> None:
    script = 'case "$*" in *12*) echo JS1:xyz;; esac'
    both = [run_summary(placement("12")), run_summary(placement("13"))]
    with pytest.raises(SchedulerError, match=r"^job 12 .* keeps it: JS1:xyz$"):
        slurm(tmp_path, script).write_back(both)
    assert [line.split()[0] for line in said(tmp_path)] == ["sacct", "sacct", "sacctmgr"]


def test_a_summary_without_accounting_is_an_error(tmp_path: Path) -> None:
    script = "echo 'sacct: error: Slurm accounting storage is disabled' >&2; exit 1"
    with pytest.raises(SchedulerError, match="accounting storage is disabled"):
        slurm(tmp_path, script).write_back([run_summary()])


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"job_id": "12"}, "12"),
        ({"job_id": "12", "array_job_id": "12", "array_task_id": "0"}, "12_0"),
        ({"job_id": "12", "het_job_id": "12"}, "12+0"),
        ({"job_id": "13", "het_job_id": "12"}, "13"),
    ],
)
def test_accounting_is_asked_for_exactly_one_job(fields: dict[str, str], name: str) -> None:
    plain = {"scheduler": "slurm", "run": 0, "worker": "w1", "cpus": 1, "phase": placement().phase}
    assert accounting_id(Placement(**{**plain, **fields})) == name  # type: ignore[arg-type]


@pytest.mark.parametrize("job_id", ["", "1 set", "1,2", "12.0", "x"])
def test_what_is_no_job_id_never_reaches_accounting(tmp_path: Path, job_id: str) -> None:
    with pytest.raises(SchedulerError, match="not a number of a Slurm job"):
        slurm(tmp_path, "exit 0").write_back([run_summary(placement(job_id))])
    assert not (tmp_path / "said").exists()


def test_an_entry_is_replaced_by_its_newer_one() -> None:
    before = "{`hotslot`:1,`w1`:[4,2,1,1.0,0],`w2`:[4,1,1,1.0,0]}"
    comment = merged(before, run_summary(placement(worker="w1")))
    assert comment == f'{{"hotslot":1,"w2":[4,1,1,1.0,0],"w1":{FIGURES}}}'


def test_the_runs_of_a_requeued_job_are_told_apart() -> None:
    comment = merged("", run_summary(placement(worker="w1")))
    assert merged(comment, run_summary(placement(worker="w1", run=1))) == (
        f'{{"hotslot":1,"w1":{FIGURES},"w1/1":{FIGURES}}}'
    )


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=60))
def test_a_comment_is_short_json_that_keeps_the_newest_and_loses_no_sum(held: list[float]) -> None:
    comment = ""
    for count, core_s in enumerate(held):
        comment = merged(comment, run_summary(placement(worker=f"w{count}"), held=core_s))
        assert f'"w{count}":' in comment
        comment = comment.replace('"', "`")  # as Slurm keeps it
    assert len(comment) <= LENGTH_MAX
    told = json.loads(comment.replace("`", '"'))
    assert told.pop("hotslot") == 1
    assert sum(entry[0] for entry in told.values()) == 4 * len(held)
    assert sum(entry[1] for entry in told.values()) == sum(map(round, held))


@given(
    st.text(min_size=1, max_size=50)
    | st.builds(json.dumps, st.dictionaries(st.text(), st.integers()))
)
def test_any_comment_before_is_ours_or_foreign(before: str) -> None:
    try:
        assert merged(before, run_summary()).startswith('{"hotslot":1,')
    except ForeignComment:
        assert before.strip()


@pytest.mark.parametrize(
    "entry", ["1", "[1,2]", "[1,2,3,4,true]", "[1,2,3,4,1e99]", '["a",2,3,4,5]']
)
def test_what_is_no_entry_is_dropped(entry: str) -> None:
    before = f'{{"hotslot":1,"w9":{entry}}}'
    assert merged(before, run_summary()) == f'{{"hotslot":1,"w1":{FIGURES}}}'


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"source": "rest"}, "source: input should be 'auto', 'pyslurm' or 'scontrol'"),
        ({"comand": []}, r"comand: unknown key; did you mean 'command'\?"),
        ({"command": "sudo"}, "command: input should be a valid tuple"),
        ({"command": [""]}, r"command\.0: string should have at least 1 character"),
        ({"timeout_s": 0}, "timeout_s: input should be greater than or equal to 0.1"),
        ({"timeout_s": "10"}, "timeout_s: input should be a valid number"),
    ],
)
def test_wrong_settings_are_told_by_their_key(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        connect(settings)


def test_the_agent_finds_the_adapter_by_its_name() -> None:
    assert connect_by_name("slurm", {"source": "scontrol"}).name == "slurm"
    with pytest.raises(ConfigError, match="scheduler: source: input should be"):
        connect_by_name("slurm", {"source": "rest"})


def test_commands_that_are_not_there_are_an_unavailable_scheduler() -> None:
    scheduler = connect({"source": "scontrol", "command": [f"{sys.prefix}/no/such/command"]})
    with pytest.raises(SchedulerUnavailable, match=r"scheduler\.command"):
        scheduler.placements(["w1"])


def test_nothing_is_asked_of_nobody() -> None:
    scheduler = connect({"source": "scontrol", "command": ["/no/such/command"]})
    assert list(scheduler.placements([])) == []
    assert list(scheduler.conditions([])) == []


# --- requeueing ---------------------------------------------------------------------------------


def squeue(run: int = 0, state: str = "RUNNING", **fields: object) -> str:
    """Return squeue's answer about job 12 on w1."""
    job = {"job_id": 12, "job_state": [state], "nodes": "w1", "cpus": 4, "restart_cnt": run}
    job |= {"requeue": True, "batch_flag": True, **fields}
    return json.dumps({"jobs": [job], "last_update": 1})


def answering(
    tmp_path: Path, before: str, after: str, *, status: int = 0, words: str = ""
) -> Slurm:
    """Return an adapter whose squeue changes its answer when scontrol is called."""
    (tmp_path / "before").write_text(before)
    (tmp_path / "after").write_text(after)
    script = f"""cd {tmp_path}
case "$1" in
    squeue) if [ -e put ]; then cat after; else cat before; fi;;
    scontrol) touch put; echo "{words}" >&2; exit {status};;
esac"""
    return slurm(tmp_path, script)


def requeueings(tmp_path: Path) -> list[str]:
    return [line for line in said(tmp_path) if line.startswith("scontrol")]


def test_a_run_is_put_back_by_the_name_of_its_job_alone(tmp_path: Path) -> None:
    task = {"array_job_id": 12, "array_task_id": {"set": True, "infinite": False, "number": 0}}
    before = squeue(**task)
    adapter = answering(tmp_path, before, squeue(run=1, state="PENDING", **task))
    [one] = adapter.placements(["w1"], ["12"])
    assert (one.array_job_id, one.array_task_id, one.may_requeue) == ("12", "0", True)
    adapter.requeue(one)
    assert requeueings(tmp_path) == ["scontrol requeue incomplete 12_0"]


@pytest.mark.parametrize(
    "there",
    [
        squeue(run=1),
        squeue(state="COMPLETING"),
        squeue(state="COMPLETED"),
        squeue(run=1, state="PENDING"),
        squeue(nodes="w2"),
        json.dumps({"jobs": [], "last_update": 1}),
    ],
)
def test_what_is_not_that_run_any_more_is_left_alone(tmp_path: Path, there: str) -> None:
    answering(tmp_path, there, there).requeue(placement("12"))
    assert requeueings(tmp_path) == []


@pytest.mark.parametrize(
    "fields", [{"requeue": False}, {"batch_flag": False}, {"het_job_id": 12, "requeue": True}]
)
def test_a_job_that_may_not_be_requeued_is_not(tmp_path: Path, fields: dict[str, object]) -> None:
    there = squeue(**fields)
    adapter = answering(tmp_path, there, there)
    assert [p.may_requeue for p in adapter.placements(["w1"], ["12"])] == [False]
    with pytest.raises(SchedulerError, match="job 12 may not be requeued"):
        adapter.requeue(placement("12"))
    assert requeueings(tmp_path) == []


@pytest.mark.parametrize("status", [0, 1])
def test_a_requeueing_that_does_not_come_about_says_why(tmp_path: Path, status: int) -> None:
    adapter = answering(tmp_path, squeue(), squeue(), status=status, words="Access denied")
    with pytest.raises(SchedulerError, match=r"12 on w1 is not put back: Access denied"):
        adapter.requeue(placement("12"))


def test_a_run_that_ends_meanwhile_is_no_failure(tmp_path: Path) -> None:
    ended = squeue(state="COMPLETED")
    answering(tmp_path, squeue(), ended, status=1, words="Job finished").requeue(placement("12"))


def test_a_job_that_nobody_can_ask_about_is_not_put_back(tmp_path: Path) -> None:
    adapter = slurm(tmp_path, "echo Unable to contact slurm controller >&2; exit 1")
    with pytest.raises(SchedulerUnavailable):
        adapter.requeue(placement("12"))
    assert requeueings(tmp_path) == []
