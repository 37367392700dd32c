"""What follows when a hook says that all processes of a job have ended, and the job not yet.

HTCondor runs a job's exit hook while the job still has its slot, and moves the job to the history
when the hook has returned: figures must be in the job's ad before. So they are written as of
now, the hook is told, and the scheduler is asked until it confirms the end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from hotslot.desk import Desk
from hotslot.errors import SchedulerError
from hotslot.loop import Loop
from hotslot.model import Lease
from hotslot.writeback import WriteBack

log = logging.getLogger(__name__)

WRITE_S = 6.0
"""How long a hook is kept waiting; it goes on by itself after 8 s."""

AGAIN_S = 10.0
"""A job whose hook says more often that it exits, is not listened to."""

ASK_AFTER_S = (1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0)
"""Pauses between the questions whether the job has left: 30 s in all."""


class Exits:
    """Takes in jobs' exits; the scheduler decides whether they were."""

    def __init__(
        self,
        loop: Loop,
        desk_of: Mapping[str, Desk],
        writers: Mapping[str, WriteBack],
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._desk_of = desk_of
        self._writers = writers
        self._wall = wall
        self._monotonic = monotonic
        self._last: dict[int, float] = {}
        self._confirming: dict[int, asyncio.Task[None]] = {}

    async def exiting(self, lease: Lease) -> bool:
        """Write the figures of a job whose processes have ended; True when they are written."""
        mono = self._monotonic()
        if mono - self._last.get(lease.id, float("-inf")) < AGAIN_S:
            return False
        self._last = {i: at for i, at in self._last.items() if mono - at < AGAIN_S}
        self._last[lease.id] = mono
        summary = self._loop.leave(lease)
        writer = self._writers.get(lease.placement.scheduler)
        if summary is None or writer is None:
            return False
        try:
            return await writer.now(summary, WRITE_S)
        finally:
            task = asyncio.create_task(self._confirm(lease))
            self._confirming[lease.id] = task
            task.add_done_callback(lambda _: self._confirming.pop(lease.id, None))

    async def close(self) -> None:
        """End what is being asked; the comparison with the scheduler finds the rest."""
        tasks = list(self._confirming.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _confirm(self, lease: Lease) -> None:
        worker = lease.placement.worker
        for pause_s in ASK_AFTER_S:
            await asyncio.sleep(pause_s)
            current = self._loop.lease_on(worker)
            if current is None or current.id != lease.id:
                return
            try:
                found = await self._desk_of[worker].job(lease.placement.job_id)
            except SchedulerError as error:
                log.debug("end of job %s not confirmed yet: %s", lease.placement.job_id, error)
                continue
            if await self._loop.finish(lease, found, self._wall()):
                return
        log.warning(
            "%s said that the processes of job %s have ended; it still runs there",
            worker,
            lease.placement.job_id,
        )
        self._loop.stay(lease)
