"""What hotslot relies on of a scheduler adapter, as claims about scenes of a real scheduler.

A ``Stage`` shows scenes: a replay of recorded ones, or the live testbed. Each way to ask a
scheduler subclasses ``SchedulerConformance``, or its own scheduler's claims, and gives it a stage.
Workers have 4 CPUs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import pytest

from hotslot.errors import SchedulerError, SchedulerUnavailable
from hotslot.model import JobPhase, Level, Placement
from hotslot.schedulers import Scheduler


@dataclass(frozen=True, slots=True)
class Scene:
    """A scheduler in a known situation; ``jobs`` has the ids of its jobs by their part in it."""

    scheduler: Scheduler
    jobs: Mapping[str, str]
    workers: tuple[str, ...]

    def of(self, *parts: str) -> list[Placement]:
        """Ask for these jobs."""
        return list(self.scheduler.placements(self.workers, [self.jobs[part] for part in parts]))

    def everyone(self) -> list[Placement]:
        """Ask who is on the workers."""
        return list(self.scheduler.placements(self.workers))


class Stage(Protocol):
    """Where scenes are shown, and the words of its scheduler."""

    workers: tuple[str, ...]
    partition: str
    no_job: str
    """The id of a job that nobody knows."""
    no_job_ids: tuple[str, ...]
    """Words that are no job ids."""
    refuses: str
    """How a name is refused that no worker can have."""
    away: str
    """How it is told that the scheduler does not answer."""
    failed: str
    cancelled: str
    requeued: str
    """The outcomes of a job that exits with 3, of one that was cancelled, of one that waits for
    its next run."""
    drained_for: str
    put_back: str
    """How a run ended that hotslot put back into the queue."""
    tells_how_completing_jobs_ended: bool
    """False for pyslurm, in which COMPLETING hides the state below it."""
    tells_priorities: bool
    """Whether the scheduler has a number for each job that can be compared with others'."""

    def scene(self, name: str) -> Scene: ...


NO_JOB_IDS = ("", "-1", "1,2", "1;reboot", "all", "٣", "9" * 30, "1\n", "1.0@", "1.0@a b")
NO_WORKERS = ("", "-h", "w1,w2", "w[1-2]", "w1 state=down", "w1\n", "é", 'w1" || true', "w" * 300)


