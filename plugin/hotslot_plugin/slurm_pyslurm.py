"""Look-ups through pyslurm, in a process of its own that may crash or hang (``slurm_child``)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from hotslot.model import NodeCondition
from hotslot_plugin.child_process import Child, ChildFailed
from hotslot_plugin.slurm_command import clean, failure
from hotslot_plugin.slurm_document import Part
from hotslot_plugin.slurm_job import SlurmJob, shares
from hotslot_plugin.slurm_json import (
    asked_of,
    condition_of,
    cpus_of,
    hostlist_of,
    node_of,
    number_text,
)

CHILD = (sys.executable, "-m", "hotslot_plugin.slurm_child")
_CPU_IDS = re.compile(r"\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*")


def installed() -> str:
    """Return the version of the installed pyslurm, '' if there is none; imports nothing."""
    try:
        return version("pyslurm")
    except PackageNotFoundError:
        return ""


class ByPyslurm:
    """Asks slurmctld through pyslurm."""

    name = "pyslurm"

    def __init__(self, timeout_s: float, child: Sequence[str] = CHILD) -> None:
        self._child = Child(child, timeout_s, clean(os.environ))

    def jobs(self, job_ids: Sequence[str]) -> list[SlurmJob]:
        """Return these jobs' records: one job is asked for alone, more with all others."""
        return self._jobs([int(job_id) for job_id in job_ids])

    def jobs_on(self, nodes: Sequence[str]) -> list[SlurmJob]:  # noqa: ARG002
        """Return every job that has or had a node: pyslurm cannot ask by node."""
        return self._jobs(None)

    def conditions(self, nodes: Sequence[str]) -> list[NodeCondition]:
        """Return these nodes' states."""
        return [_condition(part) for part in self._found("nodes", list(nodes)).items()]

    def close(self) -> None:
        """End pyslurm's process."""
        self._child.close()

    def _jobs(self, ids: list[int] | None) -> list[SlurmJob]:
        return [job_of(part) for part in self._found("jobs", ids).items()]

    def _found(self, ask: str, of: object) -> Part:
        try:
            answer = Part(self._child.ask({"ask": ask, "of": of}), "")
        except ChildFailed as error:
            raise ChildFailed(f"pyslurm's process: {error}") from error
        if answer["error"].value is not None:
            raise failure("pyslurm", answer["error"].text())
        if not isinstance(answer["found"].value, list):
            answer["found"].refuse("is not a list")
        return answer["found"]


def job_of(part: Part) -> SlurmJob:
    """Return a job from pyslurm's properties, by their names.

    Two things must be inferred, since one state word hides another and 0 is told as None:
    a completing job that has run for no time, and did not end when it started, waits to run
    again; a job of an array that had a node and has no task id is task 0.
    """
    job_id = part["id"].positive() or part["id"].refuse("is not a job's number")
    states = part["state"].words()
    nodes = tuple(hostlist_of(part["allocated_nodes"]))
    started, ended = part["start_time"].positive(), part["end_time"].positive()
    array_id, task_id = part["array_id"].positive(), part["array_task_id"].number()
    limit_min = part["time_limit"].number()
    return SlurmJob(
        job_id=str(job_id),
        states=states,
        reason=part["state_reason"].text(),
        restarts=part["requeue_count"].number() or 0,
        requeued="COMPLETING" in states and not part["run_time"].number() and ended != started,
        nodes=nodes,
        cpus_on=_cpus_on(part, nodes),
        user=part["user_name"].text(),
        account=part["account"].text(),
        partition=part["partition"].text(),
        name=part["name"].text(),
        array_job_id=number_text(array_id),
        array_task_id=number_text(task_id or (0 if nodes else None)) if array_id else "",
        het_job_id=number_text(part["heterogeneous_id"].positive()),
        submitted_at=part["submit_time"].positive(),
        started_at=started,
        ended_at=ended,
        time_limit_s=None if limit_min is None else limit_min * 60.0,
        exit_code=f"{part['exit_code'].number() or 0}:{part['exit_code_signal'].number() or 0}",
        asked=asked_of(part["comment"]),
        priority=part["priority"].number(),
        deadline_at=part["deadline"].positive(),
        requeueable=part["is_requeueable"].value is True,
        batch=part["is_batch_job"].value is True,
    )


def _cpus_on(part: Part, nodes: Sequence[str]) -> dict[str, int]:
    """Return the CPUs on each node. pyslurm counts cores in ``cpu_ids`` (its
    ``_threads_per_core`` is always 1), so the job's total decides."""
    layout = part["cpu_ids"].value
    counted = dict.fromkeys(nodes, 0)
    if isinstance(layout, dict) and layout:
        where = part["cpu_ids"].where
        counted = {
            node_of(Part(node, where)): _count(Part(ids, f"{where}.{node}"))
            for node, ids in layout.items()
        }
    return shares(counted, cpus_of(part["cpus"]))


def _count(part: Part) -> int:
    """Count the CPUs of a list like ``0-4,7``."""
    text = part.text()
    if not text:
        return 0
    if not _CPU_IDS.fullmatch(text):
        part.refuse("is not a list of CPUs")
    spans = (span.partition("-") for span in text.split(","))
    return sum(max(0, int(last or first) - int(first)) + 1 for first, _, last in spans)


def _condition(part: Part) -> NodeCondition:
    """Return a node's state; pyslurm calls two fields by other names than scontrol's JSON."""
    if not isinstance(part.value, dict):
        part.refuse("is not an object")
    names = {"reason_set_by_user": "reason_user", "reason_changed_at": "reason_time"}
    renamed = {**part.value, **{new: part.value.get(old) for new, old in names.items()}}
    return condition_of(Part(renamed, part.where))
