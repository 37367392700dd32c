"""What accounting alone tells: how much of what jobs asked for was idle, and what could come back.

Pure: jobs as accounting knows them in, figures out. Accounting knows averages only, so a job that
is busy half of the time looks like one that is half busy all the time: what hotslot would return
is stated as a range.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

SHORTEST_S = 60.0
"""hotslot leaves shorter jobs, and those with one CPU, as they are."""

MARGIN = 1.05
LOW, HIGH = 0.5, 1.0
"""Parts of the bound (CPUs beyond the average, rounded up, with margin) that come back. Where whole
courses are known it was 0.78 of a genomics pipeline's and 0.87 of an HPC site's; with room."""


@dataclass(frozen=True, slots=True)
class Account:
    """One job as accounting knows it; ``running`` if it has not ended."""

    user: str
    application: str
    cpus: int
    nodes: int
    elapsed_s: float
    cpu_s: float
    running: bool = False

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


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Jobs that accounting says too little about: their idle CPUs would be made up."""

    running: int
    without_cpu_time: int

    def __str__(self) -> str:
        return f"left out: {self.running:,} running, {self.without_cpu_time:,} without CPU time"


def sifted(accounts: Iterable[Account]) -> tuple[list[Account], LeftOut]:
    """Return the jobs that can be assessed, and how many cannot.

    CPU time is written when a step ends, so a running job has none yet, or too little; a job that
    ended without any was not measured (no accounting of tasks, or it was lost).
    """
    every = list(accounts)
    ended = [job for job in every if not job.running]
    kept = [job for job in ended if job.cpu_s > 0]
    return kept, LeftOut(len(every) - len(ended), len(ended) - len(kept))


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
