"""What users call a job, when it runs here and when it waits: as ``hotslot job`` takes it; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hotslot.report.status import WorkerStatus


def runs_as(workers: Sequence[WorkerStatus], about: str) -> list[WorkerStatus]:
    """Return the workers of the job that is called so: its id, an array's or heterogeneous job's
    (all parts), a task's; where none is, the part of an id before ``@``."""
    running = [one for one in workers if one.job]
    return [one for one in running if _is_called(one, about)] or [
        one for one in running if _is_called_at_a_schedd(one, about)
    ]


def _is_called(one: WorkerStatus, about: str) -> bool:
    task = f"{one.array_job}_{one.array_task}" if one.array_task else None
    return about in (one.job, one.array_job, one.het_job, task)


def _is_called_at_a_schedd(one: WorkerStatus, about: str) -> bool:
    return any(about in _names(name) for name in (one.job, one.array_job) if name)


def _names(job: str) -> tuple[str, ...]:
    """Return how a job may be called: ``12.0@schedd``, ``12.0`` and ``12``; other jobs' one id."""
    number, at, _ = job.partition("@")
    return (job, number, number.removesuffix(".0")) if at else (job,)


def waits_as(job: str, about: str) -> bool:
    """Whether a job that waits may be called so: an array's tasks wait as ``12_[0-2,5%1]``.

    Worked: that is ``12``, ``12_1`` and ``12_5``, not ``12_3``; ``7.3@schedd`` is ``7.3``, ``7``.
    """
    if about == job:
        return True
    number, at, _ = job.partition("@")
    if at:
        return about in (number, number.partition(".")[0])
    array, bracket, tasks = job.partition("_[")
    asked, _, task = about.partition("_")
    if not bracket or asked != array:
        return False
    spans = re.findall(r"(\d{1,9})(?:-(\d{1,9}))?", tasks.partition("%")[0])
    if not task:
        return True
    known = task.isdecimal() and len(task) < 10
    return known and any(int(low) <= int(task) <= int(high or low) for low, high in spans)
