"""Slurm's commands, replayed: slurm_commands.py SCENE COMMAND… says what the real one once said.

``scheduler.command`` of the adapter under test is [python, slurm_commands.py, SCENE].
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import slurm_transcript


def main() -> int:
    scene, argv = Path(sys.argv[1]), sys.argv[2:]
    transcript = slurm_transcript.read(scene, argv)
    if transcript is None:
        sys.stderr.write(f"fake: {scene.name} has no transcript of: {' '.join(argv)}\n")
        return 99
    said = transcript.stdout
    sys.stdout.write(said if isinstance(said, str) else json.dumps(said))
    sys.stderr.write(transcript.stderr)
    return transcript.status


if __name__ == "__main__":
    sys.exit(main())
