"""What a partition may use of its host: its QOS's GrpTRES, read back from slurmctld itself.

Measured on 24.11.5: ``sacctmgr modify qos`` alone lets queued jobs wait up to 48 s; with the kick
(``scontrol update partitionname=P state=UP``) they start after 0.1-1 s. Lowering it never touches
a running job. ``scontrol show assoc_mgr`` tells the limit and its use at one moment:
``GrpTRES=cpu=8(2),mem=N(0),…``, N where there is no limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from hotslot.errors import SchedulerError
from hotslot.model import Group, Queue, Waiting
from hotslot_plugin.slurm_command import Command

WAITING_MAX = 100
"""More waiting jobs than this make no difference to what a host offers."""

FOR_CPUS = frozenset({"None", "Priority", "Resources", "QOSGrpCpuLimit"})
"""Reasons for which a pending job waits for CPUs alone (Slurm: "Job Reason Codes")."""

_FORMAT = "%i|%C|%D|%V|%r"  # id, CPUs, nodes, submitted, reason
_QOS_OF = re.compile(r"\bQoS=(\S+)")
_CPUS_OF = re.compile(r"^\s*GrpTRES=(?:\S*,)?cpu=(\d+|N)\((\d+)\)", re.MULTILINE)
_TASKS = re.compile(r"_\[([0-9,-]+)")
_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,62}")


class Offers:
    """The limit of one partition's QOS; of none, where no partition is named."""

    def __init__(self, command: Command, partition: str) -> None:
        self._command = command
        self._partition = partition
        self._qos = ""

    def queue(self, workers: Sequence[str]) -> Queue:
        """Return the partition's use and limit, and who waits in it; two calls to slurmctld."""
        if not self._partition or not workers:
            return Queue((), limited=bool(self._partition))
        used, limit = self._cpus()
        which = ("--states=PENDING", f"--partition={self._partition}")
        words = ("--noheader", "--local", *which, "--sort=-p,V,i", f"--format={_FORMAT}")
        lines = self._ask("squeue", *words).splitlines()
        waiting = [job for line in lines for job in waiting_of(line)]
        group = Group(self._partition, tuple(workers), used, limit)
        return Queue((group,), tuple(waiting[:WAITING_MAX]))

    def offer(self, limits: Mapping[str, int]) -> None:
        """Set the limit and kick the controller; three calls."""
        for name, cpus in limits.items():
            if name != self._partition or cpus < 0:
                raise SchedulerError(f"hotslot does not set a limit of {cpus} CPUs to {name!r}")
            modify = ("sacctmgr", "-i", "modify", "qos", self._qos_name(), "set")
            self._command.ask(*modify, f"GrpTRES=cpu={cpus}")
            self._command.ask("scontrol", "update", f"partitionname={name}", "state=UP")

    def _cpus(self) -> tuple[int, int]:
        qos = self._qos_name()
        said = self._ask("scontrol", "show", "assoc_mgr", f"qos={qos}", "flags=qos")
        found = _CPUS_OF.search(said)
        if found is None or found[1] == "N":
            self._qos = ""
            remedy = f"sacctmgr modify qos {qos} set GrpTRES=cpu=N"
            raise SchedulerError(f"QOS {qos} has no GrpTRES=cpu that slurmctld knows; {remedy}")
        return int(found[2]), int(found[1])

    def _qos_name(self) -> str:
        """Return the name of the partition's QOS; what it is changes too seldom to ask again."""
        if not self._qos:
            said = self._ask("scontrol", "show", "partition", self._partition)
            found = _QOS_OF.search(said)
            if found is None or found[1] == "N/A" or not _NAME.fullmatch(found[1]):
                remedy = "give it QOS=NAME in slurm.conf (docs/offers.md)"
                raise SchedulerError(f"partition {self._partition} has no QOS; {remedy}")
            self._qos = found[1]
        return self._qos

    def _ask(self, *words: str) -> str:
        return self._command.ask(*words).decode("utf-8", "replace")


def waiting_of(line: str) -> Iterator[Waiting]:
    """Return the waiting jobs of a line of squeue's: one, or as many as an array shows tasks.

    Worked: ``12_[0-2%1]|4|1|2026-11-21T10:00:00|Resources`` are three jobs of 4 CPUs.
    """
    fields = line.strip().split("|")
    if len(fields) != 5 or fields[4] not in FOR_CPUS:
        return
    job_id, cpus, nodes, submitted, _ = fields
    try:
        since = datetime.fromisoformat(submitted).replace(tzinfo=UTC).timestamp()
        workers = max(1, int(nodes))
        each = -(-int(cpus) // workers)
    except ValueError as error:
        raise SchedulerError(f"squeue: not a pending job: {line.strip()[:200]!r}") from error
    for _ in range(min(WAITING_MAX, _tasks(job_id))):
        yield Waiting(job_id, max(1, each), since, workers)


def _tasks(job_id: str) -> int:
    """Count an array's tasks as far as squeue shows them."""
    shown = _TASKS.search(job_id)
    if shown is None:
        return 1
    count = 0
    for part in filter(None, shown[1].split(",")):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1 if first else 0
    return max(1, count)
