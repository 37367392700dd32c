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
            if "error" in message:
                raise TestbedError(f"QMP {name}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]
            # else an event, which nobody waits for

    def plug(self, core: int) -> None:
        """Plug the vCPU of a core; the guest onlines it some time later."""
        for cpu in self.command("query-hotpluggable-cpus"):
            if cpu["props"]["core-id"] == core:
                device = {"driver": cpu["type"], "id": f"cpu{core}", **cpu["props"]}
                self.command("device_add", **device)
                return
        raise TestbedError(f"there is no core {core} to plug")

    def unplug(self, core: int, timeout: float = 30) -> None:
        """Ask the guest to give a vCPU back, and wait until it has.

        Under TCG, QEMU 10.0 sends DEVICE_DELETED for a vCPU's lapic and not for the vCPU itself,
        so what counts is the list of vCPUs.
        """
        self.command("device_del", id=f"cpu{core}")
        deadline = time.monotonic() + timeout
        while core in self.plugged():
            if time.monotonic() > deadline:
                raise TestbedError(f"the guest kept core {core} for {timeout} s")
            time.sleep(0.02)

    def plugged(self) -> set[int]:
        """Return the cores whose vCPUs are plugged."""
        return {cpu["props"]["core-id"] for cpu in self.command("query-cpus-fast")}
