"""Read what ``sacct`` and ``condor_history`` print: jobs with what they asked for and used.

Pure: texts in, jobs out; all that ever ran, those that still do among them.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from hotslot.assess import Account
from hotslot.errors import HotslotError

UNFINISHED = frozenset(
    ("PENDING", "RUNNING", "SUSPENDED", "CONFIGURING", "COMPLETING", "RESIZING", "REQUEUED",
     "REQUEUE_FED", "REQUEUE_HOLD", "SIGNALING", "STAGE_OUT", "STOPPED", "SPECIAL_EXIT")
)  # fmt: skip
"""Slurm's states of jobs that may still use CPUs; what is known of them is not all."""

REMOVED, COMPLETED = 3, 4
"""HTCondor's JobStatus of jobs that have left the queue."""


NUMBER_MAX = 2**53
"""Largest number that is believed: a second, a CPU or a date beyond it is none."""


class AccountingError(HotslotError):
    """The file is none of accounting that is understood: say what was expected."""


def from_slurm(text: str) -> list[Account]:
    """Read ``sacct --json``, or ``sacct -P`` with its heading; raises AccountingError."""
    if text.lstrip().startswith("{"):
        return _each(_json(text).get("jobs"), _slurm_job, "sacct --json: no list of jobs")
    try:
        return _slurm_lines(text)
    except csv.Error as error:
        raise AccountingError(f"is no output of sacct -P: {error}") from error


def from_condor(text: str) -> list[Account]:
    """Read ``condor_history -json``; raises AccountingError."""
    return _each(_json(text), _condor_job, "condor_history -json: no list of jobs")


def _json(text: str) -> Any:
    try:
        return json.loads(text or "[]")
    except (ValueError, RecursionError) as error:
        raise AccountingError(f"is no JSON: {error}") from error


def _each(
    jobs: Any, read: Callable[[Mapping[str, Any]], Account | None], wrong: str
) -> list[Account]:
    if not isinstance(jobs, list):
        raise AccountingError(wrong)
    found = [read(job) for job in jobs if isinstance(job, dict)]
    return [job for job in found if job is not None and job.elapsed_s > 0 and job.cpus > 0]


def _slurm_job(job: Mapping[str, Any]) -> Account | None:
    time = _mapping(job.get("time"))
    tres = _mapping(job.get("tres"))
    allocated = tres.get("allocated")
    cpus = 0.0
    for one in allocated if isinstance(allocated, list) else []:
        if _mapping(one).get("type") == "cpu":
            cpus = _number(_mapping(one).get("count"))
    cpu_s = _seconds(time.get("total"))
    if cpu_s == 0:
        steps = job.get("steps")
        times = (
            [_mapping(_mapping(s).get("time")) for s in steps] if isinstance(steps, list) else []
        )
        cpu_s = sum(_seconds(one.get("total")) for one in times)
    return Account(
        str(job.get("user") or _mapping(job.get("association")).get("user") or ""),
        str(job.get("name") or ""),
        int(cpus),
        max(1, int(_number(job.get("allocation_nodes")))),
        _number(time.get("elapsed")),
        cpu_s,
        _unfinished(job.get("state"), time),
    )


def _unfinished(state: Any, time: Mapping[str, Any]) -> bool:
    current = _mapping(state).get("current", state)
    words = current if isinstance(current, list) else [current]
    if any(str(word).upper() in UNFINISHED for word in words):
        return True
    return "end" in time and _number(time["end"]) == 0


NEEDED = ("JobID", "User", "JobName", "AllocCPUS", "Elapsed", "TotalCPU")


def _slurm_lines(text: str) -> list[Account]:
    lines = (line for line in text.splitlines() if line.strip())
    rows = csv.DictReader(lines, delimiter="|", quoting=csv.QUOTE_NONE)
    missing = [name for name in NEEDED if name not in (rows.fieldnames or ())]
    if missing:
        asked = ",".join((*NEEDED, "NNodes", "State"))
        raise AccountingError(
            f"no column {', '.join(missing)}; make it with sacct -a -P -o {asked}"
        )
    jobs: dict[str, Account] = {}
    steps: dict[str, float] = {}
    for row in rows:
        number = row["JobID"] or ""
        if "." in number:
            job = number.split(".")[0]
            steps[job] = steps.get(job, 0.0) + clock_s(row["TotalCPU"] or "")
            continue
        cpus, nodes = _number(row["AllocCPUS"]), _number(row.get("NNodes") or 1)
        times = clock_s(row["Elapsed"] or ""), clock_s(row["TotalCPU"] or "")
        named = str(row["User"] or ""), str(row["JobName"] or "")
        state = (row.get("State") or "").split(" ")[0].upper()
        running = state in UNFINISHED
        jobs[number] = Account(*named, int(cpus), max(1, int(nodes)), *times, running)
    found = [_with_steps(job, steps.get(number, 0.0)) for number, job in jobs.items()]
    return [job for job in found if job.elapsed_s > 0 and job.cpus > 0]


def _with_steps(job: Account, cpu_s: float) -> Account:
    if job.cpu_s > 0 or cpu_s == 0:
        return job
    return replace(job, cpu_s=cpu_s)


def _condor_job(job: Mapping[str, Any]) -> Account | None:
    """Wall-clock time and CPUs are of all of a job's runs, its suspensions taken off.

    ``RemoteUserCpu`` is of the last run only; newer versions have the sum beside it.
    """
    ended = job.get("CompletionDate"), job.get("JobCurrentStartDate")
    elapsed = _number(job.get("RemoteWallClockTime"))
    if elapsed <= 0 and all(ended):
        elapsed = _number(ended[0]) - _number(ended[1])
    status = job.get("JobStatus")
    return Account(
        str(job.get("Owner") or ""),
        PurePosixPath(str(job.get("Cmd") or "")).name,
        int(_number(job.get("CpusProvisioned") or job.get("RequestCpus") or 1)),
        1,
        elapsed - _number(job.get("CumulativeSuspensionTime")),
        _condor_cpu_s(job, "UserCpu") + _condor_cpu_s(job, "SysCpu"),
        status is not None and _number(status) not in (REMOVED, COMPLETED),
    )


def _condor_cpu_s(job: Mapping[str, Any], kind: str) -> float:
    summed = job.get(f"CumulativeRemote{kind}")
    return _number(job.get(f"Remote{kind}") if summed is None else summed)


_CLOCK = re.compile(
    r"(?:([0-9]{1,9})-)?(?:([0-9]{1,9}):)?([0-9]{1,9}):([0-9]{1,9}(?:\.[0-9]{1,9})?)"
)


def clock_s(text: str) -> float:
    """Return the seconds of sacct's ``[D-[HH:]]MM:SS[.mmm]``; 0 for what is none.

    Worked: ``1-02:03:04`` is 93,784 s; ``00:05.250`` is 5.25 s.
    """
    found = _CLOCK.fullmatch(text.strip())
    if not found:
        return 0.0
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return days * 86_400 + hours * 3600 + minutes * 60 + seconds


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _seconds(value: Any) -> float:
    parts = _mapping(value)
    return _number(parts.get("seconds")) + _number(parts.get("microseconds")) / 1e6


def _number(value: Any) -> float:
    """Return a number however Slurm or a ClassAd wraps it; 0 for what is none."""
    if isinstance(value, dict):
        wrapped = value.get("number") if value.get("set", True) else None
        value = None if isinstance(wrapped, dict) else wrapped
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if 0 <= number <= NUMBER_MAX else 0.0
