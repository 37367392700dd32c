"""Commands in a worker VM, through the testbed's own server there.

Inside a testbed also a command: python3 -m testbed.guest_exec w1 nproc
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Sequence

from .errors import TestbedError
from .network import worker_address

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


def main() -> int:
    name, *argv = sys.argv[1:]
    address = worker_address(int(name.removeprefix("w")))
    connection = socket.create_connection((address, PORT), timeout=10)
    done = execute(connection, argv, timeout=3600, input=None)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
