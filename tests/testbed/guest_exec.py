"""Commands in a worker VM, through the testbed's own server there."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Sequence

from .errors import TestbedError

PORT = 7077


def execute(
    connection: socket.socket, argv: Sequence[str], *, timeout: float, input: str | None
) -> subprocess.CompletedProcess[str]:
    """Run a command over a connection to the server, with a time limit in the guest."""
    request = {"argv": list(argv), "input": input, "timeout": timeout}
    connection.settimeout(timeout + 10)
    with connection, connection.makefile("rw") as stream:
        stream.write(json.dumps(request) + "\n")
        stream.flush()
        answer = json.loads(stream.readline() or "{}")
    if "returncode" not in answer:
        raise TestbedError(answer.get("error", "the guest closed the connection"))
    return subprocess.CompletedProcess(
        list(argv), answer["returncode"], answer["stdout"], answer["stderr"]
    )
