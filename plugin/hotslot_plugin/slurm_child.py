"""The process that holds pyslurm: questions in and answers out as lines of JSON.

pyslurm crashes, hangs with the interpreter's lock held, and ends its process when slurm.conf is
missing: all that must happen to somebody else than the agent. Run by ``slurm_pyslurm``. This
module alone imports pyslurm, here of 25.11, in which

- ``Job.load`` of an array's or heterogeneous job's first id returns the first of several records,
  which need not have that id; it asks for the job's steps, too (a second, cheap call);
- ``Jobs.load`` is one call, for all jobs; neither can filter by node;
- ``state`` is one word: a flag such as COMPLETING hides the state below it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

JOB_FIELDS = (
    "id",
    "state",
    "state_reason",
    "requeue_count",
    "allocated_nodes",
    "cpus",
    "user_name",
    "account",
    "partition",
    "name",
    "array_id",
    "array_task_id",
    "heterogeneous_id",
    "submit_time",
    "start_time",
    "end_time",
    "run_time",
    "time_limit",
    "exit_code",
    "exit_code_signal",
    "comment",
    "priority",
    "deadline",
    "is_requeueable",
    "is_batch_job",
)
NODE_FIELDS = ("name", "state", "reason", "reason_user", "reason_time")


def jobs(pyslurm: Any, ids: list[int] | None) -> list[dict[str, object]]:
    """Return the facts of these jobs, or of all: those that never had a node left out."""
    if ids is not None and len(ids) == 1:
        try:
            job = pyslurm.Job.load(ids[0])
        except pyslurm.RPCError as error:
            if "invalid job id" in str(error).lower():
                return []
            raise
        if job.id == ids[0]:
            return [job_facts(job)]
    found: Iterable[Any] = pyslurm.Jobs.load().values()
    if ids is None:
        return [job_facts(job) for job in found if job.allocated_nodes]
    return [job_facts(job) for job in found if job.id in ids]


def nodes(pyslurm: Any, names: list[str]) -> list[dict[str, object]]:
    """Return the facts of these nodes."""
    wanted = set(names)
    found = pyslurm.Nodes.load().values()
    return [_facts(node, NODE_FIELDS) for node in found if node.name in wanted]


def job_facts(job: Any) -> dict[str, object]:
    """Return what hotslot asks of a job, with its CPUs on each node."""
    layout = job.get_resource_layout_per_node()
    cpu_ids = {node: held["cpu_ids"] for node, held in layout.items()}
    return {**_facts(job, JOB_FIELDS), "cpu_ids": cpu_ids}


def _facts(thing: Any, fields: tuple[str, ...]) -> dict[str, object]:
    return {name: getattr(thing, name) for name in fields}


def answer(pyslurm: Any, question: dict[str, Any]) -> dict[str, object]:
    """Answer one question; an error of Slurm's is an answer, too."""
    asked: dict[str, Callable[[Any, Any], list[dict[str, object]]]] = {"jobs": jobs, "nodes": nodes}
    try:
        return {"found": asked[question["ask"]](pyslurm, question["of"])}
    except pyslurm.RPCError as error:
        return {"error": str(error) or "unknown error of pyslurm"}


def main() -> None:
    """Answer questions until the pipe closes."""
    # What libraries print must not get between the answers.
    out, sys.stdout = sys.stdout, sys.stderr
    import pyslurm  # pyright: ignore[reportMissingImports]

    print(json.dumps({"version": pyslurm.__version__}), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(pyslurm, json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    main()
