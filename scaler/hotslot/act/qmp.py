"""Monitor: the QMP connection to one QEMU process, made when needed and again when lost.

Protocol: QEMU's docs/interop/qmp-spec. A QMP socket serves one client at a time: the next one's
connection waits in the socket's queue (of length 1) and never gets a greeting.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from qemu.qmp import (
    EventListener,
    ExecInterruptedError,
    ExecuteError,
    Message,
    QMPClient,
    QMPError,
    Runstate,
)

from hotslot.errors import ActionRefused, ActionTimedOut, DriverError, VmGone

CONNECT_S = 2.0
"""QEMU greets within milliseconds, unless another client holds the socket or it hangs."""
COMMAND_S = 5.0
"""QEMU answers within 0.1 s, also emulating on a busy host; longer when its disk stalls."""
CLOSE_S = 1.0
LONGEST_ANSWER = 1 << 20
"""Bytes; the CPU list of the largest machine, 4096 vCPUs, is two thirds of this."""


class CommandFailed(ActionRefused):
    """QEMU understood a command and said no; ``kind`` is its error class."""

    def __init__(self, vm: str, command: str, kind: str, words: str) -> None:
        self.command = command
        self.kind = kind
        super().__init__(vm, f"QEMU refused {command}: {short(words)}")


class Monitor:
    """QMP commands to one VM, each with a time limit.

    ``pid`` is the process that listens on the socket, as the kernel says (SO_PEERCRED), which no
    name can forge; ``version`` is QEMU's. Both are of the last connection.
    """

    def __init__(self, vm: str, path: str) -> None:
        self.vm = vm
        self.path = path
        self.pid = 0
        self.version: tuple[int, ...] = ()
        self._client: _Client | None = None
        self._socket: socket.socket | None = None
        self._connecting = asyncio.Lock()

    async def ask(self, command: str) -> object:
        """Execute a command that changes nothing; a connection that was lost is made anew."""
        try:
            return await self.tell(command)
        except VmGone:
            return await self.tell(command)

    async def tell(self, command: str, arguments: Mapping[str, object] | None = None) -> object:
        """Execute a command and return its answer.

        Raises VmGone when QEMU is not there or goes away, CommandFailed when it says no,
        ActionTimedOut, and DriverError when it cannot be reached or understood.
        """
        client = await self._connected()
        try:
            async with asyncio.timeout(COMMAND_S):
                return await client.execute(command, arguments)
        except TimeoutError as error:
            words = f"QEMU did not answer {command} within {COMMAND_S:g} s"
            raise ActionTimedOut(self.vm, words) from error
        except ExecuteError as error:
            raise CommandFailed(self.vm, command, error.error_class, str(error)) from error
        except QMPError as error:
            raise self._lost(command, await self._hang_up() or error) from error

    @contextmanager
    def events(self, *names: str) -> Iterator[EventListener]:
        """Listen to these events of the present connection, if there is one."""
        listener = EventListener(names)
        if self._client is None:
            yield listener
            return
        with self._client.listen(listener):
            yield listener

    async def close(self) -> None:
        """Let go of the connection, so that another client can have the socket."""
        async with self._connecting:
            await self._hang_up()

    async def _connected(self) -> _Client:
        async with self._connecting:
            if self._client is None or self._client.runstate is not Runstate.RUNNING:
                await self._hang_up()
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> _Client:
        client = _Client(self.vm)
        own = self._open_socket()
        try:
            async with asyncio.timeout(CONNECT_S):
                await client.connect(own)
        except TimeoutError as error:
            raise self._taken() from error
        except QMPError as error:
            raise self._lost("the connection", error.__cause__ or error) from error
        finally:
            if client.runstate is not Runstate.RUNNING:
                own.close()
        self._socket = own
        self.version = _version(client)
        return client

    def _open_socket(self) -> socket.socket:
        """Connect to QEMU's socket, which never waits, and note who listens there."""
        own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            own.connect(self.path)
        except OSError as error:
            own.close()
            raise self._unreachable(error) from error
        peer = own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        self.pid = struct.unpack("3i", peer)[0]
        if self.pid > 0:
            return own
        own.close()
        words = "runs in a PID namespace that this one does not contain; run hotslotd outside"
        raise DriverError(self.vm, f"the QEMU behind {self.path} {words}")

    async def _hang_up(self) -> BaseException | None:
        """Disconnect; return what had ended the connection, None if nothing had."""
        client, own = self._client, self._socket
        self._client = self._socket = None
        if client is None or own is None:
            return None
        try:
            async with asyncio.timeout(CLOSE_S):
                (cause,) = await asyncio.gather(client.disconnect(), return_exceptions=True)
        except TimeoutError as error:
            own.shutdown(socket.SHUT_RDWR)
            return error
        return cause

    def _lost(self, during: str, cause: BaseException) -> DriverError:
        if isinstance(cause, EOFError | ConnectionError | ExecInterruptedError):
            return VmGone(self.vm, f"QEMU went away during {during}")
        what = f"{type(cause).__name__}: {short(str(cause))}"
        return DriverError(
            self.vm, f"what came from {self.path} is not QMP, during {during}: {what}"
        )

    def _taken(self) -> ActionTimedOut:
        words = (
            f"another QMP client holds {self.path}, or QEMU hangs: hotslotd needs a QMP socket "
            "of its own for each VM; QEMU can have several"
        )
        return ActionTimedOut(self.vm, words)

    def _unreachable(self, error: OSError) -> DriverError:
        match error:
            case BlockingIOError():
                return self._taken()
            case FileNotFoundError():
                return VmGone(self.vm, f"there is no QMP socket {self.path}; is the VM started?")
            case ConnectionRefusedError():
                return VmGone(self.vm, f"no QEMU listens on {self.path} any more")
            case _:
                return DriverError(self.vm, f"{self.path} cannot be reached: {error}")


def short(words: str) -> str:
    """Cut what somebody else wrote to one line of at most 200 characters."""
    line = " ".join(words[:1000].split())
    return line if len(line) <= 200 else line[:199] + "…"


class _Client(QMPClient):
    """A client that neither logs nor hoards events: its errors are raised, and handled here.

    The library would pretty-print each message for a debug log, also when there is none: 6 of the
    8 ms of CPU time that reading 240 possible vCPUs cost.
    """

    def __init__(self, vm: str) -> None:
        super().__init__(vm, readbuflen=LONGEST_ANSWER)
        self.logger.setLevel(logging.CRITICAL + 1)
        self.events.event_filter = lambda _: False

    def _cb_inbound(self, msg: Message) -> Message:
        return msg

    def _cb_outbound(self, msg: Message) -> Message:
        return msg


def _version(client: _Client) -> tuple[int, ...]:
    """Return major, minor, micro from the greeting; () when it tells none."""
    told = client.greeting.QMP.version.get("qemu") if client.greeting else None
    parts = [told.get(key) for key in ("major", "minor", "micro")] if isinstance(told, dict) else []
    return tuple(part for part in parts if isinstance(part, int))
