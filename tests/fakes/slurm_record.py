"""Run a command of Slurm's and keep what it said: slurm_record.py DIRECTORY WORDS… -- COMMAND…

WORDS… are what stands before Slurm's own command, such as nsenter and chroot; they are not kept.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from slurm_transcript import Transcript

JOB_KEYS = frozenset(
    [
        "account",
        "admin_comment",
        "array_job_id",
        "array_max_tasks",
        "array_task_id",
        "array_task_string",
        "batch_flag",
        "batch_host",
        "cluster",
        "comment",
        "cpus",
        "cpus_per_task",
        "deadline",
        "end_time",
        "exit_code",
        "failed_node",
        "flags",
        "het_job_id",
        "het_job_id_set",
        "het_job_offset",
        "job_id",
        "job_resources",
        "job_state",
        "name",
        "node_count",
        "nodes",
        "partition",
        "priority",
        "qos",
        "requeue",
        "restart_cnt",
        "scheduled_nodes",
        "start_time",
        "state_description",
        "state_reason",
        "submit_time",
        "suspend_time",
        "tasks",
        "time_limit",
        "tres_alloc_str",
        "tres_per_node",
        "tres_req_str",
        "user_id",
        "user_name",
    ]
)
"""The rest are paths of the machine, or nothing that hotslot would ever look at."""


def trimmed(text: str) -> object:
    """Return an answer as JSON without what must not be kept, or as text when it is none."""
    try:
        document = json.loads(text)
    except ValueError:
        return text
    for job in document.get("jobs", []):
        for key in set(job) - JOB_KEYS:
            del job[key]
    return document


def main() -> int:
    directory = Path(sys.argv[1])
    before, command = sys.argv[2 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    done = subprocess.run(
        [*before, *command], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    kept = Transcript(command, done.returncode, trimmed(done.stdout), done.stderr)
    kept.write(directory)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
