"""A stage that replays scenes recorded from a real Slurm."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hotslot_plugin.slurm import Slurm, connect
from hotslot_plugin.slurm_command import Command
from hotslot_plugin.slurm_pyslurm import ByPyslurm
from plugin.conformance import Scene
from plugin.slurm_conformance import WORKERS, SlurmWords

TESTS = Path(__file__).resolve().parents[1]
SCENES = TESTS / "transcripts" / "slurm-24.11"
FAKE = TESTS / "fakes" / "slurm_commands.py"


def jobs_of(name: str) -> dict[str, str]:
    """Return the ids of a recorded scene's jobs."""
    found: dict[str, str] = json.loads((SCENES / name / "scene.json").read_text())["jobs"]
    return found


class Replay(SlurmWords):
    """Slurm's commands say what they once said."""

    def scene(self, name: str) -> Scene:
        command = [sys.executable, "-S", str(FAKE), str(SCENES / name)]
        settings = {"source": "scontrol", "command": command, "timeout_s": 20.0}
        return Scene(connect(settings), jobs_of(name), WORKERS)


class Requeueing(SlurmWords):
    """Slurm's commands, and a job that they put back."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def scene(self, name: str) -> Scene:
        """Return a scene with a running job; each name's goes on for itself."""
        fake = TESTS / "fakes" / "slurm_requeues.py"
        command = [sys.executable, "-S", str(fake), str(SCENES), str(self._directory / name)]
        settings = {"source": "scontrol", "command": command, "timeout_s": 20.0}
        return Scene(connect(settings), jobs_of("running"), WORKERS)


class PyslurmReplay(SlurmWords):
    """A fake pyslurm answers look-ups; the rest is what Slurm's commands once said."""

    tells_how_completing_jobs_ended = False

    def __init__(self) -> None:
        self._sources: dict[str, ByPyslurm] = {}

    def scene(self, name: str) -> Scene:
        source = self._sources.setdefault(name, pyslurm_in(str(SCENES / name)))
        command = Command((sys.executable, "-S", str(FAKE), str(SCENES / name)), 20.0)
        return Scene(Slurm(command, source), jobs_of(name), WORKERS)

    def close(self) -> None:
        for source in self._sources.values():
            source.close()


def pyslurm_in(scene: str, timeout_s: float = 20.0) -> ByPyslurm:
    """Return a source whose process has the fake pyslurm, in a scene or in a bad way."""
    return ByPyslurm(timeout_s, [sys.executable, str(TESTS / "fakes" / "pyslurm_child.py"), scene])
