"""A few QMP commands for tests, over a socket that the agent does not use."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from .errors import TestbedError


class Qmp:
    """A QMP connection; every call has a time limit."""

    def __init__(self, path: Path, timeout: float = 30) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rw")
        self._events: list[dict[str, Any]] = []
        self._message()  # the greeting
        self.command("qmp_capabilities")

    def __enter__(self) -> Qmp:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def _message(self) -> dict[str, Any]:
        line = self._stream.readline()
        if not line:
            raise TestbedError("QEMU closed its QMP socket")
        message: dict[str, Any] = json.loads(line)
        return message

    def command(self, name: str, **arguments: Any) -> Any:
        """Execute a command and return its answer; an error is a TestbedError."""
        request: dict[str, Any] = {"execute": name}
        if arguments:
            request["arguments"] = arguments
        self._stream.write(json.dumps(request) + "\n")
        self._stream.flush()
        while True:
            message = self._message()
            if "event" in message:
                self._events.append(message)
            elif "error" in message:
                raise TestbedError(f"QMP {name}: {message['error']['desc']}")
            else:
                return message["return"]

    def wait_event(self, name: str, timeout: float, **fields: Any) -> dict[str, Any]:
        """Wait for an event whose data contain the given fields."""
        deadline = time.monotonic() + timeout
        while True:
            for event in self._events:
                data = event.get("data", {})
                if event["event"] == name and fields.items() <= data.items():
                    self._events.remove(event)
                    return event
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TestbedError(f"no QMP event {name} within {timeout} s")
            self._socket.settimeout(left_s)
            try:
                message = self._message()
            except TimeoutError:
                continue
            if "event" in message:
                self._events.append(message)

    def plug(self, core: int) -> None:
        """Plug the vCPU of a core; the guest onlines it some time later."""
        for cpu in self.command("query-hotpluggable-cpus"):
            if cpu["props"]["core-id"] == core:
                device = {"driver": cpu["type"], "id": f"cpu{core}", **cpu["props"]}
                self.command("device_add", **device)
                return
        raise TestbedError(f"there is no core {core} to plug")

    def unplug(self, core: int, timeout: float = 30) -> None:
        """Ask the guest to give a vCPU back, and wait until it has."""
        self.command("device_del", id=f"cpu{core}")
        self.wait_event("DEVICE_DELETED", timeout, device=f"cpu{core}")
