"""Asking the scheduler, politely: one call at a time, questions combined; at most one look-up for
starting jobs a second, one setting of limits, and one call of any other kind.

Twenty jobs that start in one second cost the controller one call, not twenty.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from hotslot.errors import SchedulerError, SchedulerUnavailable
from hotslot.model import NodeCondition, Placement, Queue, RunSummary
from hotslot.schedulers import PartlyUnavailable, Scheduler

YIELD_S = 30.0
"""How long what is not urgent lets the questions of starting jobs go before."""

T = TypeVar("T")


class Desk:
    """The only place from which the agent calls one scheduler, about its ``workers``.

    ``silent_since`` is when the scheduler stopped answering (None: it answers). ``on_offer`` is
    told of limits, ``on_resume`` of a worker with the reason, ``on_requeue`` of a run, each with
    what went wrong or ''.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        workers: Sequence[str],
        *,
        gap_s: float = 1.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = scheduler.name
        self._scheduler = scheduler
        self.workers = tuple(workers)
        self._gap_s = gap_s
        self._wall = wall
        self._monotonic = monotonic
        self._turn = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._others = asyncio.Lock()
        self._last_look = self._last_other = self._last_offer = float("-inf")
        self._asked: dict[str, asyncio.Future[list[Placement]]] = {}
        self._answering: asyncio.Task[None] | None = None
        self.silent_since: float | None = None
        self.calls = 0
        self.on_offer: Callable[[Mapping[str, int], str], None] = lambda *_: None
        self.on_resume: Callable[[str, str, str], None] = lambda *_: None
        self.on_requeue: Callable[[Placement, str], None] = lambda *_: None

    async def job(self, job_id: str) -> list[Placement]:
        """Return a job's placements; questions that wait for the same turn share one call."""
        waiting = self._asked.get(job_id)
        if waiting is None:
            waiting = asyncio.get_running_loop().create_future()
            waiting.add_done_callback(_seen)
            self._asked[job_id] = waiting
        if self._answering is None or self._answering.done():
            self._answering = asyncio.create_task(self._answer())
        return await asyncio.shield(waiting)

    async def everyone(self) -> list[Placement]:
        """Return who is on this host's workers now."""
        return list(await self._call(lambda: self._scheduler.placements(self.workers)))

    async def conditions(self) -> list[NodeCondition]:
        """Return how the scheduler sees this host's workers."""
        return list(await self._call(lambda: self._scheduler.conditions(self.workers)))

    async def resume(self, worker: str, why: str = "") -> None:
        """Let a drained worker take jobs again."""
        with _told(partial(self.on_resume, worker, why)):
            await self._call(lambda: self._scheduler.resume(worker))

    async def requeue(self, placement: Placement) -> None:
        """Put a run back into the scheduler's queue, if it is still that run."""
        with _told(partial(self.on_requeue, placement)):
            await self._call(lambda: self._scheduler.requeue(placement))

    async def queue(self) -> Queue:
        """Return what the scheduler may use of this host's workers, and who waits."""
        return await self._call(lambda: self._scheduler.queue(self.workers))

    async def offer(self, limits: Mapping[str, int]) -> None:
        """Set groups' limits, right after the question that they answer, but at their own pace."""
        with _told(partial(self.on_offer, limits)):
            await self._call(lambda: self._scheduler.offer(limits), at_once=True)

    async def write_back(self, summaries: Sequence[RunSummary], *, urgent: bool) -> None:
        """Put runs' figures where the scheduler's tools show them.

        Beside all other questions, so that no job's start waits for another one's figures; what is
        not urgent lets look-ups go before.
        """
        if not urgent and self._answering is not None and not self._answering.done():
            await asyncio.wait([self._answering], timeout=YIELD_S)
        async with self._writing:
            await self._ask(lambda: self._scheduler.write_back(summaries))

    async def close(self) -> None:
        """End what is being asked; those who wait are told."""
        if self._answering is not None:
            self._answering.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._answering
        for waiting in self._asked.values():
            waiting.cancel()
        await asyncio.to_thread(self._scheduler.close)

    async def _answer(self) -> None:
        while self._asked:
            await self._wait_until(self._last_look + self._gap_s)
            async with self._turn:
                self._last_look = self._monotonic()
                batch, self._asked = self._asked, {}
                try:
                    found = await self._ask(partial(self._placements, tuple(batch)))
                except PartlyUnavailable as error:
                    for job_id in error.unknown & batch.keys():
                        _fail(batch[job_id], error)
                    found = error.found
                except SchedulerError as error:
                    for waiting in batch.values():
                        _fail(waiting, error)
                    continue
            for job_id, waiting in batch.items():
                if not waiting.done():
                    waiting.set_result([p for p in found if p.job_id == job_id])

    def _placements(self, job_ids: tuple[str, ...]) -> Sequence[Placement]:
        return self._scheduler.placements(self.workers, job_ids)

    async def _call(self, call: Callable[[], T], *, at_once: bool = False) -> T:
        """Ask something else than for a starting job: at a pace of its own, so that no start waits
        for more than the call that is under way. ``at_once``: only after the last one of these."""
        async with self._others:
            last = self._last_offer if at_once else self._last_other
            await self._wait_until(last + self._gap_s)
            async with self._turn:
                self._last_other = self._monotonic()
                if at_once:
                    self._last_offer = self._last_other
                return await self._ask(call)

    async def _wait_until(self, monotonic_s: float) -> None:
        rest_s = monotonic_s - self._monotonic()
        if rest_s > 0:
            await asyncio.sleep(rest_s)

    async def _ask(self, call: Callable[[], T]) -> T:
        """Make one call in a thread; the adapter's own time limit ends it."""
        self.calls += 1
        try:
            answer = await asyncio.to_thread(call)
        except PartlyUnavailable:
            raise
        except SchedulerUnavailable:
            self.silent_since = self.silent_since or self._wall()
            raise
        self.silent_since = None
        return answer


@contextlib.contextmanager
def _told(tell: Callable[[str], None]) -> Iterator[None]:
    """Tell of a change once it was asked for: with '', or with what went wrong."""
    try:
        yield
    except SchedulerError as error:
        tell(str(error) or type(error).__name__)
        raise
    tell("")


def _fail(waiting: asyncio.Future[list[Placement]], error: SchedulerError) -> None:
    if not waiting.done():
        waiting.set_exception(error)


def _seen(waiting: asyncio.Future[list[Placement]]) -> None:
    """Mark an exception as retrieved: whoever asked may have gone."""
    if not waiting.cancelled():
        waiting.exception()
