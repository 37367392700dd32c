"""Comparing with the scheduler: what a lost hook, a restart or a lost controller left behind.

Safe to repeat: the same facts change nothing the second time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection

from hotslot.desk import Desk
from hotslot.drains import Span, to_resume
from hotslot.errors import SchedulerError
from hotslot.loop import Loop
from hotslot.model import JobPhase, Placement

log = logging.getLogger(__name__)

ASK_AGAIN_S = 60.0
"""A node is resumed at most once in this time: one that drains again has another reason."""


class Reconciler:
    """Compares leases and nodes with one scheduler's words.

    ``away``: when the agent did not answer, ``unanswered``: starts it told to ask later.
    """

    def __init__(
        self,
        loop: Loop,
        desk: Desk,
        *,
        away: list[Span],
        unanswered: Collection[tuple[str, float]],
        agent_wait_s: float,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._loop = loop
        self.desk = desk
        self._away = away
        self._unanswered = unanswered
        self._agent_wait_s = agent_wait_s
        self._wall = wall
        self._resumed: dict[str, float] = {}
        self.last_at: float | None = None
        self.last_words = "not yet"

    async def run_once(self) -> str:
        """Compare once; say what was found. A silent scheduler changes nothing."""
        try:
            opened, closed = await self._leases()
            resumed = await self._drained()
        except SchedulerError as error:
            self._say(f"the scheduler does not answer: {error}")
            return self.last_words
        self.last_at = self._wall()
        self._say(f"{opened} opened, {closed} closed, {resumed} resumed")
        return self.last_words

    async def _leases(self) -> tuple[int, int]:
        there = await self.desk.everyone()
        opened = 0
        for placement in there:
            if placement.phase.occupies and placement.worker in self.desk.workers:
                known = self._loop.lease_on(placement.worker)
                if known is not None and known.placement.key != placement.key:
                    of_last = await self.desk.job(known.placement.job_id)
                    await self._loop.finish(known, of_last, self._wall())
                lease = await self._loop.begin(placement)
                opened += lease is not None and (known is None or known.id != lease.id)
        return opened, await self._close_ended(there)

    async def _close_ended(self, there: list[Placement]) -> int:
        present = {p.key for p in there if p.phase.occupies or p.phase is JobPhase.ENDING}
        absent = [
            lease
            for lease in self._loop.book.all()
            if lease.placement.worker in self.desk.workers and lease.placement.key not in present
        ]
        asked = (self.desk.job(lease.placement.job_id) for lease in absent)
        found = await asyncio.gather(*asked, return_exceptions=True)
        closed, silence = 0, None
        for lease, words in zip(absent, found, strict=True):
            if isinstance(words, SchedulerError):
                silence = words
            elif isinstance(words, BaseException):
                raise words
            else:
                closed += await self._loop.finish(lease, words, self._wall())
        if silence is not None:
            raise silence
        return closed

    async def _drained(self) -> int:
        conditions = await self.desk.conditions()
        count = 0
        for condition in to_resume(conditions, self._away, self._unanswered, self._agent_wait_s):
            now = self._wall()
            if now - self._resumed.get(condition.worker, float("-inf")) < ASK_AGAIN_S:
                continue
            self._resumed[condition.worker] = now
            await self.desk.resume(
                condition.worker, f"drained while its prolog got no answer: {condition.reason}"
            )
            log.warning(
                "%s resumed: it was drained (%s) while its prolog could not reach this agent",
                condition.worker,
                condition.reason,
            )
            count += 1
        return count

    def _say(self, words: str) -> None:
        level = logging.DEBUG if words == self.last_words else logging.INFO
        log.log(level, "compared with %s: %s", self.desk.name, words)
        self.last_words = words
