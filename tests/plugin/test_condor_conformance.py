"""The adapter's claims, on recorded scenes of a real HTCondor pool."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakes.condor_record import Replayed
from hotslot_plugin.condor import HTCondor
from hotslot_plugin.condor_pool import Pool
from plugin.condor_conformance import WORKERS, CondorConformance, CondorWords
from plugin.conformance import Scene

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


class TestHTCondor(CondorConformance):
    """htcondor2 25.14 and a pool of 23.9, replayed."""

    @pytest.fixture
    @classmethod
    def stage(cls) -> Replay:
        return Replay()
