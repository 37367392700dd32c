"""A running guest, as its tests talk to it: a shell on its second serial port."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import socket
import time
from pathlib import Path

from testbed.errors import TestbedError
from testbed.worker import parse_cpu_list

_numbers = itertools.count(1)


class Guest:
    """A guest which runs until its VM is restored, killed or powered off."""

    def __init__(self, name: str, serial: Path) -> None:
        """Connect to a guest by the socket which VirtualBox offers as its serial port."""
        self.name = name
        self._socket = _connect(serial)
        self._interrupted = False

    def __repr__(self) -> str:
        return f"<Guest {self.name}>"

    def close(self) -> None:
        """Hang up; the guest notices nothing of it."""
        self._socket.close()

    def shell(self, command: str, timeout: float = 60) -> str:
        """Run a command in the guest as root and return what it writes, errors with it.

        What an earlier command left behind on the line is not taken for this one's. One that is
        not through in time is interrupted.
        """
        mark = f"{os.getpid()}.{next(_numbers)}"
        # Each mark is written in two pieces, so that an echo of the line is none.
        line = (
            f"echo '<{mark}''>'; (eval {shlex.quote(command)}) </dev/null 2>&1; "
            f"echo '<{mark} '$?'>'\n"
        )
        answer = re.compile(rf"<{re.escape(mark)}>\r?\n(.*?)<{re.escape(mark)} (\d+)>", re.DOTALL)
        said = ""
        try:
            self._await_new_shell()
            deadline = time.monotonic() + timeout
            self._socket.sendall(line.encode())
            while not (found := answer.search(said)):
                said += self._receive(deadline)
        except TimeoutError:
            self._socket.sendall(b"\x03")  # Control-C ends the shell, which is followed by another
            self._interrupted = True
            raise TestbedError(
                f"{self.name}: no end within {timeout:g} s: {command}\n{_after(mark, said)}"
            ) from None
        except OSError as error:
            raise TestbedError(f"{self.name} cannot run {command}: {error}") from error
        output, code = found[1].replace("\r", ""), int(found[2])
        if code != 0:
            raise TestbedError(f"{self.name}: {command}: exit code {code}\n{output}")
        return output

    def _receive(self, deadline: float) -> str:
        self._socket.settimeout(max(0.001, deadline - time.monotonic()))
        received = self._socket.recv(65536)
        if not received:
            raise ConnectionResetError("it has ended")
        return received.decode(errors="replace")

    def _await_new_shell(self) -> None:
        """After an interrupt, say something until it is heard: at first the line is flushed."""
        deadline = time.monotonic() + 60
        while self._interrupted:
            mark = f"{os.getpid()}.{next(_numbers)}"
            self._socket.sendall(f"echo '<{mark}''>'\n".encode())
            said, patience = "", min(deadline, time.monotonic() + 2)
            try:
                while f"<{mark}>" not in said:
                    said += self._receive(patience)
                self._interrupted = False
            except TimeoutError:
                if patience == deadline:
                    raise

    def online(self) -> frozenset[int]:
        """Return the CPUs that the guest has online."""
        return frozenset(parse_cpu_list(self.shell("cat /sys/devices/system/cpu/online")))

    def burn(self, cores: int) -> None:
        """Start so many busy loops."""
        loop = "(while :; do :; done) >/dev/null 2>&1 & echo $! >>/tmp/burning"
        self.shell(f"for _ in $(seq {cores}); do {loop}; done")

    def calm(self) -> None:
        """End all busy loops."""
        self.shell("[ ! -e /tmp/burning ] || kill -9 $(cat /tmp/burning); rm -f /tmp/burning")

    def announce(self) -> None:
        """Tell VirtualBox that the guest follows CPU hot-plug, as VBoxService does at its start."""
        self.shell("announce")

    def start_service(self) -> None:
        """Start VBoxService and wait until it expects events."""
        self.shell("vboxservice")

    def stop_service(self) -> None:
        """Have VBoxService end in order: it tells VirtualBox, which then refuses every unplug."""
        self._end_service("TERM")

    def kill_service(self) -> None:
        """Kill VBoxService: VirtualBox goes on to believe that the guest follows CPU hot-plug."""
        self._end_service("KILL")

    def _end_service(self, how: str) -> None:
        gone = "while kill -0 $pid 2>/dev/null; do usleep 20000; done"
        self.shell(f"pid=$(cat /tmp/vboxservice.pid); kill -{how} $pid && {gone}")


def _after(mark: str, said: str) -> str:
    """Return what was said since a command's mark, or all if the mark has not come."""
    return (said.partition(f"<{mark}>")[2] or said).replace("\r", "").lstrip("\n")


def _connect(path: Path) -> socket.socket:
    """Connect to a UNIX socket, whose path can be longer than the address of one."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(10)
        try:
            connection.connect(f"/proc/self/fd/{directory}/{path.name}")
        except BaseException:
            connection.close()
            raise
        return connection
    finally:
        os.close(directory)
