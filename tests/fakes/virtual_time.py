"""An event loop whose clock leaps to the next timer instead of waiting.

    @in_virtual_time
    async def test_a_minute_passes_at_once() -> None:
        await asyncio.sleep(60)

Sockets between parts of one test work; threads and processes do not, since nobody waits for them.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")

TICK_S = 1e-6
"""What one turn of the loop takes: without it, who polls until a time might never get there."""


class _Leaping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing is left that could ever happen: a deadlock")
        self.now += TICK_S if ready else (timeout or 0.0) + TICK_S
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at 1000 s and moves only when everything waits."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end in virtual time; a task left over is cancelled once."""
    loop = VirtualLoop()
    try:
        loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.1))
        loop.close()


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a plain test of an asynchronous one."""

    @functools.wraps(test)
    def plain(*args: P.args, **kwargs: P.kwargs) -> None:
        run(test(*args, **kwargs))

    return plain
