"""The seam to the scheduler side: what hotslot asks of Slurm or HTCondor, and who answers.

Adapters live in another package and are found by entry point ``hotslot.schedulers``: a callable
``connect(settings: Mapping[str, object]) -> Scheduler``.
Their calls block and may take up to their own time limit; the agent makes them in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from hotslot.errors import ConfigError, Problem, SchedulerError, SchedulerUnavailable
from hotslot.model import Finding, NodeCondition, Placement, Queue, RunSummary
from hotslot.registry import one_entry_point


class PartlyUnavailable(SchedulerUnavailable):
    """A part of the scheduler did not answer: ``unknown`` are the jobs of which nothing is known,
    ``found`` the placements of the others that were asked for in the same call."""

    def __init__(self, words: str, unknown: Collection[str], found: Sequence[Placement]) -> None:
        super().__init__(words)
        self.unknown = frozenset(unknown)
        self.found = tuple(found)


class NotWritten(SchedulerError):
    """Of the runs whose figures were to be written, those with these ``keys`` were not."""

    def __init__(self, problems: Mapping[tuple[str, str, int, str], str]) -> None:
        super().__init__("; ".join(dict.fromkeys(problems.values())))
        self.keys = frozenset(problems)


class Scheduler(Protocol):
    """One scheduler, asked with a time limit on every call; it raises SchedulerUnavailable or
    SchedulerError and never guesses."""

    name: str

    def placements(
        self, workers: Collection[str], job_ids: Collection[str] = ()
    ) -> Sequence[Placement]:
        """Return who is on these workers now, in one call to the scheduler.

        Without job ids: every job that occupies one of the workers or is ending there.
        With job ids: those jobs, whatever their phase, one placement for each worker that they
        have or had, this host's or not; none for an unknown job. One that waits for its first or
        next start comes as one pending placement without a worker (``""``) and with the run to
        come. The parts of a heterogeneous job come under their own job ids. Raises
        PartlyUnavailable when that can be said of some of these jobs only.
        """
        ...

    def conditions(self, workers: Collection[str]) -> Sequence[NodeCondition]:
        """Return the state of these workers; an unknown one is left out."""
        ...

    def resume(self, worker: str) -> None:
        """Let a drained worker take jobs again."""
        ...

    def requeue(self, placement: Placement) -> None:
        """Put this run back into the queue, on all of its workers, if it is still that run.

        Asks first, so that it is safe to repeat: a run that is over, or has been followed by the
        next one, is left alone. Returns when the scheduler has begun; the run's end shows in
        ``placements``. Raises SchedulerError where it is not allowed or does not come about.
        """
        ...

    def queue(self, workers: Collection[str]) -> Queue:
        """Return what the scheduler may use of these workers, and which jobs wait for them.

        A group whose state cannot be asked now is left out.
        Jobs that wait for anything but CPUs (a hold, a time, another job) are left out; at most
        the first hundred are told.
        """
        ...

    def offer(self, limits: Mapping[str, int]) -> None:
        """Set these groups' limits, in CPUs; what runs is never touched.

        Safe to repeat. ``queue`` tells when it has come about.
        """
        ...

    def write_back(self, summaries: Sequence[RunSummary]) -> None:
        """Put runs' figures where the scheduler's own tools show them; safe to repeat, and to call
        while another call runs.

        A job that the scheduler has forgotten is passed over. Raises NotWritten for those that
        could not be written, when all others are.
        """
        ...

    def check(self, workers: Collection[str], agent_wait_s: float) -> Sequence[Finding]:
        """Look for settings that would hurt; ask nothing that changes anything."""
        ...

    def close(self) -> None:
        """End what was started for asking."""
        ...


def connect(name: str, settings: Mapping[str, object]) -> Scheduler:
    """Connect to the scheduler that is registered under this name.

    Raises ConfigError if no adapter, or more than one, has this name.
    """
    factory: Callable[[Mapping[str, object]], Scheduler] = one_entry_point(
        "hotslot.schedulers", name, "scheduler.name"
    )
    try:
        return factory(settings)
    except ValueError as error:
        raise ConfigError("configuration", [Problem("scheduler", str(error))]) from error
