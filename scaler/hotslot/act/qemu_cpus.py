"""The possible vCPUs of a VM as QEMU lists them, checked.

``query-hotpluggable-cpus`` answers, last CPU first (QEMU 10.0, recorded in tests/transcripts):

    [{"type": "max-x86_64-cpu", "vcpus-count": 1,
      "props": {"socket-id": 0, "core-id": 1, "thread-id": 0},
      "qom-path": "/machine/peripheral/hotslot-cpu1"}, …]

``qom-path`` is there when the vCPU is attached. A vCPU's index, which its thread's name bears, is
its place in the order of its properties.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hotslot.act.qmp import Monitor
from hotslot.errors import DriverError

QUERY = "query-hotpluggable-cpus"
MOST_CPUS = 4096
_LEVELS = ("drawer", "book", "socket", "die", "cluster", "module", "core", "thread")
_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_PROP = re.compile(r"[a-z]{1,20}-id")
_PATH = re.compile(r"/[\x21-\x7e]{1,1000}")


@dataclass(frozen=True, slots=True)
class Cpu:
    """One possible vCPU: what to add it with, and its path in QEMU when it is attached."""

    index: int
    type: str
    props: Mapping[str, int]
    path: str | None


async def listed(monitor: Monitor) -> list[Cpu]:
    """Ask QEMU for its possible vCPUs; DriverError when the answer makes no sense."""
    answer = await monitor.ask(QUERY)
    try:
        return cpus(answer)
    except ValueError as error:
        raise DriverError(monitor.vm, f"QEMU's answer to {QUERY} {error}") from error


def cpus(answer: object) -> list[Cpu]:
    """Check an answer and return the vCPUs by index; ValueError says what is wrong."""
    if not isinstance(answer, list) or not 1 <= len(answer) <= MOST_CPUS:
        raise ValueError(f"should be a list of 1 to {MOST_CPUS} CPUs, is {_shown(answer)}")
    raw = sorted((_checked(entry) for entry in answer), key=lambda cpu: _place(cpu[1]))
    if any(_place(a[1]) == _place(b[1]) for a, b in pairwise(raw)):
        raise ValueError("lists a CPU twice")
    return [Cpu(index, *parts) for index, parts in enumerate(raw)]


def attached(possible: Iterable[Cpu]) -> frozenset[int]:
    """Return the indexes of the attached ones."""
    return frozenset(cpu.index for cpu in possible if cpu.path is not None)


def _checked(entry: Any) -> tuple[str, Mapping[str, int], str | None]:
    if not isinstance(entry, dict):
        raise ValueError(f"lists a CPU that is {_shown(entry)}")  # noqa: TRY004 - an answer's
    kind, props, path = entry.get("type"), entry.get("props"), entry.get("qom-path")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise ValueError(f"lists a CPU of type {_shown(kind)}")
    if not isinstance(props, dict) or not props or not all(map(_is_prop, props.items())):
        raise ValueError(f"lists a CPU with the properties {_shown(props)}")
    if path is not None and not (isinstance(path, str) and _PATH.fullmatch(path)):
        raise ValueError(f"lists a CPU at {_shown(path)}")
    if entry.get("vcpus-count") != 1:
        raise ValueError("lists CPUs of several threads; hotslot plugs single vCPUs (x86)")
    return kind, props, path


def _is_prop(item: tuple[str, object]) -> bool:
    name, value = item
    number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 32
    return number and _PROP.fullmatch(name) is not None


def _place(props: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(props.get(f"{level}-id", 0) for level in _LEVELS)


def _shown(value: object) -> str:
    text = repr(value)[:80] if not isinstance(value, list | dict) or len(value) < 10 else "long"
    return f"{type(value).__name__} {text}"
