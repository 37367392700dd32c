"""What a command of Slurm's once said: one JSON file for each command of a scene."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Transcript:
    """A command, its exit status and its answer; ``stdout`` is JSON where the command wrote it."""

    argv: Sequence[str]
    status: int
    stdout: object
    stderr: str

    def write(self, directory: Path) -> None:
        """Keep it under a name made of the command."""
        directory.mkdir(parents=True, exist_ok=True)
        fields = {
            "argv": list(self.argv),
            "status": self.status,
            "stderr": self.stderr,
            "stdout": self.stdout,
        }
        text = json.dumps(fields, indent=1, ensure_ascii=True)
        # The cores of each socket are most of an answer's length: one line for each socket.
        text = re.sub(r"\s*\n\s{10,}", " ", text)
        (directory / file_name(self.argv)).write_text(text + "\n")


def file_name(argv: Sequence[str]) -> str:
    """Return the file name of a command's transcript."""
    return re.sub(r"[^A-Za-z0-9=,+]+", "-", " ".join(argv)).strip("-")[:100] + ".json"


def read(directory: Path, argv: Sequence[str]) -> Transcript | None:
    """Return the transcript of a command, None if the scene has none."""
    path = directory / file_name(argv)
    if not path.exists():
        return None
    fields = json.loads(path.read_text())
    return Transcript(**fields) if fields["argv"] == list(argv) else None
