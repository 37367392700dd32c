"""pyslurm 25.11 as far as hotslot uses it, with the jobs and nodes of a recorded scene.

Names, signatures and properties are those of the sdist: ``test_pyslurm_sdist`` compares them. What
a property returns follows the .pyx: one state word, by Slurm's order of flags; 0 is None.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__version__ = "25.11.2"

_FLAGS = ("COMPLETING", "STAGE_OUT", "CONFIGURING", "RESIZING", "REQUEUED", "SIGNALING")
"""slurm_job_state_string names a flag, in this order, before the state below it."""

_answers: dict[str, dict[str, Any]] = {}


class PyslurmError(Exception):
    """The base of pyslurm's errors."""


class RPCError(PyslurmError):
    """An error of slurmctld's, or of reaching it."""

    def __init__(self, errno: int = -1, msg: str | None = None) -> None:
        self.errno = errno
        self.msg = msg
        super().__init__(msg)


class MultiClusterMap:
    """What ``Jobs`` and ``Nodes`` are: hotslot uses only ``values``."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def values(self) -> Iterator[Any]:
        return iter(self._items)


class Jobs(MultiClusterMap):
    @staticmethod
    def load(preload_passwd_info: bool = False, frozen: bool = False) -> Jobs:
        return Jobs([Job(fields) for fields in _all("jobs")])


class Nodes(MultiClusterMap):
    @staticmethod
    def load(preload_passwd_info: bool = False) -> Nodes:
        return Nodes([Node(fields) for fields in _all("nodes")])


class Job:
    """A job; made here from a record of squeue's JSON."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    @staticmethod
    def load(job_id: int) -> Job:
        found = [fields for fields in _all("jobs") if job_id in _loaded_by(fields)]
        if not found:
            raise RPCError(2017, "Invalid job id specified")
        # The record with this very id comes first, if there is one.
        return Job(min(found, key=lambda fields: fields["job_id"] != job_id))

    @property
    def id(self) -> int:
        return int(self._fields["job_id"])

    @property
    def state(self) -> str:
        words = self._fields["job_state"]
        return next((flag for flag in _FLAGS if flag in words), words[0])

    @property
    def state_reason(self) -> str | None:
        return self._fields["state_reason"] or None

    @property
    def requeue_count(self) -> int:
        return int(self._fields["restart_cnt"])

    @property
    def allocated_nodes(self) -> str | None:
        return self._fields["nodes"] or None

    @property
    def cpus(self) -> int:
        return self._number("cpus") or 1

    @property
    def user_name(self) -> str:
        return str(self._fields["user_name"])

    @property
    def account(self) -> str | None:
        return self._fields["account"] or None

    @property
    def partition(self) -> str | None:
        return self._fields["partition"] or None

    @property
    def name(self) -> str | None:
        return self._fields["name"] or None

    @property
    def array_id(self) -> int | None:
        return self._number("array_job_id")

    @property
    def array_task_id(self) -> int | None:
        return self._number("array_task_id")

    @property
    def heterogeneous_id(self) -> int | None:
        return self._number("het_job_id")

    @property
    def submit_time(self) -> int | None:
        return self._number("submit_time")

    @property
    def start_time(self) -> int | None:
        return self._number("start_time")

    @property
    def end_time(self) -> int | None:
        return self._number("end_time")

    @property
    def run_time(self) -> int | None:
        if "PENDING" in self._fields["job_state"] or not self.start_time:
            return None
        return max(0, (self.end_time or 0) - self.start_time) or None

    @property
    def time_limit(self) -> int | None:
        return self._number("time_limit")

    @property
    def exit_code(self) -> int:
        code = self._fields["exit_code"]["return_code"]["number"]
        return int(code - 128 if code >= 128 else code)

    @property
    def exit_code_signal(self) -> int:
        return int(self._fields["exit_code"]["signal"]["id"]["number"])

    @property
    def comment(self) -> str | None:
        return self._fields["comment"] or None

    @property
    def priority(self) -> int | None:
        field = self._fields["priority"]
        return int(field["number"]) if field["set"] and not field["infinite"] else None

    @property
    def deadline(self) -> int | None:
        return self._number("deadline")

    @property
    def is_requeueable(self) -> bool:
        return bool(self._fields["requeue"])

    @property
    def is_batch_job(self) -> bool:
        return bool(self._fields["batch_flag"])

    def get_resource_layout_per_node(self) -> dict[str, dict[str, Any]]:
        nodes = (self._fields.get("job_resources") or {}).get("nodes") or {}
        return {
            node["name"]: {"cpu_ids": _cpu_ids(node), "gres": {}, "memory": None}
            for node in nodes.get("allocation", [])
        }

    def _number(self, key: str) -> int | None:
        field = self._fields[key]
        return field["number"] or None if field["set"] and not field["infinite"] else None


class Node:
    """A node; made here from a record of scontrol's JSON."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    @staticmethod
    def load(name: str) -> Node:
        return next(Node(fields) for fields in _all("nodes") if fields["name"] == name)

    @property
    def name(self) -> str:
        return str(self._fields["name"])

    @property
    def state(self) -> str:
        return "+".join(self._fields["state"])

    @property
    def reason(self) -> str | None:
        return self._fields["reason"] or None

    @property
    def reason_user(self) -> str | None:
        return self._fields["reason_set_by_user"] or None

    @property
    def reason_time(self) -> int | None:
        return self._fields["reason_changed_at"]["number"] or None


def show(scene: Path) -> None:
    """Take the jobs and nodes of a recorded scene; a failed command stands for slurmctld away."""
    _answers.clear()
    for path in sorted(scene.glob("s*-*.json")):
        _answers[path.name] = json.loads(path.read_text())


def _all(kind: str) -> list[dict[str, Any]]:
    """Return every record of the scene once: what slurmctld would send."""
    away = [a["stderr"] for a in _answers.values() if "Unable to contact" in a["stderr"]]
    if away:
        raise RPCError(1800, "Unable to contact slurm controller (connect failure)")
    found: dict[Any, dict[str, Any]] = {}
    for answer in _answers.values():
        document = answer["stdout"] if isinstance(answer["stdout"], dict) else {}
        for record in document.get(kind, []):
            found[record["job_id" if kind == "jobs" else "name"]] = record
    return list(found.values())


def _loaded_by(fields: Mapping[str, Any]) -> set[int]:
    """Return the ids by which slurm_load_job finds a record: its own, its array's, its leader's."""
    return {fields["job_id"], fields["array_job_id"]["number"], fields["het_job_id"]["number"]}


def _cpu_ids(node: Mapping[str, Any]) -> str:
    count = node["cpus"]["count"]
    return f"0-{count - 1}" if count > 1 else "0"
