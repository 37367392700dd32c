"""Which way look-ups go: pyslurm where it matches the cluster's Slurm, else Slurm's commands."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from hotslot.model import NodeCondition
from hotslot_plugin.child_process import ChildFailed
from hotslot_plugin.slurm_check import series
from hotslot_plugin.slurm_command import Command
from hotslot_plugin.slurm_job import SlurmJob
from hotslot_plugin.slurm_pyslurm import ByPyslurm, installed
from hotslot_plugin.slurm_scontrol import ByCommand

log = logging.getLogger(__name__)

FAILURES_MAX = 3
"""After so many crashes or hangs in a row, ``auto`` leaves pyslurm alone for good."""

T = TypeVar("T")


class Source(Protocol):
    """A way to ask slurmctld; every method makes one call."""

    @property
    def name(self) -> str: ...

    def jobs(self, job_ids: Sequence[str]) -> list[SlurmJob]:
        """Return these jobs' records, and perhaps others'; unknown ones are left out."""
        ...

    def jobs_on(self, nodes: Sequence[str]) -> list[SlurmJob]:
        """Return at least the jobs that are on these nodes or ending there."""
        ...

    def conditions(self, nodes: Sequence[str]) -> list[NodeCondition]:
        """Return at least these nodes' states; unknown ones are left out."""
        ...

    def close(self) -> None:
        """End what was started for asking."""
        ...


class Auto:
    """pyslurm where it matches and as long as it behaves; else the commands.

    The choice is made at the first question (``matches``), since Slurm's commands may not be
    there yet when the agent starts. A question at which pyslurm fails is asked again by command.
    """

    def __init__(self, pyslurm: Source, commands: Source, matches: Callable[[], bool]) -> None:
        self._pyslurm = pyslurm
        self._commands = commands
        self._matches = matches
        self._use_pyslurm: bool | None = None
        self._failures = 0

    @property
    def name(self) -> str:
        return (self._pyslurm if self._chosen() else self._commands).name

    def jobs(self, job_ids: Sequence[str]) -> list[SlurmJob]:
        return self._ask(lambda source: source.jobs(job_ids))

    def jobs_on(self, nodes: Sequence[str]) -> list[SlurmJob]:
        return self._ask(lambda source: source.jobs_on(nodes))

    def conditions(self, nodes: Sequence[str]) -> list[NodeCondition]:
        return self._ask(lambda source: source.conditions(nodes))

    def close(self) -> None:
        self._pyslurm.close()
        self._commands.close()

    def _chosen(self) -> bool:
        if self._use_pyslurm is None:
            self._use_pyslurm = self._matches()
        return self._use_pyslurm

    def _ask(self, question: Callable[[Source], T]) -> T:
        if not self._chosen():
            return question(self._commands)
        try:
            answer = question(self._pyslurm)
        except ChildFailed as failure:
            # Raises when slurmctld is away: then it was not pyslurm's fault.
            answer = question(self._commands)
            self._failed(failure)
        else:
            self._failures = 0
        return answer

    def _failed(self, failure: ChildFailed) -> None:
        self._failures += 1
        self._use_pyslurm = self._failures < FAILURES_MAX
        how = "this time" if self._use_pyslurm else "from now on"
        log.warning("%s; squeue and scontrol are asked %s", failure, how)


def choose(source: str, command: Command) -> Source:
    """Return the source of this name; ValueError when pyslurm is demanded and not installed.

    ``auto`` leaves pyslurm alone where a command prefix is set: then this process itself is not
    meant to speak with Slurm.
    """
    by_command = ByCommand(command)
    if source == "pyslurm" and not installed():
        raise ValueError("source: pyslurm is not installed; pip install pyslurm, or set scontrol")
    if source == "scontrol" or (source == "auto" and (command.prefix or not installed())):
        return by_command
    by_pyslurm = ByPyslurm(command.timeout_s)
    if source == "pyslurm":
        return by_pyslurm
    return Auto(by_pyslurm, by_command, lambda: series(installed()) == _series_here(command))


def _series_here(command: Command) -> tuple[int, int]:
    """Ask the installed commands, not slurmctld, for their version: ``slurm 24.11.5``."""
    return series(
        command.ask("scontrol", "--version").decode("utf-8", "replace").removeprefix("slurm")
    )
