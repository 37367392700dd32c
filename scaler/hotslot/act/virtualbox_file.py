"""A VM's settings file (``NAME.vbox``): where VirtualBox says which vCPUs are attached.

``showvminfo`` tells only how many are possible. The file is rewritten at each plug and unplug; the
state that holds is directly below ``<Machine>``, a snapshot has one of its own::

    <VirtualBox xmlns="http://www.virtualbox.org/" version="1.20-linux">
      <Machine uuid="{…}" name="w1" …>
        <Platform architecture="x86">
          <CPU count="4" hotplug="true" executionCap="50">
            <CpuTree><Cpu id="0"/><Cpu id="1"/></CpuTree>

Up to version 1.19 of the form it is ``<Hardware><CPU …>``; VirtualBox 7.2 writes that still for
VMs that need nothing of the newer one. Without ``hotplug`` all are attached. The file is parsed
without entities: guests do not write it, but a VM's owner might.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING
from uuid import UUID

import defusedxml
from defusedxml.ElementTree import ParseError, fromstring

from hotslot.errors import DriverError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MOST_BYTES = 4 << 20
MOST_CPUS = 1024
_NS = "{http://www.virtualbox.org/}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a settings file says of a VM's CPUs; ``cap_pct`` limits the time of each.

    ``owner`` is the user (uid) whose file it is: who runs the VM.
    """

    uuid: UUID
    name: str
    max_vcpus: int
    hotplug: bool
    attached: frozenset[int]
    cap_pct: int = 100
    owner: int = 0


class SettingsFile:
    """One VM's settings file, read again when it has changed."""

    def __init__(self, vm: str, path: Path) -> None:
        self.path = path
        self._vm = vm
        self._seen: tuple[int, int, int] | None = None
        self._settings: Settings | None = None

    def read(self) -> Settings | None:
        """Return what the file says now; None if there is no such file.

        DriverError when it cannot be read or makes no sense.
        """
        try:
            # Without waiting: where a file is expected there might be a pipe.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
                stat = os.fstat(descriptor)
                if not S_ISREG(stat.st_mode):
                    raise DriverError(self._vm, f"{self.path} is no file")
                seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
                if self._settings is None or seen != self._seen:
                    self._settings = replace(parse(file.read(MOST_BYTES + 1)), owner=stat.st_uid)
                    self._seen = seen
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DriverError(self._vm, f"{self.path}: {error.strerror}") from error
        except ValueError as error:
            raise DriverError(self._vm, f"{self.path}: {error}") from error
        return self._settings


def parse(text: bytes) -> Settings:
    """Read a settings file; ValueError says what is wrong with it."""
    if len(text) > MOST_BYTES:
        raise ValueError(f"is larger than {MOST_BYTES} bytes")
    try:
        root = fromstring(text)
    except (ParseError, defusedxml.DefusedXmlException) as error:
        raise ValueError(f"is no settings file of VirtualBox: {error}") from error
    machine = _only(root, "Machine")
    platform = machine.find(f"{_NS}Platform")
    cpu = _only(_only(machine, "Hardware") if platform is None else platform, "CPU")
    most = _number(cpu, "count", 1, 1, MOST_CPUS)
    hotplug = cpu.get("hotplug") == "true"
    tree = cpu.find(f"{_NS}CpuTree")
    listed = tree.findall(f"{_NS}Cpu") if hotplug and tree is not None else []
    attached = frozenset(_number(one, "id", -1, 0, most - 1) for one in listed)
    return Settings(
        uuid=UUID(machine.get("uuid", "")),
        name=machine.get("name", ""),
        max_vcpus=most,
        hotplug=hotplug,
        attached=attached if hotplug else frozenset(range(most)),
        cap_pct=_number(cpu, "executionCap", 100, 1, 100),
    )


def _only(parent: Element, tag: str) -> Element:
    found = parent.findall(f"{_NS}{tag}")
    if len(found) != 1:
        raise ValueError(f"has {len(found)} times <{tag}> where one is expected")
    return found[0]


def _number(element: Element, name: str, default: int, least: int, most: int) -> int:
    text = element.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not least <= int(text) <= most:
        raise ValueError(f"has {name}={text!r} where {least} to {most} is expected")
    return int(text)
