"""Attempt: bring a VM to a number of vCPUs once, and say what became of it."""

from __future__ import annotations

import asyncio
from enum import Enum, auto

from hotslot.act.choose import Change, choose
from hotslot.act.driver import VmState
from hotslot.act.judge import Findings, Outcome, judge, judge_unread, named, vcpus
from hotslot.act.order import Order
from hotslot.act.slot import Slot
from hotslot.act.vm import Vm
from hotslot.errors import HotslotError
from hotslot.model import EventResult

SPARE = 0.01
"""Part of a deadline that no step may use, so that a busy host does not carry one past it."""
READ_BACK_S = 2.0
"""Kept of a deadline for reading back; of a short deadline, a fifth."""
POLL_S = 0.05
"""Pause between two looks for plugged vCPUs; a look is one small read of /proc for each."""
PATIENCE_S = 1.0
"""How long an unplug may still go on once more vCPUs are wanted again; most take 0.1 s."""


class Stage(Enum):
    """Where an attempt is: it tells what may be given up for a newer target, and how soon."""

    BEFORE = auto()
    PLUG = auto()
    UNPLUG = auto()
    ONLINE = auto()
    AFTER = auto()


class Attempt:
    """Take a slot, read, return if equal, act once, read back; over within ``limit_s``.

    ``from_vcpus`` is what the VM had when it was read last, None if it never was. Times are the
    event loop's.
    """

    def __init__(
        self,
        vm: Vm,
        order: Order,
        slots: asyncio.Semaphore,
        *,
        limit_s: float,
        from_vcpus: int | None,
    ) -> None:
        self.order = order
        self.stage = Stage.BEFORE
        self._vm = vm
        self._slot = Slot(slots)
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._limit_s = limit_s * (1 - SPARE)
        self._reserve_s = min(READ_BACK_S, limit_s / 5)
        self._known = from_vcpus
        self._from = order.decision.from_vcpus if from_vcpus is None else from_vcpus
        self._asked = vm.doubts.asked
        self._stop: asyncio.Future[None] = self._loop.create_future()
        self._patience: asyncio.TimerHandle | None = None

    def overtake(self, newer: Order) -> None:
        """Take in a newer order: follow it, or give up a wait that serves only the old one.

        What was plugged stays attached, so its wait ends at once. An unplug that should be a
        growth has ``PATIENCE_S`` to end well. Anything else takes no time worth saving.
        """
        if self.stage is Stage.BEFORE:
            self.order = newer
        elif newer.target == self.order.target:
            self._calm()
        elif self.stage is Stage.ONLINE:
            self._give_up()
        elif self.stage is Stage.UNPLUG and newer.target > self.order.target:
            self._patience = self._patience or self._loop.call_later(PATIENCE_S, self._give_up)

    @property
    def acting(self) -> bool:
        """Whether the hypervisor may have been asked for a change."""
        return self.stage is not Stage.BEFORE

    @property
    def spent_s(self) -> float:
        """Seconds since the attempt began."""
        return self._loop.time() - self._began

    async def run(self) -> Outcome | None:
        """Make the attempt; None when there was nothing to change."""
        try:
            if not await self._slot.take(self._limit_s / 2):
                return self._no_slot()
            return await self._read_and_act()
        finally:
            self._slot.give_back()
            self._calm()

    async def _read_and_act(self) -> Outcome | None:
        try:
            before = await self._vm.read(self._left() / 2)
        except HotslotError as error:
            return self._unread(error, None, self.spent_s)
        before = await self._vm.recheck(self._left() / 2) or before
        now = self._loop.time()
        change = choose(
            before,
            self.order.target,
            lost=self._vm.doubts.lost,
            asked=self._asked,
            quiet=self._vm.doubts.quiet(now),
        )
        if change.empty:
            return self._by_itself(before)
        self._from = len(before.attached)
        return await self._carry_out(change, before)

    def _by_itself(self, state: VmState) -> Outcome | None:
        """Conclude that nothing had to be done, and tell what was done without this attempt."""
        got = len(state.attached)
        if self._known in (None, got):
            return None
        late = self._asked - state.attached
        result = EventResult.EJECTED_LATE if late else EventResult.ALREADY_SO
        what = f"the guest gave up {named(late)} late" if late else "changed by someone else"
        return Outcome(self._from, got, result, f"{what}; {vcpus(got)} attached", self.spent_s)

    async def _carry_out(self, change: Change, before: VmState) -> Outcome:
        trouble = await self._act(change)
        command_s = self.spent_s
        aim = len((before.attached | change.plug) - change.unplug)
        try:
            after = await self._vm.read(self._left())
            missing = await self._online(change, after, aim)
            online_s = None if missing or not change.plug else self.spent_s - command_s
            if missing:
                after = await self._vm.read(self._left())
        except HotslotError as error:
            return self._unread(error, trouble, command_s)
        found = Findings(
            target=self.order.target,
            aim=aim,
            got=len(after.attached),
            trouble=trouble,
            missing=missing & after.attached,
            lost=change.plug & self._vm.doubts.lost,
            late=change.unplug & self._asked,
            undo=change.undo,
            limit=change.limit,
            overtaken=self._stop.done(),
        )
        result, detail = judge(found)
        return Outcome(self._from, found.got, result, detail, command_s, online_s, found.overtaken)

    async def _act(self, change: Change) -> HotslotError | None:
        """Do it; return what went wrong."""
        self.stage = Stage.PLUG if change.plug else Stage.UNPLUG
        try:
            if change.unplug:
                return await self._unplug(change.unplug)
            return await self._plug(change.plug, change.undo)
        finally:
            self.stage = Stage.AFTER
            self._slot.give_back()

    async def _plug(self, added: frozenset[int], undo: frozenset[int]) -> HotslotError | None:
        if undo:
            self.stage = Stage.UNPLUG
        undone = await self._unplug(undo)
        self.stage = Stage.PLUG
        added = added - undo if undone else added
        if not added or self._stop.done() or self._left() <= self._reserve_s:
            return undone
        try:
            await self._vm.plug(added, self._left() - self._reserve_s, self._stop)
        except HotslotError as error:
            return error
        return undone

    async def _unplug(self, leaving: frozenset[int]) -> HotslotError | None:
        if not leaving:
            return None
        try:
            await self._vm.unplug(leaving, self._left() - self._reserve_s, self._stop)
        except HotslotError as error:
            return error
        return None

    async def _online(self, change: Change, after: VmState, aim: int) -> frozenset[int]:
        """Wait until plugged vCPUs run; return those not seen when the wait was over."""
        if not change.plug or after.capped:
            return frozenset()
        missing = self._vm.doubts.unseen & after.attached
        if len(after.attached) != aim or self._vm.hides:
            return missing
        self.stage = Stage.ONLINE
        while missing := missing - self._vm.started(missing):
            left_s = self._left() - self._reserve_s
            if left_s <= 0 or self._stop.done():
                break
            await asyncio.wait({self._stop}, timeout=min(POLL_S, left_s))
        self.stage = Stage.AFTER
        return missing

    def _unread(
        self, error: HotslotError, trouble: HotslotError | None, command_s: float
    ) -> Outcome:
        """Conclude without having read the VM: what was read last stands, unless it is gone."""
        result, detail = judge_unread(error, trouble)
        known = self._vm.state
        got = 0 if result is EventResult.VM_GONE else len(known.attached) if known else self._from
        return Outcome(self._from, got, result, detail, command_s)

    def _no_slot(self) -> Outcome:
        words = f"no place for one more action on this host within {self.spent_s:.1f} s"
        return Outcome(self._from, self._from, EventResult.TIMED_OUT, words, self.spent_s)

    def _give_up(self) -> None:
        if not self._stop.done():
            self._stop.set_result(None)

    def _calm(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _left(self) -> float:
        return max(0.0, self._limit_s - self.spent_s)
