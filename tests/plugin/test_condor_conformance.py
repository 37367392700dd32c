"""The adapter's claims, on recorded scenes of a real HTCondor pool."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakes.condor_pool import JOB, SLOT, FakePool, whole
from fakes.condor_record import Replayed
from hotslot_plugin.condor import HTCondor
from hotslot_plugin.condor_pool import Pool
from plugin.condor_conformance import WORKERS, CondorConformance, CondorWords
from plugin.conformance import RequeueConformance, Scene

SCENES = Path(__file__).resolve().parents[1] / "transcripts" / "htcondor-23.9"


class Replay(CondorWords):
    """The bindings answer what they once did."""

    def __init__(self) -> None:
        self._current: tuple[str, Scene] | None = None

    def scene(self, name: str) -> Scene:
        """Return a scene; as on the live stage, it goes on until another is asked for."""
        if self._current is None or self._current[0] != name:
            jobs = json.loads((SCENES / name / "scene.json").read_text())["jobs"]
            pool = Pool(Replayed(SCENES / name), (), 30.0)
            self._current = name, Scene(HTCondor(pool), jobs, WORKERS)
        return self._current[1]


class InMemory(CondorWords):
    """A pool that goes on, for what changes a scene."""

    def __init__(self) -> None:
        self._scenes: dict[str, Scene] = {}

    def scene(self, name: str) -> Scene:
        if name not in self._scenes:
            pool = FakePool({"c1": [whole("c1"), dict(SLOT)], "c2": [whole("c2")]})
            pool.queues = {"s1": [dict(JOB)]}
            self._scenes[name] = Scene(HTCondor(Pool(pool)), {"one": "12.0@s1"}, WORKERS)
        return self._scenes[name]


class TestRequeueing(RequeueConformance):
    """A pool in memory, whose job waits again as soon as it is vacated."""

    @pytest.fixture(scope="class")
    @classmethod
    def stage(cls) -> InMemory:
        return InMemory()


class TestHTCondor(CondorConformance):
    """htcondor2 25.14 and a pool of 23.9, replayed."""

    @pytest.fixture
    @classmethod
    def stage(cls) -> Replay:
        return Replay()
