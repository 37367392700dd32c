"""Slot: one of the places for actions at once on a host."""

from __future__ import annotations

import asyncio

HELD_S = 1.0
"""After this long an action waits for its own guest, and would only keep others from theirs."""


class Slot:
    """A place taken from a host's semaphore, given back when done or after ``HELD_S``."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, limit_s: float) -> bool:
        """Wait for a place, at most ``limit_s``; False when none came free."""
        try:
            async with asyncio.timeout(limit_s):
                await self._slots.acquire()
        except TimeoutError:
            return False
        self._timer = asyncio.get_running_loop().call_later(HELD_S, self.give_back)
        return True

    def give_back(self) -> None:
        """Free the place; more than once does no harm."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._slots.release()