class SchedulerConformance:
    """Claims, those of one scene together; ``stage`` is the subclass's fixture."""

    def test_a_job_in_its_prolog_is_starting_with_its_cpus(self, stage: Stage) -> None:
        scene = stage.scene("prolog")
        [one] = scene.of("one")
        assert (one.phase, one.cpus, one.run, one.outcome) == (JobPhase.STARTING, 4, 0, "")
        assert one.worker in stage.workers
        assert (one.user, one.partition, one.name) == ("alice", stage.partition, "one")
        assert one.time_limit_s == 600
        assert one.ended_at is None
        assert one.started_at is not None
        assert one.submitted_at is not None
        assert one.submitted_at <= one.started_at

    def test_everyone_is_told_with_and_without_naming_them(self, stage: Stage) -> None:
        scene = stage.scene("prolog")
        everyone = {p.key for p in scene.everyone()}
        assert everyone == {p.key for p in scene.of(*scene.jobs)}
        assert len(everyone) >= len(scene.jobs) > 1

    def test_a_running_job_is_running(self, stage: Stage) -> None:
        [one] = stage.scene("running").of("one")
        assert (one.phase, one.cpus, one.outcome, one.exit_code) == (JobPhase.RUNNING, 4, "", "")

    def test_a_job_says_what_its_owner_asked_of_hotslot(self, stage: Stage) -> None:
        [one] = stage.scene("running").of("one")
        assert one.asked == "min=2,burst=no"
        [silent] = stage.scene("prolog").of("one")
        assert silent.asked == ""

    def test_a_batch_job_may_be_requeued_unless_it_was_forbidden(self, stage: Stage) -> None:
        [one] = stage.scene("running").of("one")
        assert one.may_requeue

    def test_a_jobs_standing_is_told_as_far_as_the_scheduler_knows(self, stage: Stage) -> None:
        [one] = stage.scene("running").of("one")
        assert (one.priority is not None) == stage.tells_priorities
        assert one.fair_share is None or 0 <= one.fair_share <= 1
        assert one.deadline_at is None

    def test_a_job_that_nobody_knows_is_nobody(self, stage: Stage) -> None:
        scene = stage.scene("running")
        assert list(scene.scheduler.placements(stage.workers, [stage.no_job])) == []
        found = scene.scheduler.placements(stage.workers, [stage.no_job, scene.jobs["one"]])
        assert [p.job_id for p in found] == [scene.jobs["one"]]

    def test_what_is_no_job_id_is_nobody(self, stage: Stage) -> None:
        scene = stage.scene("running")
        for job_id in (*NO_JOB_IDS, *stage.no_job_ids):
            assert list(scene.scheduler.placements(stage.workers, [job_id])) == [], job_id

    def test_an_unknown_worker_hides_nobody_else(self, stage: Stage) -> None:
        scene = stage.scene("running")
        found = scene.scheduler.placements([*stage.workers, "nobody"])
        assert [p.job_id for p in found] == [scene.jobs["one"]]
        conditions = scene.scheduler.conditions([*stage.workers, "nobody"])
        assert sorted(c.worker for c in conditions) == sorted(stage.workers)

    @pytest.mark.parametrize("worker", NO_WORKERS)
    def test_what_is_no_workers_name_is_refused(self, stage: Stage, worker: str) -> None:
        scheduler = stage.scene("running").scheduler
        for ask in (scheduler.placements, scheduler.conditions):
            with pytest.raises(SchedulerError, match=stage.refuses):
                ask([worker])
        with pytest.raises(SchedulerError, match=stage.refuses):
            scheduler.resume(worker)
        one = Placement(scheduler.name, stage.no_job, 0, worker, 1, JobPhase.RUNNING)
        with pytest.raises(SchedulerError, match=stage.refuses):
            scheduler.requeue(one)

    def test_what_is_no_job_id_is_not_put_back(self, stage: Stage) -> None:
        scheduler = stage.scene("running").scheduler
        for job_id in (*NO_JOB_IDS, *stage.no_job_ids):
            one = Placement(scheduler.name, job_id, 0, stage.workers[0], 1, JobPhase.RUNNING)
            with pytest.raises(SchedulerError, match="is not"):
                scheduler.requeue(one)

    def test_a_cluster_set_up_as_documented_has_nothing_wrong(self, stage: Stage) -> None:
        findings = stage.scene("running").scheduler.check(stage.workers, 60.0)
        wrong = [f for f in findings if f.level is not Level.OK]
        assert wrong == []
        assert len(findings) > len(stage.workers) + 10

    def test_a_job_that_has_ended_is_told_only_by_name(self, stage: Stage) -> None:
        scene = stage.scene("ended")
        [one] = scene.of("one")
        assert (one.phase, one.cpus, one.outcome) == (JobPhase.ENDED, 4, "COMPLETED")
        assert one.exit_code == "0:0"
        assert one.ended_at is not None
        assert one.started_at is not None
        assert one.ended_at >= one.started_at
        assert scene.everyone() == []

    def test_a_job_that_fails_says_how(self, stage: Stage) -> None:
        [failed] = stage.scene("ended").of("failed")
        assert (failed.outcome, failed.exit_code) == (stage.failed, "3:0")

    def test_several_jobs_are_told_in_one_answer(self, stage: Stage) -> None:
        scene = stage.scene("ended")
        found = scene.of(*scene.jobs)
        assert {p.job_id for p in found} == set(scene.jobs.values())

    def test_a_cancelled_job_whose_hook_runs_is_ending(self, stage: Stage) -> None:
        [one] = stage.scene("cancelled").of("one")
        assert one.phase is JobPhase.ENDING
        if stage.tells_how_completing_jobs_ended:
            assert one.outcome == stage.cancelled

    def test_the_last_hook_of_a_requeued_job_belongs_to_its_last_run(self, stage: Stage) -> None:
        [one] = stage.scene("requeued").of("one")
        assert (one.phase, one.run, one.outcome) == (JobPhase.ENDING, 0, stage.requeued)

    def test_a_requeued_job_that_waits_has_the_next_run_and_no_worker(self, stage: Stage) -> None:
        scene = stage.scene("waiting")
        [one] = scene.of("one")
        assert (one.phase, one.run, one.worker) == (JobPhase.PENDING, 1, "")
        assert one.before == stage.requeued
        assert scene.everyone() == []

    def test_the_tasks_of_an_array_have_their_own_job_ids(self, stage: Stage) -> None:
        scene = stage.scene("array")
        for task in ("0", "1"):
            [one] = scene.of(task)
            assert (one.array_task_id, one.phase) == (task, JobPhase.RUNNING)
        both = scene.of("0", "1")
        assert len({one.job_id for one in both}) == 2
        assert len({one.array_job_id for one in both} - {""}) == 1

    def test_a_drained_worker_says_why(self, stage: Stage) -> None:
        conditions = stage.scene("drained").scheduler.conditions(stage.workers)
        drained = [c for c in conditions if c.drained]
        assert [(c.reason, c.down) for c in drained] == [(stage.drained_for, False)]
        assert all(c.reason_at for c in drained)
        assert {c.reason for c in conditions if not c.drained} == {""}

    def test_a_worker_that_was_resumed_is_not_drained(self, stage: Stage) -> None:
        conditions = stage.scene("resumed").scheduler.conditions(stage.workers)
        assert [c.worker for c in conditions if c.drained] == []

    def test_a_silent_controller_is_not_taken_for_an_empty_cluster(self, stage: Stage) -> None:
        scene = stage.scene("away")
        asks = (
            scene.everyone,
            lambda: scene.of("one"),
            lambda: scene.scheduler.conditions(stage.workers),
        )
        for ask in asks:
            with pytest.raises(SchedulerUnavailable, match=stage.away):
                ask()


