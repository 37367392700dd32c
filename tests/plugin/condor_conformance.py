"""What is HTCondor's own: startds that know better than schedds, figures in the queue, offers."""

from __future__ import annotations

from hotslot.model import JobPhase
from plugin.conformance import SchedulerConformance, Stage

WORKERS = ("c1", "c2")


class CondorWords:
    """HTCondor's part of a stage."""

    workers = WORKERS
    partition = ""
    no_job = "4000000.0@ctl.hotslot.test"
    no_job_ids: tuple[str, ...] = ("12", "1.0", "1.0@-x", '1.0@a" || true', "1.0@" + "a" * 300)
    refuses = "not a name of an HTCondor machine"
    away = r"(?i)connect|communicat|failed|no answer|no schedd"
    failed, cancelled, requeued = "COMPLETED", "REMOVED", "HELD"
    put_back = "EVICTED"
    drained_for = "for a test"
    tells_how_completing_jobs_ended = True
    tells_priorities = False


class CondorConformance(SchedulerConformance):
    """The claims of every scheduler, and HTCondor's."""

    def test_several_jobs_are_told_in_one_answer(self, stage: Stage) -> None:
        """And one that was killed has its signal."""
        scene = stage.scene("ended")
        found = {p.job_id: (p.outcome, p.exit_code) for p in scene.of(*scene.jobs)}
        assert found == {
            scene.jobs["one"]: ("COMPLETED", "0:0"),
            scene.jobs["failed"]: ("COMPLETED", "3:0"),
            scene.jobs["killed"]: ("COMPLETED", "0:9"),
        }

    def test_a_job_that_waits_is_pending_and_in_the_queue(self, stage: Stage) -> None:
        scene = stage.scene("queued")
        [two] = scene.of("two")
        assert (two.phase, two.worker, two.run, two.cpus) == (JobPhase.PENDING, "", 0, 3)
        queue = scene.scheduler.queue(stage.workers)
        assert [(job.job_id, job.cpus) for job in queue.waiting] == [(scene.jobs["two"], 3)]
        assert two.submitted_at is not None
        assert queue.waiting[0].since >= two.submitted_at

    def test_a_worker_tells_its_use_and_its_limit(self, stage: Stage) -> None:
        queue = stage.scene("queued").scheduler.queue(stage.workers)
        groups = {group.name: group for group in queue.groups}
        assert {name: group.workers for name, group in groups.items()} == {
            worker: (worker,) for worker in stage.workers
        }
        assert [(groups["c1"].used, groups["c1"].limit, groups["c1"].gated)] == [(4, 4, True)]

    def test_a_suspended_job_is_suspended(self, stage: Stage) -> None:
        [one] = stage.scene("suspended").of("one")
        assert (one.phase, one.run, one.worker) == (JobPhase.SUSPENDED, 0, "c1")

    def test_a_job_whose_startd_was_killed_has_left_its_worker(self, stage: Stage) -> None:
        """The schedd says for up to JobLeaseDuration that it runs."""
        scene = stage.scene("startd_killed")
        [one] = scene.of("one")
        assert (one.phase, one.run, one.worker) == (JobPhase.ENDED, 0, "c1")
        assert scene.everyone() == []

    def test_a_job_that_a_killed_schedd_finds_again_is_the_same_run(self, stage: Stage) -> None:
        [one] = stage.scene("reconnected").of("one")
        assert (one.phase, one.run, one.worker) == (JobPhase.RUNNING, 0, "c1")

    def test_a_job_that_was_vacated_and_starts_again_is_another_run(self, stage: Stage) -> None:
        [one] = stage.scene("vacated").of("one")
        assert (one.phase, one.run, one.worker) == (JobPhase.RUNNING, 1, "c1")
        assert one.before == "EVICTED"
