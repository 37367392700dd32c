"""Vm: one VM through its driver, with limits that hold even when the driver does not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hotslot.act.choose import Change
from hotslot.act.driver import Driver, VmState
from hotslot.errors import ActionTimedOut, DriverError, HotslotError, VmGone

log = logging.getLogger(__name__)

T = TypeVar("T")

GRACE_S = 0.2
"""Part of a limit that a cancelled call may use to clean up before it counts as hung."""


class Vm:
    """What was last read of a VM, and the calls to its driver, each ended within its limit.

    A call that ignores its cancellation is left behind and remembered: ``hung`` until it is
    really over. Errors that are not hotslot's own are a driver's bugs and become DriverError.
    """

    def __init__(self, name: str, driver: Driver, wall: Callable[[], float]) -> None:
        self.name = name
        self.state: VmState | None = None
        self.changed_at: float | None = None
        self._driver = driver
        self._wall = wall
        self._left_behind: dict[asyncio.Task[Any], str] = {}
        self._said: set[asyncio.Task[Any]] = set()
        self._looks = 0
        self._newest_look = 0

    @property
    def hung(self) -> bool:
        """Whether a call is still running that should have ended."""
        return bool(self._left_behind)

    async def read(self, limit_s: float) -> VmState:
        """Read the attached set and keep it; VmGone, DriverError, ActionTimedOut."""
        if "state" in self._left_behind.values():
            raise ActionTimedOut(self.name, "an earlier look at it has still not been answered")
        self._looks += 1
        look = self._looks
        try:
            state = await self._call("state", self._driver.state(self.name), limit_s)
        except VmGone:
            self._keep(look, None)
            raise
        self._keep(look, state)
        return state

    async def change(self, change: Change, limit_s: float, stop: asyncio.Future[None]) -> None:
        """Plug or unplug, until ``stop`` at most; raises what the driver raises."""
        if change.plug:
            call = self._driver.plug(self.name, change.plug)
            await self._call("plug", call, limit_s, stop)
        else:
            call = self._driver.unplug(self.name, change.unplug)
            await self._call("unplug", call, limit_s, stop)

    async def close(self) -> None:
        """Cancel what is still running, and wait a moment for it."""
        for task in self._left_behind:
            task.cancel()
        if self._left_behind:
            await asyncio.wait(set(self._left_behind), timeout=GRACE_S)

    async def _call(
        self,
        what: str,
        call: Coroutine[Any, Any, T],
        limit_s: float,
        stop: asyncio.Future[None] | None = None,
    ) -> T:
        task = asyncio.create_task(call)
        grace_s = min(GRACE_S, max(0.0, limit_s) / 4)
        try:
            await _first({task} if stop is None else {task, stop}, limit_s - grace_s)
        finally:
            if not task.done():
                self._leave(task, what)
        if not task.done():
            await _first({task}, grace_s)
        if not task.done():
            self._say(task, what)
        if not task.done() or task.cancelled():
            raise ActionTimedOut(self.name, f"no answer to {what} within {limit_s:.1f} s")
        return self._answer(task)

    def _answer(self, task: asyncio.Task[T]) -> T:
        try:
            return task.result()
        except HotslotError:
            raise
        except Exception as error:
            log.exception("VM %s: a bug in driver %s", self.name, self._driver.name)
            words = f"driver {self._driver.name} failed: {type(error).__name__}: {error}"
            raise DriverError(self.name, words) from error

    def _leave(self, task: asyncio.Task[Any], what: str) -> None:
        task.cancel()
        self._left_behind[task] = what
        task.add_done_callback(self._over)

    def _say(self, task: asyncio.Task[Any], what: str) -> None:
        self._said.add(task)
        log.warning("VM %s: %s hangs; it is left alone until that is over", self.name, what)

    def _over(self, task: asyncio.Task[Any]) -> None:
        what = self._left_behind.pop(task)
        how = "cancelled" if task.cancelled() else task.exception() or "answered"
        if task in self._said:
            self._said.remove(task)
            log.warning("VM %s: %s, which hung, is over: %s", self.name, what, how)

    def _keep(self, look: int, state: VmState | None) -> None:
        """Keep what a look found, unless a later look was answered before it."""
        if look < self._newest_look:
            return
        self._newest_look = look
        before, self.state = self.state, state
        if before is not None and (state is None or state.attached != before.attached):
            self.changed_at = self._wall()


async def _first(waited: set[asyncio.Future[Any]], timeout_s: float) -> None:
    await asyncio.wait(waited, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