class RequeueConformance:
    """What comes of a run that is put back: claims that change the scene, so that only a scheduler
    shows them that goes on by itself. In scene ``borrower`` one job runs."""

    def test_a_run_that_is_put_back_is_followed_by_the_next(self, stage: Stage) -> None:
        scene = stage.scene("borrower")
        [one] = scene.of("one")
        assert (one.phase, one.run) == (JobPhase.RUNNING, 0)
        scene.scheduler.requeue(one)
        scene.scheduler.requeue(one)
        until(lambda: [p.run for p in scene.of("one")] == [1])
        [again] = scene.of("one")
        assert again.before == stage.put_back

    def test_a_run_that_is_over_is_left_alone(self, stage: Stage) -> None:
        """Whoever asks for it late puts back neither the next run nor a job that waits."""
        scene = stage.scene("borrower")
        [one] = scene.of("one")
        late = replace(one, run=0, worker=stage.workers[0])
        scene.scheduler.requeue(late)
        until(lambda: [p.run for p in scene.of("one")] == [1])
        scene.scheduler.requeue(late)
        assert [p.run for p in scene.of("one")] == [1]

    def test_a_run_on_another_worker_is_left_alone(self, stage: Stage) -> None:
        scene = stage.scene("running")
        [one] = scene.of("one")
        other = next(worker for worker in stage.workers if worker != one.worker)
        scene.scheduler.requeue(replace(one, worker=other))
        assert [(p.run, p.phase) for p in scene.of("one")] == [(0, JobPhase.RUNNING)]


def until(happens: Callable[[], bool], timeout_s: float = 120.0) -> None:
    """Wait for what a scheduler does in its own time."""
    end = time.monotonic() + timeout_s
    while not happens():
        assert time.monotonic() < end, f"not within {timeout_s:g} s"
        time.sleep(0.5)
