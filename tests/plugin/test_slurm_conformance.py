"""The adapter's claims, on recorded scenes of a real Slurm and on a fake pyslurm in them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hotslot.model import Level
from plugin.conformance import RequeueConformance, Stage
from plugin.replay import PyslurmReplay, Replay, Requeueing
from plugin.slurm_conformance import WORKERS, SlurmConformance


class TestCommands(SlurmConformance):
    """squeue and scontrol of 24.11, replayed."""

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls) -> Replay:
        return Replay()


class TestRequeueing(RequeueConformance):
    """A fake Slurm whose job waits again as soon as it is put back."""

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls, tmp_path_factory: pytest.TempPathFactory) -> Requeueing:
        return Requeueing(tmp_path_factory.mktemp("requeueing"))


class TestPyslurm(SlurmConformance):
    """A fake pyslurm of 25.11 that has the scenes' jobs and nodes."""

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls) -> Iterator[PyslurmReplay]:
        stage = PyslurmReplay()
        yield stage
        stage.close()

    def test_a_cluster_set_up_as_documented_has_nothing_wrong(self, stage: Stage) -> None:
        """But for one thing: this pyslurm is of 25.11, the Slurm of 24.11."""
        findings = stage.scene("running").scheduler.check(WORKERS, 60.0)
        [wrong] = [f for f in findings if f.level is not Level.OK]
        assert wrong.subject == "scheduler.source"
        assert wrong.remedy == "set scheduler.source: scontrol, or install a pyslurm of Slurm 24.11"
