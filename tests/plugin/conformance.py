"""What hotslot relies on of a scheduler adapter, as claims about scenes of a real Slurm.

A ``Stage`` shows scenes: a replay of recorded ones, or the live testbed. Each way to ask Slurm
subclasses ``SchedulerConformance`` and gives it a stage.

Workers are w1, w2 and w3, of 4 CPUs. Slurm gives a job of two nodes and 5 tasks 4 and 1 CPUs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import pytest

from hotslot.errors import SchedulerError, SchedulerUnavailable
from hotslot.model import JobPhase, Level, Placement
from hotslot.schedulers import Scheduler

WORKERS = ("w1", "w2", "w3")
NO_JOB = "4000000"


@dataclass(frozen=True, slots=True)
class Scene:
    """A scheduler in a known situation; ``jobs`` has the ids of its jobs by their part in it."""

    scheduler: Scheduler
    jobs: Mapping[str, str]

    def of(self, *parts: str) -> list[Placement]:
        """Ask for these jobs."""
        return list(self.scheduler.placements(WORKERS, [self.jobs[part] for part in parts]))

    def everyone(self) -> list[Placement]:
        """Ask who is on the workers."""
        return list(self.scheduler.placements(WORKERS))


class Stage(Protocol):
    """Where scenes are shown."""

    tells_how_completing_jobs_ended: bool
    """False for pyslurm, in which COMPLETING hides the state below it."""

    def scene(self, name: str) -> Scene: ...


class SchedulerConformance:
    """Claims, those of one scene together; ``stage`` is the subclass's fixture."""

    def test_a_job_in_its_prolog_is_starting_with_its_cpus(self, stage: Stage) -> None:
        scene = stage.scene("prolog")
        [one] = scene.of("one")
        assert (one.phase, one.cpus, one.run, one.outcome) == (JobPhase.STARTING, 4, 0, "")
        assert one.worker in WORKERS
        assert (one.user, one.partition, one.name) == ("alice", "host1", "one")
        assert one.time_limit_s == 600
        assert one.ended_at is None
        assert one.started_at is not None
        assert one.submitted_at is not None
        assert one.submitted_at <= one.started_at

    def test_a_job_on_two_nodes_has_its_cpus_on_each(self, stage: Stage) -> None:
        scene = stage.scene("prolog")
        two = scene.of("two")
        assert sorted(p.cpus for p in two) == [1, 4]
        assert len({p.worker for p in two}) == 2
        assert {p.phase for p in two} == {JobPhase.STARTING}

    def test_everyone_is_told_with_and_without_naming_them(self, stage: Stage) -> None:
        scene = stage.scene("prolog")
        assert sorted(p.worker for p in scene.everyone()) == list(WORKERS)
        assert {p.key for p in scene.everyone()} == {p.key for p in scene.of("one", "two")}

    def test_a_running_job_is_running(self, stage: Stage) -> None:
        [one] = stage.scene("running").of("one")
        assert (one.phase, one.cpus, one.outcome, one.exit_code) == (JobPhase.RUNNING, 4, "", "")

    def test_a_job_that_nobody_knows_is_nobody(self, stage: Stage) -> None:
        scene = stage.scene("running")
        assert list(scene.scheduler.placements(WORKERS, [NO_JOB])) == []
        found = scene.scheduler.placements(WORKERS, [NO_JOB, scene.jobs["one"]])
        assert [p.job_id for p in found] == [scene.jobs["one"]]

    @pytest.mark.parametrize("job_id", ["", "1.2", "-1", "1,2", "1;reboot", "all", "٣", "9" * 30])
    def test_what_is_no_job_id_is_nobody(self, stage: Stage, job_id: str) -> None:
        scene = stage.scene("running")
        assert list(scene.scheduler.placements(WORKERS, [job_id])) == []

    def test_an_unknown_worker_hides_nobody_else(self, stage: Stage) -> None:
        scene = stage.scene("running")
        found = scene.scheduler.placements([*WORKERS, "nobody"])
        assert [p.job_id for p in found] == [scene.jobs["one"]]
        conditions = scene.scheduler.conditions([*WORKERS, "nobody"])
        assert sorted(c.worker for c in conditions) == list(WORKERS)

    @pytest.mark.parametrize("worker", ["", "-h", "w1,w2", "w[1-2]", "w1 state=down", "w1\n", "é"])
    def test_what_is_no_node_name_is_refused(self, stage: Stage, worker: str) -> None:
        scheduler = stage.scene("running").scheduler
        for ask in (scheduler.placements, scheduler.conditions):
            with pytest.raises(SchedulerError, match="not a name of a Slurm node"):
                ask([worker])
        with pytest.raises(SchedulerError, match="not a name of a Slurm node"):
            scheduler.resume(worker)

    def test_a_cluster_set_up_as_documented_has_nothing_wrong(self, stage: Stage) -> None:
        findings = stage.scene("running").scheduler.check(WORKERS, 60.0)
        wrong = [f for f in findings if f.level is not Level.OK]
        assert wrong == []
        assert len(findings) > len(WORKERS) + 10

    def test_a_node_that_a_completing_job_has_left_is_free(self, stage: Stage) -> None:
        scene = stage.scene("completing")
        phases = {p.phase: p for p in scene.of("two")}
        assert set(phases) == {JobPhase.ENDED, JobPhase.ENDING}
        assert [p.worker for p in scene.everyone()] == [phases[JobPhase.ENDING].worker]
        assert sum(p.cpus for p in phases.values()) == 5
        if stage.tells_how_completing_jobs_ended:
            assert {p.outcome for p in phases.values()} == {"COMPLETED"}

    def test_a_job_that_has_ended_is_told_only_by_name(self, stage: Stage) -> None:
        scene = stage.scene("ended")
        [one] = scene.of("one")
        assert (one.phase, one.cpus, one.outcome) == (JobPhase.ENDED, 4, "COMPLETED")
        assert one.exit_code == "0:0"
        assert one.ended_at is not None
        assert one.started_at is not None
        assert one.ended_at >= one.started_at
        assert scene.everyone() == []

    def test_the_cpus_of_an_ended_job_on_two_nodes_are_still_known(self, stage: Stage) -> None:
        assert sorted(p.cpus for p in stage.scene("ended").of("two")) == [1, 4]

    def test_a_job_that_fails_says_how(self, stage: Stage) -> None:
        [failed] = stage.scene("ended").of("failed")
        assert (failed.outcome, failed.exit_code) == ("FAILED", "3:0")

    def test_several_jobs_are_told_in_one_answer(self, stage: Stage) -> None:
        scene = stage.scene("ended")
        found = scene.of("one", "two", "failed")
        assert {p.job_id for p in found} == set(scene.jobs.values())

    def test_a_job_cancelled_in_its_prolog_is_ending(self, stage: Stage) -> None:
        [one] = stage.scene("cancelled").of("one")
        assert one.phase is JobPhase.ENDING
        if stage.tells_how_completing_jobs_ended:
            assert one.outcome == "CANCELLED"

    def test_the_epilog_of_a_requeued_job_belongs_to_its_last_run(self, stage: Stage) -> None:
        [one] = stage.scene("requeued").of("one")
        assert (one.phase, one.run, one.outcome) == (JobPhase.ENDING, 0, "REQUEUED")
        assert one.started_at is None

    def test_a_requeued_job_that_waits_has_the_next_run_and_no_worker(self, stage: Stage) -> None:
        scene = stage.scene("waiting")
        [one] = scene.of("one")
        assert (one.phase, one.run, one.worker) == (JobPhase.PENDING, 1, "")
        assert scene.everyone() == []

    def test_the_tasks_of_an_array_have_their_own_job_ids(self, stage: Stage) -> None:
        scene = stage.scene("array")
        for task in ("0", "1"):
            [one] = scene.of(task)
            assert (one.array_task_id, one.phase) == (task, JobPhase.RUNNING)
            assert one.array_job_id in scene.jobs.values()
        assert len(scene.of("0", "1")) == 2

    def test_the_parts_of_a_heterogeneous_job_have_their_own_job_ids(self, stage: Stage) -> None:
        scene = stage.scene("het")
        [leader], [other] = scene.of("leader"), scene.of("other")
        assert (leader.cpus, other.cpus) == (2, 3)
        assert leader.het_job_id == other.het_job_id == leader.job_id
        assert leader.worker != other.worker

    def test_a_node_whose_prolog_failed_is_drained_and_says_why(self, stage: Stage) -> None:
        conditions = stage.scene("drained").scheduler.conditions(WORKERS)
        drained = [c for c in conditions if c.drained]
        assert [(c.reason, c.reason_by, c.down) for c in drained] == [
            ("Prolog error", "root", False)
        ]
        assert all(c.reason_at for c in drained)
        assert {c.reason for c in conditions if not c.drained} == {""}

    def test_a_node_that_was_resumed_is_not_drained(self, stage: Stage) -> None:
        conditions = stage.scene("resumed").scheduler.conditions(WORKERS)
        assert [c.worker for c in conditions if c.drained] == []

    def test_a_silent_controller_is_not_taken_for_an_empty_cluster(self, stage: Stage) -> None:
        scene = stage.scene("away")
        asks = (
            scene.everyone,
            lambda: scene.of("one"),
            lambda: scene.scheduler.conditions(WORKERS),
        )
        for ask in asks:
            with pytest.raises(SchedulerUnavailable, match=r"(?i)contact|connect"):
                ask()
