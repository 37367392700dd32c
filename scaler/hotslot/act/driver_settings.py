"""The keys of ``driver`` in the configuration, checked by the driver that they are for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from hotslot.settings import Fault, Faults, Kind, meant, read, shown

T = TypeVar("T")


def checked(kind: type[T], settings: Mapping[str, object]) -> T:
    """Return the keys as the driver's settings; ValueError names every problem."""
    try:
        return read(kind, settings)
    except Faults as error:
        raise ValueError("; ".join(_problem(kind, fault) for fault in error.faults)) from error


def _problem(kind: type, fault: Fault) -> str:
    key = ".".join(map(str, fault.path))
    match fault.kind:
        case Kind.UNKNOWN:
            return f"unknown key {key!r}; {fault.what}"
        case Kind.MISSING:
            return f"{key} is required: {meant(kind, key)}"
        case Kind.WRONG:
            return f"{key} should be {meant(kind, str(fault.path[0]))}; it is {shown(fault.value)}"
