"""Runs' figures on their way to where the schedulers' own tools show them.

Kept until they are written or given up; the newest of a run replaces what waits. They are in
hotslot's own record whatever becomes of this.
"""

from __future__ import annotations

import asyncio
import logging

from hotslot.desk import Desk
from hotslot.errors import SchedulerError
from hotslot.model import RunSummary
from hotslot.schedulers import NotWritten

log = logging.getLogger(__name__)

AT_ONCE = 20
"""Runs written in one go: with Slurm each takes two commands, and look-ups must come between."""

TRIES = 5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 60.0
WAITING_MAX = 10_000


class WriteBack:
    """Writes one scheduler's figures, in the background and, for a hook that waits, at once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: dict[tuple[str, str, int, str], RunSummary] = {}
        self._tries: dict[tuple[str, str, int, str], int] = {}
        self._wake = asyncio.Event()
        self._said: set[str] = set()
        self.given_up = 0

    @property
    def waiting(self) -> int:
        """How many runs' figures are not written yet."""
        return len(self._waiting)

    def later(self, summary: RunSummary) -> None:
        """Write a run's figures as soon as nothing more urgent is asked."""
        if len(self._waiting) >= WAITING_MAX:
            self._drop(next(iter(self._waiting)))
        self._waiting[summary.placement.key] = summary
        self._wake.set()

    async def now(self, summary: RunSummary, timeout_s: float) -> bool:
        """Write a run's figures at once; False when that was not possible in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._desk.write_back([summary], urgent=True)
        except (SchedulerError, TimeoutError) as error:
            self._once(str(error) or "no answer in time")
            return False
        return True

    async def run(self) -> None:
        """Write what waits, for ever."""
        pause_s = FIRST_PAUSE_S
        while True:
            await self._wake.wait()
            await asyncio.sleep(pause_s)
            while written := await self._some():
                if len(self._waiting) < AT_ONCE:
                    break
            pause_s = FIRST_PAUSE_S if written else min(2 * pause_s, LONGEST_PAUSE_S)
            if not self._waiting:
                self._wake.clear()
                pause_s = FIRST_PAUSE_S

    async def _some(self) -> bool:
        """Write some of what waits; False when the scheduler did not take all of it."""
        batch = dict(list(self._waiting.items())[:AT_ONCE])
        try:
            await self._desk.write_back(list(batch.values()), urgent=False)
        except SchedulerError as error:
            self._once(str(error))
            left = error.keys & batch.keys() if isinstance(error, NotWritten) else set(batch)
        else:
            left = set()
        for key, summary in batch.items():
            if key in left:
                self._again(key)
            elif self._waiting.get(key) is summary:
                del self._waiting[key]
                self._tries.pop(key, None)
        return not left

    def _again(self, key: tuple[str, str, int, str]) -> None:
        """Try once more, after all others; or never again."""
        self._tries[key] = self._tries.get(key, 0) + 1
        if self._tries[key] >= TRIES:
            self._drop(key)
        elif key in self._waiting:
            self._waiting[key] = self._waiting.pop(key)

    def _drop(self, key: tuple[str, str, int, str]) -> None:
        self._waiting.pop(key, None)
        self._tries.pop(key, None)
        self.given_up += 1

    def _once(self, words: str) -> None:
        if words not in self._said and len(self._said) < 100:
            self._said.add(words)
            log.warning("figures of jobs are not in %s: %s", self._desk.name, words)
