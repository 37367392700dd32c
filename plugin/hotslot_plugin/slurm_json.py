"""What ``squeue --json`` and ``scontrol show node --json`` say, as values of the model: pure.

Data parsers v0.0.40 to v0.0.44 (Slurm 23.11 to 25.11): numbers plain or with ``set``, states as
lists or text; the allocation as ``allocated_nodes`` with cores (v0.0.40) or as ``allocation``
with CPUs (since). Whatever does not fit raises SchedulerError with its place in the document.
"""

from __future__ import annotations

from hotslot.errors import SchedulerUnavailable
from hotslot.model import NodeCondition
from hotslot_plugin.slurm_asked import asked_in
from hotslot_plugin.slurm_document import Part
from hotslot_plugin.slurm_hostlist import NODE, expand
from hotslot_plugin.slurm_job import CPUS_MAX, SlurmJob, shares

_DOWN = frozenset({"DOWN", "ERROR", "POWERED_DOWN", "POWERING_DOWN"})


def jobs(document: Part) -> list[SlurmJob]:
    """Return the job records of an answer.

    An empty answer that no controller has dated is none: scontrol and squeue of some versions
    exit 0 with an empty list when the controller does not answer.
    """
    found = [_job(part) for part in document["jobs"].items()]
    if not isinstance(document["jobs"].value, list):
        document["jobs"].refuse("is not a list")
    if not found and document["last_update"].number() == 0:
        raise SchedulerUnavailable("slurmctld did not answer: an empty list without a date")
    return found


def conditions(document: Part) -> list[NodeCondition]:
    """Return the nodes of an answer."""
    if not isinstance(document["nodes"].value, list):
        document["nodes"].refuse("is not a list")
    return [condition_of(part) for part in document["nodes"].items()]


def gres(document: Part) -> dict[str, str]:
    """Return the configured GRES of each node of an answer, like ``vm:1,gpu:4``."""
    return {node_of(n["name"]): n["gres"].text() for n in document["nodes"].items()}


def release(document: Part) -> str:
    """Return the version of the Slurm that wrote the answer, like 24.11.5; '' if it is not said."""
    return (
        document["meta"]["slurm"]["release"].text() or document["meta"]["Slurm"]["release"].text()
    )


def asked_by(document: Part) -> str:
    """Return the user who asked; '' if it is not said."""
    return document["meta"]["client"]["user"].text()


def _job(part: Part) -> SlurmJob:
    if not isinstance(part.value, dict):
        part.refuse("is not an object")
    job_id = part["job_id"].positive()
    if job_id is None:
        part["job_id"].refuse("is not a job's number")
    states = part["job_state"].words()
    limit_min = part["time_limit"].number()
    return SlurmJob(
        job_id=str(job_id),
        states=states,
        reason=part["state_reason"].text(),
        restarts=part["restart_cnt"].number() or 0,
        requeued={"COMPLETING", "PENDING"} <= states,
        nodes=tuple(hostlist_of(part["nodes"])),
        cpus_on=_cpus_on(part),
        user=part["user_name"].text(),
        account=part["account"].text(),
        partition=part["partition"].text(),
        name=part["name"].text(),
        array_job_id=number_text(part["array_job_id"].positive()),
        array_task_id=number_text(part["array_task_id"].number())
        if part["array_job_id"].positive()
        else "",
        het_job_id=number_text(part["het_job_id"].positive()),
        submitted_at=part["submit_time"].positive(),
        started_at=part["start_time"].positive(),
        ended_at=part["end_time"].positive(),
        time_limit_s=None if limit_min is None else limit_min * 60.0,
        exit_code=_exit_code(part["exit_code"]),
        asked=asked_of(part["comment"]),
        priority=part["priority"].number(),
        deadline_at=part["deadline"].positive(),
        requeueable=part["requeue"].value is True,
        batch=part["batch_flag"].value is True,
    )


def asked_of(comment: Part) -> str:
    """Return what a job's owner asks of hotslot in its comment, whose text may be long."""
    return asked_in(comment.value) if isinstance(comment.value, str) else ""


def number_text(number: int | None) -> str:
    return "" if number is None else str(number)


def _cpus_on(part: Part) -> dict[str, int]:
    """Return the CPUs on each node of the allocation.

    Slurm keeps the allocation of a job that has ended. Where it is gone all the same, the job's
    CPUs are split evenly over its nodes: right for one node, a guess for more.
    """
    resources = part["job_resources"]
    if isinstance(resources["nodes"]["allocation"].value, list):
        counted = {
            node_of(n["name"]): cpus_of(n["cpus"]["count"])
            for n in resources["nodes"]["allocation"].items()
        }
    elif isinstance(resources["allocated_nodes"].value, list):
        counted = {
            node_of(n["nodename"]): _cores(n["sockets"])
            for n in resources["allocated_nodes"].items()
        }
    else:
        counted = dict.fromkeys(hostlist_of(part["nodes"]), 0)
    return shares(counted, cpus_of(part["cpus"]))


def node_of(part: Part) -> str:
    name = part.text()
    if not NODE.fullmatch(name):
        part.refuse("is not a node's name")
    return name


def hostlist_of(part: Part) -> list[str]:
    """Return the nodes of a list like ``w[1-3]``: its text may be long."""
    if part.value is None or part.value == "":
        return []
    if not isinstance(part.value, str):
        part.refuse("is not text")
    try:
        return expand(part.value)
    except ValueError as error:
        part.refuse(f"is not a list of nodes: {error}")


def cpus_of(part: Part) -> int:
    count = part.number() or 0
    if count > CPUS_MAX:
        part.refuse(f"is above {CPUS_MAX}")
    return count


def _cores(sockets: Part) -> int:
    """Count the cores of v0.0.40: ``{"0": {"cores": {"0": "allocated", "1": …}}}``."""
    count = 0
    for socket in sockets.value.values() if isinstance(sockets.value, dict) else ():
        cores = Part(socket, sockets.where)["cores"].value
        count += len(cores) if isinstance(cores, dict) else 0
    if count > CPUS_MAX:
        sockets.refuse(f"has more than {CPUS_MAX} cores")
    return count


def _exit_code(part: Part) -> str:
    """Return ``return code:signal``, as sacct shows it."""
    code = part["return_code"].number() or 0
    signal = part["signal"]["id"].number() or part["signal"]["signal_id"].number() or 0
    return f"{code}:{signal}"


def condition_of(part: Part) -> NodeCondition:
    if not isinstance(part.value, dict):
        part.refuse("is not an object")
    words = part["state"].words()
    return NodeCondition(
        worker=node_of(part["name"]),
        state="+".join(_state_words(part["state"])),
        drained=bool({"DRAIN", "DRAINED", "DRAINING", "FAIL"} & words),
        down=bool(_DOWN & words),
        reason=part["reason"].text(),
        reason_by=part["reason_set_by_user"].text(),
        reason_at=part["reason_changed_at"].positive(),
    )


def _state_words(part: Part) -> list[str]:
    """Return the words in Slurm's order: the base state first."""
    if isinstance(part.value, str):
        return part.text().upper().split("+")
    return [word.text().upper() for word in part.items()]
