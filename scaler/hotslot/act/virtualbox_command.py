"""VBoxManage as a command line: one call a process, each with a time limit.

Measured with VirtualBox 7.2: 16 ms for ``list vms``, 70-150 ms for a call to a running VM, 10 s
for two of about 400 calls, 20 s for the first one after VBoxSVC was killed. So never in the cycle.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

from hotslot.act.virtualbox_answers import Answer
from hotslot.errors import ActionTimedOut, DriverError

CALL_S = 25.0
"""Longest that a call may take: longer than each of VirtualBox's own limits."""
KILLED_WITHIN_S = 0.1
MOST_BYTES = 1 << 20
_ENV_KEPT = ("PATH", "HOME", "LOGNAME", "USER", "VBOX_USER_HOME", "VBOX_IPC_SOCKETID", "TMPDIR")


class VBoxManage:
    """Runs VBoxManage by a given command line, such as ``["sudo", "-n", "-u", "vbox", …]``.

    ``calls`` have been made, which took ``spent_s`` together.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)
        self.calls = 0
        self.spent_s = 0.0

    async def ask(self, vm: str, *arguments: str, limit_s: float = CALL_S) -> Answer:
        """Run one call to its end; ActionTimedOut, and DriverError when it cannot be started.

        A call that takes too long or is cancelled is killed with all that it started. VirtualBox
        may still do what it was asked for.
        """
        self.calls += 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        process = await self._started(vm, arguments)
        try:
            async with asyncio.timeout(limit_s):
                out, err = await process.communicate()
        except TimeoutError as error:
            words = f"VBoxManage {arguments[0]} gave no answer within {limit_s:.0f} s"
            raise ActionTimedOut(vm, words) from error
        finally:
            await _end(process)
            self.spent_s += loop.time() - began
        code = -1 if process.returncode is None else process.returncode
        return Answer(code, _text(out), _text(err), loop.time() - began)

    async def _started(self, vm: str, arguments: Sequence[str]) -> asyncio.subprocess.Process:
        kept = {name: os.environ[name] for name in _ENV_KEPT if name in os.environ}
        try:
            return await asyncio.create_subprocess_exec(
                *self._command,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                env={**kept, "LC_ALL": "C.UTF-8"},
                limit=MOST_BYTES,
            )
        except OSError as error:
            words = f"{self._command[0]}: {error.strerror}; is driver.command right?"
            raise DriverError(vm, words) from error


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    # A process of another user (sudo) cannot be killed; it ends with VirtualBox's own limit.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), KILLED_WITHIN_S)


def _text(output: bytes) -> str:
    return output[:MOST_BYTES].decode(errors="replace")
