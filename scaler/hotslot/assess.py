"""What accounting alone tells: how much of what jobs asked for was idle, and what could come back.

Pure: texts of ``sacct`` or ``condor_history`` in, figures out. Accounting knows averages only, so a
job that is busy half of the time looks like one that is half busy all the time: what hotslot would
return is stated as a range.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from hotslot.errors import HotslotError

SHORTEST_S = 60.0
"""hotslot leaves shorter jobs, and those with one CPU, as they are."""

MARGIN = 1.05
LOW, HIGH = 0.5, 1.0
"""Parts of the bound (CPUs beyond the average, rounded up, with margin) that come back. Where whole
courses are known it was 0.78 of a genomics pipeline's and 0.87 of an HPC site's; with room."""


class AssessError(HotslotError):
    """The file is none of accounting that is understood: say what was expected."""


@dataclass(frozen=True, slots=True)
class Account:
    """One finished job as accounting knows it."""

    user: str
    application: str
    cpus: int
    nodes: int
    elapsed_s: float
    cpu_s: float

    @property
    def requested_core_s(self) -> float:
        """CPUs held for as long as it ran."""
        return self.cpus * self.elapsed_s

    @property
    def idle_core_s(self) -> float:
        """Of these, what it did not use; never below 0, since accounting rounds."""
        return max(0.0, self.requested_core_s - self.cpu_s)

    @property
    def bound_core_s(self) -> float:
        """The most that could come back if it was as busy as its average all the time.

        Worked: 8 CPUs, 100 s, 250 CPU-seconds: 2.5 on average, 3 kept: 500 core-seconds.
        """
        if self.cpus - self.nodes < 1 or self.elapsed_s < SHORTEST_S:
            return 0.0
        kept = max(self.nodes, math.ceil(self.cpu_s / self.elapsed_s * MARGIN - 1e-9))
        return max(0, self.cpus - kept) * self.elapsed_s


@dataclass(frozen=True, slots=True)
class Share:
    """Jobs of one user and application, summed."""

    user: str
    application: str
    jobs: int
    requested_core_s: float
    idle_core_s: float
    bound_core_s: float

    @property
    def idle_part(self) -> float | None:
        """Idle of requested; None when nothing was requested."""
        return self.idle_core_s / self.requested_core_s if self.requested_core_s > 0 else None

    @property
    def returned_core_s(self) -> tuple[float, float]:
        """From and to: what hotslot would return, coarsely."""
        return (LOW * self.bound_core_s, HIGH * self.bound_core_s)


def shares(accounts: Iterable[Account]) -> list[Share]:
    """Sum by user and application, the most idle first."""
    found: dict[tuple[str, str], list[Account]] = {}
    for one in accounts:
        found.setdefault((one.user, one.application), []).append(one)
    summed = [_share(user, application, jobs) for (user, application), jobs in found.items()]
    return sorted(summed, key=lambda share: (-share.idle_core_s, share.user, share.application))


def total(accounts: Iterable[Account]) -> Share:
    """Sum all."""
    return _share("", "", list(accounts))


def _share(user: str, application: str, jobs: list[Account]) -> Share:
    return Share(
        user,
        application,
        len(jobs),
        math.fsum(job.requested_core_s for job in jobs),
        math.fsum(job.idle_core_s for job in jobs),
        math.fsum(job.bound_core_s for job in jobs),
    )


def from_slurm(text: str) -> list[Account]:
    """Read ``sacct --json``, or ``sacct -P`` with its heading; raises AssessError."""
    if text.lstrip().startswith("{"):
        return _each(_json(text).get("jobs"), _slurm_job, "sacct --json: no list of jobs")
    return _slurm_lines(text)


def from_condor(text: str) -> list[Account]:
    """Read ``condor_history -json``; raises AssessError."""
    return _each(_json(text), _condor_job, "condor_history -json: no list of jobs")


def _json(text: str) -> Any:
    try:
        return json.loads(text or "[]")
    except (ValueError, RecursionError) as error:
        raise AssessError(f"is no JSON: {error}") from error


def _each(
    jobs: Any, read: Callable[[Mapping[str, Any]], Account | None], wrong: str
) -> list[Account]:
    if not isinstance(jobs, list):
        raise AssessError(wrong)
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
    )


NEEDED = ("JobID", "User", "JobName", "AllocCPUS", "Elapsed", "TotalCPU")


def _slurm_lines(text: str) -> list[Account]:
    lines = (line for line in text.splitlines() if line.strip())
    rows = csv.DictReader(lines, delimiter="|", quoting=csv.QUOTE_NONE)
    missing = [name for name in NEEDED if name not in (rows.fieldnames or ())]
    if missing:
        asked = ",".join((*NEEDED, "NNodes"))
        raise AssessError(f"no column {', '.join(missing)}; make it with sacct -a -P -o {asked}")
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
        jobs[number] = Account(*named, int(cpus), max(1, int(nodes)), *times)
    found = [_with_steps(job, steps.get(number, 0.0)) for number, job in jobs.items()]
    return [job for job in found if job.elapsed_s > 0 and job.cpus > 0]


def _with_steps(job: Account, cpu_s: float) -> Account:
    if job.cpu_s > 0 or cpu_s == 0:
        return job
    return Account(job.user, job.application, job.cpus, job.nodes, job.elapsed_s, cpu_s)


def _condor_job(job: Mapping[str, Any]) -> Account | None:
    ended = job.get("CompletionDate"), job.get("JobCurrentStartDate")
    elapsed = _number(job.get("RemoteWallClockTime"))
    if elapsed <= 0 and all(ended):
        elapsed = _number(ended[0]) - _number(ended[1])
    return Account(
        str(job.get("Owner") or ""),
        PurePosixPath(str(job.get("Cmd") or "")).name,
        int(_number(job.get("CpusProvisioned") or job.get("RequestCpus") or 1)),
        1,
        elapsed,
        _number(job.get("RemoteUserCpu")) + _number(job.get("RemoteSysCpu")),
    )


_CLOCK = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")


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
        return _number(value.get("number")) if value.get("set", True) else 0.0
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) and number >= 0 else 0.0
