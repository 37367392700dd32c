"""A QEMU that is only its QMP socket and a guest that takes and ejects CPUs.

What it says is what QEMU 10.0 says: test_qmp_transcript.py compares the two.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

CPU_TYPE = "max-x86_64-cpu"
BUSY = 0x82
EJECTING = 0x84


class Refused(Exception):
    """An error answer."""

    def __init__(self, words: str, kind: str = "GenericError") -> None:
        super().__init__(words)
        self.answer = {"error": {"class": kind, "desc": words}}


@dataclass
class FakeQemu:
    """One VM; ``topology`` is sockets, cores, threads; ``booted`` vCPUs are there at the start.

    The guest ejects ``eject_s`` after it was asked; ``deaf``: never; ``unwilling``: it says no.
    ``answers`` replaces the answer to a command by these bytes, ``mute`` gives none at all.
    """

    path: Path
    topology: tuple[int, int, int] = (1, 8, 1)
    booted: int = 1
    eject_s: float = 0.07
    deaf: bool = False
    unwilling: bool = False
    running: bool = True
    mute: bool = False
    tells_events: bool = True
    greeting: bytes = b""
    answers: dict[str, bytes] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._places = list(product(*map(range, self.topology)))
        devices = (f"/machine/unattached/device[{2 * i}]" for i in range(self.booted))
        self.paths: dict[int, str] = dict(enumerate(devices))
        self._asked: set[int] = set()
        self._clients: list[asyncio.StreamWriter] = []
        self._turn = asyncio.Lock()
        self._ejecting: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        stays: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
        self._server = await asyncio.start_unix_server(self._serve, self.path, backlog=1, **stays)

    async def kill(self) -> None:
        """End as a killed process does: the socket's file stays."""
        self._server.close()
        for task in self._ejecting:
            task.cancel()
        for client in self._clients:
            client.transport.abort()
        await asyncio.sleep(0)

    @property
    def actions(self) -> list[str]:
        """The commands that would change something."""
        return [command for command, _ in self.seen if command.startswith("device_")]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.append(writer)
        with suppress(ConnectionError, asyncio.CancelledError):
            async with self._turn:
                await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        writer.write(self.greeting or _line(self._hello()))
        async for message in _messages(reader):
            command, arguments = message["execute"], message.get("arguments", {})
            self.seen.append((command, arguments))
            if self.mute:
                continue
            if command in self.answers:
                writer.write(self.answers[command].replace(b"$ID", message["id"].encode()))
                continue
            marked = {"id": message["id"]} if "id" in message else {}
            writer.write(_line(self._answer(command, arguments) | marked))

    def _hello(self) -> dict[str, Any]:
        version = {"qemu": {"micro": 13, "minor": 0, "major": 10}}
        package = {"package": "Debian 1:10.0.13+ds-0+deb13u1"}
        return {"QMP": {"version": version | package, "capabilities": ["oob"]}}

    def _answer(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"return": self._do(command, arguments)}
        except Refused as error:
            return error.answer

    def _do(self, command: str, arguments: dict[str, Any]) -> Any:
        match command:
            case "qmp_capabilities":
                return {}
            case "query-kvm":
                return {"enabled": False, "present": True}
            case "query-status":
                status = "running" if self.running else "paused"
                return {"status": status, "running": self.running}
            case "query-hotpluggable-cpus":
                return self._list()
            case "device_add":
                return self._add(**{key.replace("-", "_"): v for key, v in arguments.items()})
            case "device_del":
                return self._del(arguments["id"])
            case "stop" | "cont":
                return self._go(command == "cont")
        raise Refused(f"The command {command} has not been found", "CommandNotFound")

    def _list(self) -> list[dict[str, Any]]:
        cpus = []
        for index, (socket, core, thread) in enumerate(self._places):
            props = {"core-id": core, "thread-id": thread, "socket-id": socket}
            path = {"qom-path": self.paths[index]} if index in self.paths else {}
            cpus.append({"props": props, "vcpus-count": 1, **path, "type": CPU_TYPE})
        return cpus[::-1]

    def _add(
        self, driver: str, id: str, socket_id: int = 0, core_id: int = 0, thread_id: int = 0
    ) -> dict[str, Any]:
        path = f"/machine/peripheral/{id}"
        if driver != CPU_TYPE:
            raise Refused(f"'{driver}' is not a valid device model name")
        if path in self.paths.values():
            raise Refused(f"Duplicate device ID '{id}'")
        if socket_id >= self.topology[0]:
            most = self.topology[0] - 1
            raise Refused(f"Invalid CPU socket-id: {socket_id} must be in range 0:{most}")
        index = self._places.index((socket_id, core_id, thread_id))
        if index in self.paths:
            raise Refused(f"CPU[{index}] with APIC ID {index} exists")
        self.paths[index] = path
        self._ost(index, source=1, status=0)
        return {}

    def _del(self, id: str) -> dict[str, Any]:
        path = id if id.startswith("/") else f"/machine/peripheral/{id}"
        index = next((i for i, p in self.paths.items() if p == path), None)
        if index is None:
            raise Refused(f"Device '{id}' not found", "DeviceNotFound")
        if index == 0:
            raise Refused("Boot CPU is unpluggable")
        self._asked.add(index)
        self._guest_acts()
        return {}

    def _go(self, running: bool) -> dict[str, Any]:
        self.running = running
        self._tell("RESUME" if running else "STOP")
        self._guest_acts()
        return {}

    def _guest_acts(self) -> None:
        if self.running and not self.deaf:
            for index in self._asked:
                task = asyncio.create_task(self._eject(index))
                self._ejecting.add(task)
            self._asked.clear()

    async def _eject(self, index: int) -> None:
        self._ost(index, source=3, status=EJECTING)
        await asyncio.sleep(self.eject_s)
        if self.unwilling:
            self._ost(index, source=3, status=BUSY)
            return
        path = self.paths.pop(index)
        self._tell("DEVICE_DELETED", path=f"{path}/lapic")
        self._ost(index, source=3, status=0)

    def _ost(self, index: int, *, source: int, status: int) -> None:
        match = re.search("peripheral/(.*)", self.paths.get(index, ""))
        device = {"device": match[1]} if match else {}
        info = {"source": source, "status": status, "slot": str(index), "slot-type": "CPU"}
        self._tell("ACPI_DEVICE_OST", info=device | info)

    def _tell(self, event: str, **data: Any) -> None:
        if self.tells_events:
            timestamp = {"seconds": 1795262145, "microseconds": 406817}
            message = {"timestamp": timestamp, "event": event}
            self._writer.write(_line(message | ({"data": data} if data else {})))


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """Yield JSON objects; QMP needs nothing between them."""
    text = ""
    while data := await reader.read(1 << 16):
        text = (text + data.decode()).lstrip()
        while text:
            try:
                message, end = json.JSONDecoder().raw_decode(text)
            except json.JSONDecodeError:
                break
            yield message
            text = text[end:].lstrip()


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\r\n"
