"""Actuator: the hand on one worker's VM.

The loop tells it every second how many vCPUs the worker should have; it never blocks, makes one
attempt at a time, and says with one event what each attempt came to.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine

from hotslot.act.attempt import Attempt
from hotslot.act.backoff import BackOff
from hotslot.act.doubts import Threads
from hotslot.act.driver import Driver, VmState
from hotslot.act.judge import Outcome
from hotslot.act.order import Order
from hotslot.act.vm import Vm
from hotslot.errors import HotslotError
from hotslot.model import Decision, Event, EventResult

log = logging.getLogger(__name__)

DOUBT_S = 60.0
"""After an action that did not end well: how long the VM is looked at again every second, since
what was asked for may still happen (a slow guest ejects late)."""
CLOSE_S = 1.0
"""How long closing waits for a running attempt."""


class Actuator:
    """Brings one worker's VM to the number of vCPUs that was wanted last.

    ``threads`` tells which vCPUs run on the host, ``on_event`` gets each attempt's one event before
    ``busy`` ends. ``slots`` are the host's places for actions at once. Every attempt ends within
    ``deadline_s``. ``monotonic`` and ``wall`` are clocks in s; limits use the event loop's.
    """

    def __init__(
        self,
        worker: str,
        vm: str,
        driver: Driver,
        *,
        threads: Threads,
        on_event: Callable[[Event], None],
        slots: asyncio.Semaphore,
        deadline_s: float = 15.0,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.worker = worker
        self.last_event: Event | None = None
        self._vm = Vm(vm, driver, threads, wall)
        self._on_event = on_event
        self._slots = slots
        self._deadline_s = deadline_s
        self._monotonic = monotonic
        self._wall = wall
        self._back_off = BackOff()
        self._order: Order | None = None
        self._concluded: Order | None = None
        self._attempt: Attempt | None = None
        self._process: int | None = None
        self._doubt_until = 0.0
        self._task: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._closed = False

    @property
    def attached(self) -> frozenset[int] | None:
        """Indexes of the plugged vCPUs when last read; None before that and when the VM is gone."""
        return self._vm.state.attached if self._vm.state else None

    @property
    def granted(self) -> int | None:
        """Number of the plugged vCPUs when last read; None as for ``attached``."""
        return None if self.attached is None else len(self.attached)

    @property
    def pid(self) -> int | None:
        """The VM's process on this host; None as for ``attached``."""
        return self._vm.state.pid if self._vm.state else None

    @property
    def changed_at(self) -> float | None:
        """When the plugged vCPUs were last seen to change (epoch s), by whomever."""
        return self._vm.changed_at

    @property
    def busy(self) -> bool:
        """Whether an attempt or a look is under way."""
        return self._task is not None and not self._task.done()

    @property
    def stuck(self) -> bool:
        """Whether a call to the driver hangs past its end, so that nothing more can be done."""
        return self._vm.hung

    def want(self, decision: Decision, lease_id: int | None) -> None:
        """Aim at ``decision.to_vcpus``; to be repeated every second, never blocks.

        A target that comes during an attempt is taken up after it. After a failed attempt the
        next one waits for the back-off, unless the direction, the job or the VM is another.
        """
        order = Order(decision, lease_id)
        self._forget_if_new(order)
        self._order = order
        if self._attempt is not None:
            self._attempt.overtake(order)
        if not self.busy:
            self._begin(order)

    async def refresh(self) -> VmState:
        """Read the VM now; VmGone, DriverError, ActionTimedOut."""
        return await self._vm.read(self._deadline_s)

    async def settled(self, timeout_s: float) -> bool:
        """Wait until what was wanted last is reached or its attempt has ended, well or not.

        False when that took longer than ``timeout_s``. How it ended: ``granted``, ``last_event``.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not self._is_settled():
                    await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Stop acting; an attempt under way ends as failed. The VM goes on as it is."""
        self._closed = True
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_S)
        await self._vm.close()

    def _begin(self, order: Order) -> None:
        if self._closed:
            return
        if self.stuck:
            self._doubt()
        elif self.granted != order.target or self._vm.in_doubt:
            if self._may_try(order):
                self._start(self._work(order))
        elif self._monotonic() < self._doubt_until:
            self._start(self._look())

    def _start(self, work: Coroutine[None, None, None]) -> None:
        self._task = asyncio.create_task(work, name=f"act on {self.worker}")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._idle.set()
        self._idle.clear()
        if not task.cancelled() and (error := task.exception()):
            log.error("%s: an attempt broke", self.worker, exc_info=error)

    async def _look(self) -> None:
        try:
            await self.refresh()
        except HotslotError as error:
            log.debug("%s: %s", self.worker, error)

    async def _work(self, order: Order) -> None:
        """Make attempts until the newest order has had one or must wait."""
        done = await self._try(order)
        while (newest := self._order) and newest.target not in (done.target, self.granted):
            if not self._may_try(newest):
                return
            done = await self._try(newest)

    async def _try(self, order: Order) -> Order:
        """Make one attempt and tell its event; return the order that it served in the end."""
        at = self._wall()
        self._attempt = attempt = Attempt(
            self._vm,
            order,
            self._slots,
            limit_s=self._deadline_s,
            from_vcpus=self.granted,
        )
        try:
            outcome = await self._outcome_of(attempt)
        finally:
            self._attempt = None
        self._conclude(attempt.order, outcome)
        if outcome is not None:
            self.last_event = attempt.order.event(outcome, at, attempt.spent_s)
            self._on_event(self.last_event)
        return attempt.order

    async def _outcome_of(self, attempt: Attempt) -> Outcome | None:
        try:
            return await attempt.run()
        except asyncio.CancelledError:
            self._closed = True
            if not attempt.acting:
                raise
            words = "hotslot was stopped during it"
        except Exception as error:
            log.exception("%s: an attempt broke", self.worker)
            words = f"{type(error).__name__}: {error}"
        held = self._held(attempt.order)
        return Outcome(held, held, EventResult.FAILED, words)

    def _conclude(self, order: Order, outcome: Outcome | None) -> None:
        """Take in what an attempt came to; None: nothing was changed."""
        self._concluded = order
        if self.granted == order.target and (outcome is None or outcome.applied):
            self._back_off.clear()
            return
        self._doubt()
        if outcome is None or not outcome.overtaken:
            self._back_off.failed(self._monotonic(), order.direction(self._held(order)))

    def _doubt(self) -> None:
        self._doubt_until = self._monotonic() + DOUBT_S

    def _may_try(self, order: Order) -> bool:
        if self._closed or self.stuck:
            return False
        return self._back_off.allows(self._monotonic(), order.direction(self._held(order)))

    def _held(self, order: Order) -> int:
        return order.decision.from_vcpus if self.granted is None else self.granted

    def _is_settled(self) -> bool:
        order = self._order
        if order is None or self.busy:
            return order is None
        return self.granted == order.target or order.same_as(self._concluded)

    def _forget_if_new(self, order: Order) -> None:
        """Let a new job or a restarted VM not wait for what failed before it."""
        before, self._process = self._process, self.pid or self._process
        if before not in (None, self._process):
            self._back_off.clear()
        if self._order is None or self._order.lease_id != order.lease_id:
            self._back_off.clear()
