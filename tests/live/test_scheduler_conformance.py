"""The adapter's claims on a real Slurm, and what only a real one can show."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from builders import run_summary
from hotslot.errors import SchedulerError
from live.cluster import eventually
from live.slurm_stage import SLURM_CONF, LiveStage
from plugin.conformance import RequeueConformance
from plugin.slurm_conformance import SlurmConformance
from testbed import Testbed


@pytest.fixture(scope="module")
def stage() -> Iterator[LiveStage]:
    with Testbed(workers=3, vcpus=4, cores=12, hooks=False, slurm_conf_extra=SLURM_CONF) as bed:
        stage = LiveStage(bed)
        yield stage
        stage.clear()


class TestSlurmCommands(SlurmConformance, RequeueConformance):
    """squeue, scontrol and slurmctld of the testbed."""


def figures(**held: int) -> str:
    """Return the comment of these workers, as sacct shows it."""
    entries = "".join(f",`{worker}`:[4,{core_s},150,3.9,2]" for worker, core_s in held.items())
    return f"{{`hotslot`:1{entries}}}"


def _comment(stage: LiveStage, job: str) -> str:
    words = ["sacct", "-n", "-P", "-X", "-j", job, "--format=AdminComment"]
    return stage.bed.run(words, user="root").stdout.strip()


def test_a_summary_is_shown_by_sacct_for_each_worker(stage: LiveStage) -> None:
    scene = stage.scene("ended")
    for placement in sorted(scene.of("two"), key=lambda p: p.worker):
        scene.scheduler.write_back([run_summary(placement, held=placement.cpus)])
    first, second = sorted(scene.of("two"), key=lambda p: p.worker)
    expected = figures(**{first.worker: first.cpus, second.worker: second.cpus})
    assert _comment(stage, scene.jobs["two"]) == expected


def test_a_summary_goes_to_one_task_of_an_array(stage: LiveStage) -> None:
    scene = stage.scene("array")
    [one] = scene.of("1")
    scene.scheduler.write_back([run_summary(one, held=1)])
    assert _comment(stage, f"{one.array_job_id}_1") == figures(**{one.worker: 1})
    assert _comment(stage, f"{one.array_job_id}_0") == ""


def test_a_summary_goes_to_one_part_of_a_heterogeneous_job(stage: LiveStage) -> None:
    scene = stage.scene("het")
    [leader] = scene.of("leader")
    scene.scheduler.write_back([run_summary(leader, held=2)])
    said = _comment(stage, scene.jobs["leader"]).splitlines()
    assert said == [figures(**{leader.worker: 2})]


def test_a_comment_of_somebody_else_is_kept(stage: LiveStage) -> None:
    scene = stage.scene("running")
    [one] = scene.of("one")
    modify = ["sacctmgr", "-i", "modify", "job", "where", f"jobid={one.job_id}"]
    stage.bed.run([*modify, "set", "AdminComment=JS1:abc"], user="root")
    with pytest.raises(SchedulerError, match="keeps it: JS1:abc"):
        scene.scheduler.write_back([run_summary(one)])
    assert _comment(stage, one.job_id) == "JS1:abc"


def test_resuming_a_node_that_is_not_drained_changes_nothing(stage: LiveStage) -> None:
    stage.scene("running").scheduler.resume("w1")
    assert stage.bed.node_states()["w1"] != "drained"


def test_a_users_fair_share_is_what_sshare_says(stage: LiveStage) -> None:
    job = stage.scene("running").jobs["one"]

    def share() -> float | None:
        there = stage.scheduler().placements(stage.workers)
        [one] = [p for p in there if p.job_id == job]
        return one.fair_share

    eventually(lambda: share() is not None, 60, "the share is known")
    words = ["sshare", "-n", "-P", "-U", "-u", "alice", "-o", "FairShare"]
    assert share() == pytest.approx(float(stage.bed.run(words, user="root").stdout), abs=0.01)


@pytest.mark.parametrize("no_requeue", [True, False])
def test_a_job_may_be_requeued_unless_its_owner_says_no(stage: LiveStage, no_requeue: bool) -> None:
    stage.clear()
    job = stage.submit("one", "--hold", *["--no-requeue"] * no_requeue)
    [one] = stage.scheduler().placements(stage.workers, [job])
    assert one.may_requeue is not no_requeue


def test_a_deadline_is_the_schedulers(stage: LiveStage) -> None:
    stage.clear()
    job = stage.submit("one", "--hold", "--time=1", "--deadline=now+600")
    begun = time.time()
    [one] = stage.scheduler().placements(stage.workers, [job])
    assert one.deadline_at is not None
    assert abs(one.deadline_at - begun - 600) < 60


@pytest.mark.parametrize("options", [["--ntasks=4"], ["--ntasks=4", "--nodes=2"]])
def test_steps_of_a_batch_job_run_side_by_side(stage: LiveStage, options: list[str]) -> None:
    stage.clear()
    log = stage.bed.home / "alice" / "steps"
    step = "srun --ntasks=1 --nodes=1 --exact sh -c 'date +%s.%N; sleep 5; date +%s.%N'"
    script = f"for n in 1 2; do {step} >steps.$n & done; wait"
    job = stage.submit("steps", *options, script=script)
    stage.until(job, "COMPLETED")
    spans = [[float(line) for line in log.with_suffix(f".{n}").read_text().split()] for n in (1, 2)]
    assert max(start for start, _ in spans) < min(end for _, end in spans)


@pytest.mark.parametrize(
    ("options", "gres"),
    [
        ([], "gres/vm:1"),
        (["--array=1-3"], "gres/vm:1"),
        (["--nodes=2"], "gres/vm:1"),
        (["--gres=vm:2"], "gres/vm:1"),
        (["--gres=none"], "gres/vm:1"),
    ],
)
def test_a_job_asks_for_one_vm_a_node(stage: LiveStage, options: list[str], gres: str) -> None:
    stage.clear()
    job = stage.submit("gres", "--hold", *options)
    show = ["scontrol", "show", "job", job]
    assert f"TresPerNode={gres}\n" in stage.bed.run(show, user="root").stdout
    stage.bed.run(["scontrol", "update", f"job={job}", "timelimit=5"], user="root")
    assert f"TresPerNode={gres}\n" in stage.bed.run(show, user="root").stdout


def test_a_limit_is_read_back_from_the_controller_and_starts_who_waits(stage: LiveStage) -> None:
    stage.clear()
    scheduler = stage.scheduler(partition="host1")
    try:
        scheduler.offer({"host1": 5})
        (group,) = scheduler.queue(["w1", "w2"]).groups
        assert (group.name, group.workers, group.used, group.limit) == ("host1", ("w1", "w2"), 0, 5)
        first, second = (stage.submit(name, "--ntasks=4") for name in ("first", "second"))
        array = stage.submit("array", "--array=1-3", "--ntasks=3")
        stage.until(first, "RUNNING")
        stage.until(second, "PENDING", "QOSGrpCpuLimit")
        queue = scheduler.queue(["w1", "w2"])
        assert [(job.job_id.partition("_")[0], job.cpus) for job in queue.waiting] == [
            (second, 4),
            *[(array, 3)] * 3,
        ]
        assert queue.groups[0].used == 4
        scheduler.offer({"host1": 8})
        stage.until(second, "RUNNING")
        scheduler.offer({"host1": 3})
        assert [(g.used, g.limit) for g in scheduler.queue(["w1"]).groups] == [(8, 3)]
    finally:
        stage.clear()
        scheduler.offer({"host1": 12})
