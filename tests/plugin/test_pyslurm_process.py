"""pyslurm may crash, hang and end its process: the agent gets an error or another answer."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hotslot.errors import SchedulerError, SchedulerUnavailable
from hotslot_plugin.child_process import Child, ChildFailed
from hotslot_plugin.slurm_command import Command
from hotslot_plugin.slurm_document import Part
from hotslot_plugin.slurm_pyslurm import ByPyslurm, job_of
from hotslot_plugin.slurm_scontrol import ByCommand
from hotslot_plugin.slurm_source import FAILURES_MAX, Auto, choose
from plugin.replay import SCENES, Replay, pyslurm_in

JOB = {"id": 7, "state": "RUNNING", "allocated_nodes": "w1", "cpus": 4}


@pytest.fixture
def made() -> Iterator[list[ByPyslurm]]:
    """Sources to close after the test."""
    sources: list[ByPyslurm] = []
    yield sources
    for source in sources:
        source.close()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("crash", "status -11"),
        ("hang", "no answer within 2 s"),
        ("babble", "not JSON"),
        ("exit", "status 1: fatal: Could not establish a configuration source"),
    ],
)
def test_a_bad_pyslurm_is_an_unavailable_scheduler(
    made: list[ByPyslurm], how: str, words: str
) -> None:
    made.append(pyslurm_in(how, timeout_s=2.0))
    begun = time.monotonic()
    with pytest.raises(SchedulerError, match=words):
        made[0].jobs(["1"])
    assert time.monotonic() - begun < 8


def test_a_crashed_pyslurm_is_started_again() -> None:
    child = Child(["sh", "-c", "echo {}; read line; exit 3"], 5.0)
    for _ in range(2):
        with pytest.raises(ChildFailed, match="ended with status 3"):
            child.ask({"ask": "jobs"})


def test_a_process_answers_more_than_one_question() -> None:
    child = Child(["sh", "-c", 'echo {}; while read line; do echo "{\\"n\\": 1}"; done'], 5.0)
    assert [child.ask({})["n"] for _ in range(3)] == [1, 1, 1]
    child.close()


def test_an_endless_answer_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotslot_plugin.child_process.ANSWER_BYTES", 1_000_000)
    child = Child(["sh", "-c", "echo {}; read line; exec tr '\\0' x </dev/zero"], 20.0)
    with pytest.raises(ChildFailed):
        child.ask({})


def test_a_program_that_does_not_exist_is_an_unavailable_scheduler() -> None:
    with pytest.raises(SchedulerUnavailable, match="cannot be run: No such file"):
        Child(["/nonexistent/python"], 1.0).ask({})


def test_auto_asks_again_by_command_when_pyslurm_fails(made: list[ByPyslurm]) -> None:
    made.append(pyslurm_in("crash", timeout_s=5.0))
    scene = Replay().scene("running")
    by_command = ByCommand(scene.scheduler._command)  # type: ignore[attr-defined]
    auto = Auto(made[0], by_command, lambda: True)
    for count in range(FAILURES_MAX):
        assert auto.name == "pyslurm", count
        assert [job.job_id for job in auto.jobs([scene.jobs["one"]])] == [scene.jobs["one"]]
    assert auto.name == "scontrol"


def test_auto_lets_an_unavailable_controller_be_unavailable(made: list[ByPyslurm]) -> None:
    made.append(pyslurm_in(str(SCENES / "away")))
    auto = Auto(made[0], made[0], lambda: True)
    with pytest.raises(SchedulerUnavailable, match="Unable to contact slurm controller"):
        auto.jobs(["1"])
    assert auto.name == "pyslurm"


def test_auto_without_pyslurm_uses_the_commands() -> None:
    assert choose("auto", Command()).name == "scontrol"


def test_pyslurm_that_is_demanded_must_be_installed() -> None:
    with pytest.raises(ValueError, match="source: pyslurm is not installed"):
        choose("pyslurm", Command())


def test_cores_of_two_threads_count_twice() -> None:
    job = job_of(Part({**JOB, "cpus": 8, "cpu_ids": {"w1": "0-1,4,6"}}, "job"))
    assert job.cpus_on == {"w1": 8}


def test_the_first_task_of_an_array_has_task_id_0() -> None:
    """pyslurm tells 0 as None; the part of an array that still waits has no task id either."""
    assert job_of(Part({**JOB, "array_id": 5}, "job")).array_task_id == "0"
    waiting = {**JOB, "array_id": 5, "allocated_nodes": None, "state": "PENDING"}
    assert job_of(Part(waiting, "job")).array_task_id == ""


@pytest.mark.parametrize(
    ("facts", "where"),
    [
        ({**JOB, "id": None}, "job.id"),
        ({**JOB, "cpu_ids": {"w1": "0-99999999"}}, "job.cpu_ids.w1"),
        ({**JOB, "cpu_ids": {"w 1": "0"}}, "job.cpu_ids"),
        ({**JOB, "allocated_nodes": "w[1-"}, "job.allocated_nodes"),
        ({**JOB, "start_time": "yesterday"}, "job.start_time"),
    ],
)
def test_odd_facts_are_refused_by_their_place(facts: dict[str, object], where: str) -> None:
    with pytest.raises(SchedulerError, match=where):
        job_of(Part(facts, "job"))
