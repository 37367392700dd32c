"""What QEMU and VirtualBox say, and VirtualBox's settings files."""

from __future__ import annotations

import json
from typing import Any

from fuzz.target import Target, as_json, must, parsed, recorded
from hotslot.act import qemu_cpus, qemu_eject, qmp, virtualbox_answers, virtualbox_file
from hotslot.act.virtualbox_answers import Answer


def cpus(data: bytes) -> None:
    """Read the possible vCPUs of a VM."""
    found = qemu_cpus.cpus(parsed(data))
    must(1 <= len(found) <= qemu_cpus.MOST_CPUS, f"{len(found)} vCPUs")
    must([cpu.index for cpu in found] == list(range(len(found))), "indexes with gaps")
    qemu_cpus.attached(found)


def event(data: bytes) -> None:
    """Read an event of a vCPU that is to go."""
    said = parsed(data)
    if isinstance(said, dict) and isinstance(said.get("event"), str):
        refused = qemu_eject._refusal(said, PATHS)  # type: ignore[arg-type]
        must(refused.keys() <= PATHS.keys(), "a vCPU that was not asked to go")
        must(all(len(words) < 300 for words in refused.values()), "long words")
    must(len(qmp.short(data.decode("utf-8", "replace"))) <= 200, "long words")


def answer(data: bytes) -> None:
    """Read what VBoxManage prints, and what its errors mean."""
    out = data.decode(errors="replace")
    virtualbox_answers.properties(out)
    virtualbox_answers.started(out)
    for code in (0, 1):
        error = virtualbox_answers.trouble("w1", Answer(code, out, out, 1.0))
        must((error is None) == (code == 0), "an error that is none")
        must(error is None or len(str(error)) < 500, "long words")


def settings(data: bytes) -> None:
    """Read a settings file."""
    found = virtualbox_file.parse(data)
    must(1 <= found.max_vcpus <= virtualbox_file.MOST_CPUS, f"{found.max_vcpus} vCPUs")
    must(1 <= found.cap_pct <= 100, f"a cap of {found.cap_pct} %")
    must(found.attached <= set(range(found.max_vcpus)), "a vCPU beyond the last")
    must("root:" not in found.name and len(found.name) < 70_000, "what another file says")


PATHS = {1: "/machine/peripheral/hotslot-cpu1", 2: "/machine/peripheral/hotslot-cpu2"}


def _qmp() -> list[dict[str, Any]]:
    return [line for line in recorded("qmp-*.jsonl") if "sent" in line]


EVENTS: list[dict[str, Any]] = [event for line in _qmp() for event in line.get("events", ())]
GUEST_ERROR = {
    "event": "DEVICE_UNPLUG_GUEST_ERROR",
    "data": {"device": "hotslot-cpu1", "path": PATHS[1]},
}
OST = {
    "event": "ACPI_DEVICE_OST",
    "data": {"info": {"device": "", "source": 3, "status": 129, "slot": "1", "slot-type": "CPU"}},
}
LISTS = [
    line["answer"]["return"]
    for line in _qmp()
    if line["sent"].get("execute") == qemu_cpus.QUERY and "return" in line["answer"]
]
ANSWERS = [
    (line["stdout"] + "\n" + line["stderr"]).encode()[:8192]
    for line in recorded("virtualbox/*.jsonl")
    if line["name"]
]
VBOX = b"""<?xml version="1.0"?>
<VirtualBox xmlns="http://www.virtualbox.org/" version="1.20-linux">
  <Machine uuid="{12345678-1234-1234-1234-123456789abc}" name="w1">
    <Platform architecture="x86"><CPU count="4" hotplug="true" executionCap="50">
      <CpuTree><Cpu id="0"/><Cpu id="1"/></CpuTree></CPU></Platform>
  </Machine>
</VirtualBox>
"""
OLDER = VBOX.replace(b"Platform", b"Hardware").replace(b' architecture="x86"', b"")
LAUGHS = b"<!DOCTYPE l [<!ENTITY a 'ha'>%b]>" % b"".join(
    b"<!ENTITY %c '%b'>" % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
)
OUTSIDE = b"<!DOCTYPE l [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
SUBSET = b"<!DOCTYPE l SYSTEM 'file:///dev/zero'>"


def _with(doctype: bytes, reference: bytes) -> bytes:
    return VBOX.replace(b"?>", b"?>" + doctype, 1).replace(b'name="w1"', b'name="%b"' % reference)


TARGETS = (
    Target("QMP's list of vCPUs", cpus, as_json(*LISTS), (ValueError,), json=True, share=5),
    Target(
        "QMP's events",
        event,
        as_json(*EVENTS[:20], GUEST_ERROR, OST),
        words=(json.dumps(GUEST_ERROR).encode(), b'"status": 128'),
        json=True,
        share=15,
    ),
    Target(
        "VBoxManage's answers",
        answer,
        [one for one in ANSWERS if len(one) < 600],
        words=(b"VBoxManage: error: ", b"\nrip = 0x", b"\ncs = 0x", b'="', b"NS_ERROR_ABORT"),
        share=30,
    ),
    Target(
        ".vbox file",
        settings,
        [VBOX, OLDER, _with(LAUGHS, b"&j;"), _with(OUTSIDE, b"&x;"), _with(SUBSET, b"w1")],
        (ValueError,),
        (
            OUTSIDE,
            SUBSET,
            LAUGHS,
            b"&x;",
            b"&j;",
            b'hotplug="true"',
            b"<CpuTree>",
            b"<Cpu id='3'/>",
        ),
        share=12,
    ),
)
