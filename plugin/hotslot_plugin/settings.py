"""The keys beside ``scheduler.name``, checked by the adapter that they are for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from hotslot.settings import Fault, Faults, Kind, read

T = TypeVar("T")


def checked(kind: type[T], settings: Mapping[str, object]) -> T:
    """Return the keys as the adapter's settings; ValueError names every problem."""
    try:
        return read(kind, settings)
    except Faults as error:
        raise ValueError("; ".join(map(_problem, error.faults))) from error


def _problem(fault: Fault) -> str:
    key = ".".join(map(str, fault.path))
    what = f"unknown key; {fault.what}" if fault.kind is Kind.UNKNOWN else fault.what
    return f"{key}: {what}"
