"""A Slurm with one job that can be put back: slurm_requeues.py SCENES JOURNAL COMMAND…

Its words are those of the recorded scenes ``running`` and, once it was told to requeue that job,
``waiting``, as if it were the same job. JOURNAL is a file that gets a line for each requeueing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import slurm_transcript

JOB, WAITING = 3, 10
"""The number of the job in either scene."""


def main() -> int:
    scenes, journal, argv = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    if argv == ["scontrol", "requeue", "incomplete", str(JOB)]:
        with journal.open("a") as file:
            file.write(" ".join(argv) + "\n")
        return 0
    put_back = journal.exists()
    asked = [word.replace(f"--jobs={JOB}", f"--jobs={WAITING}") for word in argv]
    scene = scenes / ("waiting" if put_back else "running")
    transcript = slurm_transcript.read(scene, asked if put_back else argv)
    if transcript is None or not isinstance(transcript.stdout, dict):
        sys.stderr.write(f"fake: {scene.name} has no transcript of: {' '.join(argv)}\n")
        return 99
    document: dict[str, Any] = transcript.stdout
    for job in document["jobs"]:
        job["job_id"] = JOB
    sys.stdout.write(json.dumps(document))
    return transcript.status


if __name__ == "__main__":
    sys.exit(main())
