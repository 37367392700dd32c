"""What is Slurm's own: jobs on several nodes, heterogeneous ones, who drained a node."""

from __future__ import annotations

from hotslot.model import JobPhase
from plugin.conformance import SchedulerConformance, Stage

WORKERS = ("w1", "w2", "w3")


class SlurmWords:
    """Slurm's part of a stage. A job of two nodes and 5 tasks has 4 and 1 CPUs."""

    workers = WORKERS
    partition = "host1"
    no_job = "4000000"
    no_job_ids: tuple[str, ...] = ("1.2", "1.0@ctl")
    refuses = "not a name of a Slurm node"
    away = r"(?i)contact|connect"
    failed, cancelled, requeued = "FAILED", "CANCELLED", "REQUEUED"
    put_back = "REQUEUED"
    drained_for = "Prolog error"
    tells_how_completing_jobs_ended = True
    tells_priorities = True


class SlurmConformance(SchedulerConformance):
    """The claims of every scheduler, and Slurm's."""

    def test_a_job_on_two_nodes_has_its_cpus_on_each(self, stage: Stage) -> None:
        scene = stage.scene("prolog")
        two = scene.of("two")
        assert sorted(p.cpus for p in two) == [1, 4]
        assert len({p.worker for p in two}) == 2
        assert {p.phase for p in two} == {JobPhase.STARTING}

    def test_a_node_that_a_completing_job_has_left_is_free(self, stage: Stage) -> None:
        scene = stage.scene("completing")
        phases = {p.phase: p for p in scene.of("two")}
        assert set(phases) == {JobPhase.ENDED, JobPhase.ENDING}
        assert [p.worker for p in scene.everyone()] == [phases[JobPhase.ENDING].worker]
        assert sum(p.cpus for p in phases.values()) == 5
        if stage.tells_how_completing_jobs_ended:
            assert {p.outcome for p in phases.values()} == {"COMPLETED"}

    def test_the_cpus_of_an_ended_job_on_two_nodes_are_still_known(self, stage: Stage) -> None:
        assert sorted(p.cpus for p in stage.scene("ended").of("two")) == [1, 4]

    def test_a_requeued_job_has_not_started_yet(self, stage: Stage) -> None:
        [one] = stage.scene("requeued").of("one")
        assert one.started_at is None

    def test_the_parts_of_a_heterogeneous_job_have_their_own_job_ids(self, stage: Stage) -> None:
        scene = stage.scene("het")
        [leader], [other] = scene.of("leader"), scene.of("other")
        assert (leader.cpus, other.cpus) == (2, 3)
        assert leader.het_job_id == other.het_job_id == leader.job_id
        assert leader.worker != other.worker

    def test_a_node_whose_prolog_failed_says_who_drained_it(self, stage: Stage) -> None:
        conditions = stage.scene("drained").scheduler.conditions(stage.workers)
        assert [c.reason_by for c in conditions if c.drained] == ["root"]
