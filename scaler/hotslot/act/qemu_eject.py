"""How a guest's ejecting of vCPUs is followed.

QEMU 10.0 tells the ejection of a CPU only by DEVICE_DELETED of its ``…/lapic`` and by an
ACPI_DEVICE_OST of status 0; a failing guest by an OST of another status, or not at all. So events
only say when to look, and the CPU list says what is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from qemu.qmp import EventListener, Message

from hotslot.act.judge import named
from hotslot.act.qemu_cpus import attached, listed
from hotslot.act.qmp import Monitor
from hotslot.errors import GuestSilent

EVENTS = ("DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR", "ACPI_DEVICE_OST")

EJECT_S = 10.0
"""A guest ejects in 0.1 s, loaded in 1 s; one that takes longer may never."""
LOOK_AGAIN_S = 0.5
"""How long to wait for an event before looking all the same."""

_EJECTION = (0x3, 0x103)
_FINE = (0x0, 0x84)
_STATUS = {
    0x80: "it cannot eject",
    0x81: "in use",
    0x82: "busy",
    0x83: "something depends on it",
}
"""ACPI 6.5, 6.3.5.2: ``_OST`` of an ejection; 0x84 is 'in progress'."""


async def ejected(
    monitor: Monitor,
    events: EventListener,
    paths: Mapping[int, str],
    refused: Mapping[int, str],
) -> dict[int, str]:
    """Wait until these vCPUs (index → path) are gone or refused; return all refusals, in words.

    Raises GuestSilent after ``EJECT_S``, and what reading the CPU list raises.
    """
    said_no = dict(refused)
    leaving = frozenset(paths)
    try:
        async with asyncio.timeout(EJECT_S):
            while leaving := (leaving & attached(await listed(monitor))) - said_no.keys():
                for event in await _heard(events):
                    said_no |= _refusal(event, {index: paths[index] for index in leaving})
    except TimeoutError as error:
        words = f"the guest did not eject {named(leaving)} within {EJECT_S:g} s; it still may"
        raise GuestSilent(monitor.vm, words) from error
    return said_no


async def _heard(events: EventListener) -> list[Message]:
    try:
        async with asyncio.timeout(LOOK_AGAIN_S):
            first = await events.get()
    except TimeoutError:
        return []
    return [first, *events.clear()]


def _refusal(event: Message, paths: Mapping[int, str]) -> dict[int, str]:
    """Return the vCPU that the guest refused to eject and why; {} if the event says no such."""
    data = event.get("data")
    if not isinstance(data, dict):
        return {}
    if event["event"] == "DEVICE_UNPLUG_GUEST_ERROR":
        return {i: _words(i, "") for i, path in paths.items() if path == data.get("path")}
    info = data.get("info")
    if not isinstance(info, dict) or info.get("slot-type") != "CPU":
        return {}
    status = info.get("status")
    if info.get("source") not in _EJECTION or not isinstance(status, int) or status in _FINE:
        return {}
    if not 0 <= status < 1 << 32:
        return {}
    why = _STATUS.get(status, f"ACPI status {status}")
    return {index: _words(index, why) for index in paths if str(index) == info.get("slot")}


def _words(index: int, why: str) -> str:
    return f"the guest refused to eject {named([index])}" + (f": {why}" if why else "")
