"""Record what a real QEMU says, for tests/transcripts: python tests/act/record_qmp.py SOCKET FILE.

The VM: -machine q35 -accel tcg,thread=multi -smp 2,sockets=2,cores=2,threads=2,maxcpus=8, a Linux
guest that has booted and takes and gives up CPUs. Each line of the transcript is a command with
its answer and the events until a second of silence; times are left out.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

SILENCE_S = 1.0
CPU = {"driver": "max-x86_64-cpu"}


def script() -> list[dict[str, Any]]:
    """Return the commands: each case that the driver must cope with."""
    third = {"socket-id": 0, "core-id": 1, "thread-id": 0}
    fourth = {"socket-id": 0, "core-id": 1, "thread-id": 1}
    return [
        command("qmp_capabilities"),
        command("query-kvm"),
        command("query-status"),
        command("query-hotpluggable-cpus"),
        command("device_add", **CPU, id="hotslot-cpu2", **third),
        command("device_add", **CPU, id="hotslot-cpu2", **third),
        command("device_add", **CPU, id="another", **third),
        command("device_add", **CPU, id="hotslot-cpu3", **fourth),
        command("device_add", **CPU, id="another", **{**third, "socket-id": 9}),
        command("device_add", driver="nonsense", id="another"),
        command("query-hotpluggable-cpus"),
        command("device_del", id="/machine/peripheral/hotslot-cpu3"),
        command("device_del", id="/machine/peripheral/hotslot-cpu3"),
        command("device_del", id="/machine/unattached/device[0]"),
        command("device_del", id="/machine/unattached/device[2]"),
        command("query-hotpluggable-cpus"),
        command("stop"),
        command("device_del", id="hotslot-cpu2"),
        command("device_del", id="hotslot-cpu2"),
        command("query-hotpluggable-cpus"),
        command("query-status"),
        command("cont"),
        command("query-hotpluggable-cpus"),
        command("nonsense"),
    ]


def command(name: str, **arguments: Any) -> dict[str, Any]:
    """Build a QMP command; the arguments' names have dashes already."""
    return {"execute": name, **({"arguments": arguments} if arguments else {})}


class Recorder:
    """A client that writes down what it is told."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(SILENCE_S)
        self._socket.connect(path)
        self._rest = b""

    def heard(self) -> list[dict[str, Any]]:
        """Return all messages until there is silence."""
        try:
            while True:
                self._rest += self._socket.recv(1 << 16)
        except TimeoutError:
            *lines, self._rest = self._rest.split(b"\n")
        return [timeless(json.loads(line)) for line in lines]

    def say(self, message: dict[str, Any]) -> dict[str, Any]:
        """Give a command; return it with its answer and the events that followed."""
        self._socket.sendall(json.dumps(message).encode() + b"\n")
        messages = self.heard()
        answer = next(m for m in messages if "event" not in m)
        return {"sent": message, "answer": answer, "events": [m for m in messages if "event" in m]}


def timeless(message: dict[str, Any]) -> dict[str, Any]:
    """Leave out when it was said."""
    return {key: value for key, value in message.items() if key != "timestamp"}


def record(path: str) -> list[dict[str, Any]]:
    """Run the script against a QMP socket."""
    recorder = Recorder(path)
    (greeting,) = recorder.heard()
    return [{"greeting": greeting}, *(recorder.say(message) for message in script())]


if __name__ == "__main__":
    lines = [json.dumps(line) + "\n" for line in record(sys.argv[1])]
    Path(sys.argv[2]).write_text("".join(lines))
