"""The last step of giving owners theirs back: the youngest borrower goes back into the queue.

Off unless the site wants it. The arbiter names whom, the scheduler says whether it may be; its job
is the scheduler's to end and to start again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from hotslot.desk import Desk
from hotslot.errors import SchedulerError
from hotslot.loop import Loop

log = logging.getLogger(__name__)

AGAIN_S = 60.0
"""One job at a time: so long may a scheduler take to end it, before another is asked for."""


class Returns:
    """Requeues a borrower when an owner has been short for ``after_s``."""

    def __init__(
        self,
        loop: Loop,
        desk_of: Mapping[str, Desk],
        *,
        after_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._desk_of = desk_of
        self._after_s = after_s
        self._monotonic = monotonic
        self._asked_at = float("-inf")

    async def run(self) -> None:
        """Look once a second, for ever."""
        while True:
            await asyncio.sleep(1)
            try:
                await self.once()
            except Exception:
                log.exception("requeueing a borrower failed; the next look goes on")

    async def once(self) -> bool:
        """Requeue whom the arbiter has named for long enough; True when one was asked for."""
        worker = self._loop.sharing.overdue(self._after_s)
        lease = self._loop.lease_on(worker) if worker else None
        if lease is None or self._monotonic() - self._asked_at < AGAIN_S:
            return False
        self._asked_at = self._monotonic()
        job = lease.placement.job_id
        try:
            await self._desk_of[worker].requeue(lease.placement)
        except SchedulerError as error:
            log.warning("job %s on %s was not requeued: %s", job, worker, error)
            return False
        log.warning(
            "job %s on %s was requeued: it runs on lent cores, and their owners have been short of "
            "what they want for %g s (lending.requeue_after_s)",
            job,
            worker,
            self._after_s,
        )
        return True
