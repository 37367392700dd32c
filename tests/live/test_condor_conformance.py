"""The adapter's claims on a real HTCondor pool, and what only a real one can show."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from builders import run_summary
from hotslot.model import Placement
from hotslot_plugin.condor_runs import RUNS, TOTALS
from live.cluster import eventually
from live.condor_stage import CONF, SUBMIT_CONF, WORKER_CONF, CondorStage
from plugin.condor_conformance import CondorConformance
from plugin.conformance import RequeueConformance
from testbed import Testbed
from testbed.cache import Artifact


@pytest.fixture(scope="module")
def stage() -> Iterator[CondorStage]:
    conf = CONF + SUBMIT_CONF.read_text()
    with Testbed(
        workers=0,
        condor_workers=2,
        vcpus=4,
        hooks=False,
        condor_conf_extra=conf,
        condor_worker_conf_extra=WORKER_CONF,
    ) as bed:
        stage = CondorStage(bed)
        yield stage
        stage.close()


class TestHTCondor(CondorConformance, RequeueConformance):
    """The testbed's pool."""


def _shown(stage: CondorStage, command: str, job_id: str, *names: str) -> list[str]:
    words = [command, job_id.partition("@")[0], "-af", *names]
    return stage.bed.run(words, user="root").stdout.split()


def test_figures_are_in_the_history_of_a_removed_job(stage: CondorStage) -> None:
    scene = stage.scene("running")
    [one] = scene.of("one")
    scene.scheduler.write_back([run_summary(one, held=260)])
    scene.scheduler.write_back([run_summary(one, held=270)])
    stage.act("condor_rm", one.job_id.partition("@")[0])
    stage.until_over(one.job_id)
    found = [float(word) for word in _shown(stage, "condor_history", one.job_id, *TOTALS)]
    assert found == [4, 270, 150, 3.9, 2]
    stage.clear()


OLD_BINDINGS = "23.0.28"
"""The last that PyPI has without htcondor2."""


@pytest.fixture(scope="module")
def old_python() -> str:
    """An interpreter with the bindings' old names, and without hotslot."""

    def build(path: Path, lock: int) -> None:
        venv = [sys.executable, "-m", "venv", str(path)]
        pip = [str(path / "bin/pip"), "install", "-q", f"htcondor=={OLD_BINDINGS}"]
        for command in (venv, pip):
            subprocess.run(command, check=True, pass_fds=[lock], timeout=600)

    recipe = f"{OLD_BINDINGS} {sys.version}"
    return str(Artifact("condor-old-bindings", recipe, build).ensure() / "bin/python")


def test_the_bindings_of_old_names_say_the_same(stage: CondorStage, old_python: str) -> None:
    scene = stage.scene("queued")
    new, old = stage.scheduler(), stage.scheduler(python=old_python)
    ids = list(scene.jobs.values())
    try:
        for asked in ([], ids):
            told = [_without_share(one.placements(stage.workers, asked)) for one in (old, new)]
            assert told[0] == told[1] != []
        assert old.conditions(stage.workers) == new.conditions(stage.workers)
        assert old.queue(stage.workers) == new.queue(stage.workers)
        old.offer({"c1": 4, "c2": 4})
        [one] = scene.of("one")
        old.write_back([run_summary(one, held=260)])
        old.write_back([run_summary(one, held=270)])
        found = [float(word) for word in _shown(stage, "condor_q", one.job_id, *TOTALS)]
        assert found == [4, 270, 150, 3.9, 2]
        checks = [list(each.check(stage.workers, 60)) for each in (old, new)]
        assert checks[0][1:] == checks[1][1:], "the first tells the bindings' version"
        assert "bindings 23.0" in checks[0][0].found
        old.requeue(one)
        matches = partial(_shown, stage, "condor_q", one.job_id, "JobStatus", "NumJobMatches")
        eventually(lambda: matches() in (["1", "1"], ["2", "2"]), 120, "its first run is over")
    finally:
        old.close()
        new.close()
        stage.clear()


def _without_share(found: Sequence[Placement]) -> list[Placement]:
    """Fair shares are asked for now and then, not with each question."""
    return [replace(placement, fair_share=None) for placement in found]


def test_forged_figures_are_overwritten(stage: CondorStage) -> None:
    stage.clear()
    forged = '+HotslotRuns = { [ Run = 0; Worker = "c9"; Held = strcat("a", "b") ], 5 }'
    one = stage.submit("forged", forged, '+HotslotEvents = "many"')
    stage.until(one, 2, executing=True)
    scheduler = stage.scheduler()
    [placed] = scheduler.placements(stage.workers, [one])
    scheduler.write_back([run_summary(placed)])
    found = [float(word) for word in _shown(stage, "condor_q", one, *TOTALS)]
    assert found == [4, 260, 150, 3.9, 2]
    stage.bed.run(["condor_qedit", one.partition("@")[0], RUNS, "{}"], check=False)
    assert _shown(stage, "condor_q", one, f"size({RUNS})") == ["1"]
    scheduler.close()
    stage.clear()


def test_a_job_that_has_left_the_queue_is_passed_over(stage: CondorStage) -> None:
    scene = stage.scene("ended")
    [one] = scene.of("one")
    scene.scheduler.write_back([run_summary(one)])


def test_a_kick_starts_who_waits(stage: CondorStage) -> None:
    scene = stage.scene("queued")
    scene.scheduler.queue(stage.workers)
    stage.act("condor_rm", scene.jobs["one"].partition("@")[0])
    stage.until_over(scene.jobs["one"])
    begun = time.monotonic()
    scene.scheduler.offer({"c1": 4})
    stage.until(scene.jobs["two"], 2)
    assert time.monotonic() - begun < 10
    stage.clear()


def test_a_silent_startd_hides_nobody_and_its_job_goes_on(stage: CondorStage) -> None:
    """What does not answer is not taken for empty: the schedd's word counts."""
    stage.clear()
    one = stage.submit("one")
    stage.until(one, 2, executing=True)
    scheduler = stage.scheduler()
    worker = stage.bed.worker("c1")
    worker.exec(["pkill", "-STOP", "-x", "condor_startd"])
    try:
        found = scheduler.placements(stage.workers)
        assert [(p.job_id, p.worker) for p in found] == [(one, "c1")]
        assert [g.name for g in scheduler.queue(stage.workers).groups] == ["c2"]
    finally:
        worker.exec(["pkill", "-CONT", "-x", "condor_startd"])
        eventually(lambda: len(scheduler.queue(stage.workers).groups) == 2, 60, "it answers again")
        scheduler.close()
        stage.clear()


def test_a_user_alone_in_the_pool_has_the_mean_share(stage: CondorStage) -> None:
    """The negotiator tells the collector of a user some time after the user's first job."""
    scene = stage.scene("running")

    def share() -> float | None:
        scheduler = stage.scheduler()
        there = scheduler.placements(stage.workers)
        scheduler.close()
        [one] = [p for p in there if p.job_id == scene.jobs["one"]]
        return one.fair_share

    eventually(lambda: share() is not None, 120, "the share is known")
    assert share() == pytest.approx(0.5, abs=0.01)
