"""Vm: one VM through its driver, with limits that hold even when the driver does not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from hotslot.act.doubts import Doubts, Threads
from hotslot.act.driver import Driver, VmState
from hotslot.errors import ActionTimedOut, DriverError, HotslotError, PlugLost, VmGone

log = logging.getLogger(__name__)

T = TypeVar("T")

READ_S = 1.0
"""How long it may take to read a VM back between two vCPUs."""

GRACE_S = 0.2
"""Part of a limit that a cancelled call may use to clean up before it counts as hung."""


class Vm:
    """What was last read of a VM, and the calls to its driver, each ended within its limit.

    ``state`` is without vCPUs that the hypervisor lists and the guest does not have.
    A call that ignores its cancellation is left behind and remembered: ``hung`` until it is
    really over. Errors that are not hotslot's own are a driver's bugs and become DriverError.
    """

    def __init__(
        self, name: str, driver: Driver, threads: Threads, wall: Callable[[], float]
    ) -> None:
        self.name = name
        self.state: VmState | None = None
        self.changed_at: float | None = None
        self.doubts = Doubts(hides=driver.hides)
        self._driver = driver
        self._threads = threads
        self._wall = wall
        self._listed: VmState | None = None
        self._left_behind: dict[asyncio.Task[Any], str] = {}
        self._said: set[asyncio.Task[Any]] = set()
        self._looks = 0
        self._newest_look = 0

    @property
    def hung(self) -> bool:
        """Whether a call is still running that should have ended."""
        return bool(self._left_behind)

    @property
    def in_doubt(self) -> bool:
        """Whether a vCPU should be looked at, or unplugged, and plugged again if it is wanted."""
        now = _now()
        return bool(self.doubts.lost or self.doubts.overdue(now) or self.doubts.quiet(now))

    @property
    def hides(self) -> bool:
        """Whether the hypervisor's list may say other than what the guest has."""
        return self._driver.hides

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
        return self._seen_through(state)

    async def plug(self, vcpus: frozenset[int], limit_s: float, stop: asyncio.Future[None]) -> None:
        """Plug, until ``stop`` at most; raises what the driver raises.

        Where things are hidden one vCPU at a time, each read back: what is there counts at once.
        """
        if not self.hides:
            await self._plug(vcpus, limit_s, stop)
            return
        deadline = _now() + limit_s
        for vcpu in sorted(vcpus):
            one = frozenset({vcpu})
            await self._plug(one, self._left(deadline, stop), stop)
            self.doubts.running(one)
            await self.read(READ_S)

    async def unplug(
        self, vcpus: frozenset[int], limit_s: float, stop: asyncio.Future[None]
    ) -> None:
        """Unplug, until ``stop`` at most; raises what the driver raises. As ``plug``."""
        if not self.hides:
            await self._unplug(vcpus, limit_s, stop)
            return
        deadline = _now() + limit_s
        for vcpu in sorted(vcpus, reverse=True):
            await self._unplug(frozenset({vcpu}), self._left(deadline, stop), stop)
            await self.read(READ_S)

    async def recheck(self, limit_s: float) -> VmState | None:
        """Look whether the guest has started what is overdue or was given up; what is known now."""
        doubtful = self.doubts.overdue(_now()) | self.doubts.hidden
        if doubtful and self._listed is not None:
            try:
                call = self._driver.started(self.name, doubtful)
                started = await self._call("started", call, limit_s)
            except HotslotError as error:
                log.debug("VM %s: %s", self.name, error)
            else:
                self.doubts.running(started)
                self.doubts.not_started(doubtful - started)
            self.state = self._seen_through(self._listed)
        return self.state

    def started(self, vcpus: frozenset[int]) -> frozenset[int]:
        """Return those of these vCPUs that run on the host, and put them beyond doubt."""
        ran = self._ran(vcpus)
        self.doubts.running(ran)
        return ran

    def _left(self, deadline: float, stop: asyncio.Future[None]) -> float:
        left_s = deadline - _now()
        if left_s <= 0 or stop.done():
            raise ActionTimedOut(self.name, "no time was left for the others")
        return left_s

    async def _plug(
        self, vcpus: frozenset[int], limit_s: float, stop: asyncio.Future[None]
    ) -> None:
        self._mark(vcpus)
        self.doubts.plugged(vcpus, _now())
        try:
            await self._call("plug", self._driver.plug(self.name, vcpus), limit_s, stop)
        except PlugLost:
            self.doubts.not_started(vcpus)
            raise

    async def _unplug(
        self, vcpus: frozenset[int], limit_s: float, stop: asyncio.Future[None]
    ) -> None:
        try:
            await self._call("unplug", self._driver.unplug(self.name, vcpus), limit_s, stop)
        except ActionTimedOut:
            self.doubts.asked_in_vain(vcpus, _now())
            raise

    def _ran(self, vcpus: frozenset[int]) -> frozenset[int]:
        if not vcpus or self._listed is None:
            return frozenset()
        try:
            return self._threads.ran(self._listed.pid, vcpus)
        except HotslotError:
            return frozenset()

    def _mark(self, vcpus: frozenset[int]) -> None:
        if vcpus and self._listed is not None:
            with contextlib.suppress(HotslotError):
                self._threads.mark(self._listed.pid, vcpus)

    def _seen_through(self, listed: VmState) -> VmState:
        hidden = self.doubts.hidden
        if not hidden:
            return listed
        return replace(listed, attached=listed.attached - hidden, dead=self.doubts.dead)

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
        if state is None or self._listed is None or self._listed.pid != state.pid:
            self.doubts.clear()
            if state is not None and self.hides:  # what was plugged by another is in doubt
                self.doubts.plugged(state.attached - {0}, _now())
        else:
            self.doubts.only(state.attached)
        self._listed = state
        before, self.state = self.state, self._seen_through(state) if state else None
        state = self.state
        if before is not None and (state is None or state.attached != before.attached):
            self.changed_at = self._wall()


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _first(waited: set[asyncio.Future[Any]], timeout_s: float) -> None:
    await asyncio.wait(waited, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
