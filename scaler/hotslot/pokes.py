"""What happens when a hook pokes: a hint, checked with the scheduler before anything changes.

A forged poke can at most cause a look-up, and those are limited by where they come from, so that
nobody uses up what is another worker's, and by the desk.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from hotslot.desk import Desk
from hotslot.errors import SchedulerError
from hotslot.model import Lease, Placement
from hotslot.rates import Rates

log = logging.getLogger(__name__)

JOB_ID = re.compile(r"[0-9]{1,18}(\.[0-9]{1,9}@[A-Za-z0-9][A-Za-z0-9@._-]{0,252})?")
"""Slurm's number; HTCondor's ``cluster.proc@schedd``."""

WORKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

LOOK_UPS = 32
"""Look-ups of one address that wait at the same time: a worker has one."""


class Say(IntEnum):
    """The answers that a hook knows, as HTTP status codes."""

    READY = 200
    WAIT = 202
    BAD = 400
    NO_SUCH_JOB = 404
    ELSEWHERE = 409
    OVER = 410
    UNKNOWN_WORKER = 421
    SLOW_DOWN = 429
    ASK_LATER = 503


@dataclass(frozen=True, slots=True)
class Answer:
    """What a hook is told."""

    say: Say
    words: str


class Floor(Protocol):
    """The agent's workers, as far as a poke may move them."""

    def manages(self, worker: str) -> bool: ...

    def lease_on(self, worker: str) -> Lease | None: ...

    async def begin(self, placement: Placement) -> Lease | None:
        """Open the lease durably and start sizing; None when this run was closed before."""
        ...

    async def sized(self, worker: str, timeout_s: float) -> bool:
        """Wait until the worker's sizing has ended, well or not."""
        ...

    async def finish(self, lease: Lease, found: list[Placement], at: float) -> bool:
        """Close the lease if the scheduler's words say that it is over."""
        ...


class Exits(Protocol):
    """Takes in that all of a job's processes have ended, as its hook says."""

    async def exiting(self, lease: Lease) -> bool:
        """Return whether the job's figures have been put where users look for them."""
        ...


class Pokes:
    """Answers pokes.

    ``desk_of`` has each worker's scheduler; ``exits`` takes in that a job's processes have ended;
    ``unanswered`` are (worker, at) of starts that had to be told to ask later.
    """

    def __init__(
        self,
        floor: Floor,
        desk_of: Mapping[str, Desk],
        *,
        exits: Exits,
        pokes_per_s: float,
        hold_s: float = 5.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._floor = floor
        self._desk_of = desk_of
        self._exits = exits
        self._rates = Rates(pokes_per_s, monotonic)
        self._hold_s = hold_s
        self._wall = wall
        self._looking: Counter[str] = Counter()
        self._said: set[str] = set()
        self._background: set[asyncio.Task[None]] = set()
        self.unanswered: list[tuple[str, float]] = []

    async def answer(self, event: str, job_id: str, worker: str, source: str = "") -> Answer:
        """Answer one poke from the address ``source``, within ``hold_s`` and the time of one
        look-up."""
        problem = _problem(event, job_id, worker)
        if problem:
            return Answer(Say.BAD, problem)
        if not self._floor.manages(worker):
            self._once(f"a poke for {worker!r}, which this agent does not manage")
            return Answer(Say.UNKNOWN_WORKER, f"this agent does not manage a worker {worker!r}")
        if not self._rates.take((source, worker)):
            rate = f"more than {self._rates.per_s:g}"
            self._once(f"{source} pokes for {worker} {rate} times a second; told to wait")
            return Answer(Say.SLOW_DOWN, f"{rate} pokes a second for {worker}")
        if event == "end":
            self._in_background(self._end(job_id, worker, self._wall()))
            return Answer(Say.READY, "noted")
        if event == "exit":
            return await self._exit(job_id, worker)
        return await self._start(job_id, worker, source)

    async def close(self) -> None:
        """End look-ups that are under way."""
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def _start(self, job_id: str, worker: str, source: str) -> Answer:
        lease = self._floor.lease_on(worker)
        if lease is None or lease.placement.job_id != job_id:
            if self._looking[source] >= LOOK_UPS:
                return Answer(Say.SLOW_DOWN, "too many pokes at once from this address")
            self._looking[source] += 1
            try:
                refusal = await self._verify(job_id, worker)
            finally:
                self._looking[source] -= 1
                if not self._looking[source]:
                    del self._looking[source]
            if refusal is not None:
                return refusal
        if await self._floor.sized(worker, self._hold_s):
            return Answer(Say.READY, f"{worker} is ready for job {job_id}")
        return Answer(Say.WAIT, f"{worker} is being sized for job {job_id}")

    async def _verify(self, job_id: str, worker: str) -> Answer | None:
        """Ask the scheduler; begin what it confirms, else say why not."""
        try:
            async with asyncio.timeout(self._hold_s * 2):
                found = await self._ask_also_of_the_last(job_id, worker)
        except (SchedulerError, TimeoutError) as error:
            self.unanswered.append((worker, self._wall()))
            del self.unanswered[:-1000]
            return Answer(
                Say.ASK_LATER, f"the scheduler does not answer: {str(error) or 'in time'}"
            )
        occupying = [p for p in found if p.phase.occupies]
        here = next((p for p in occupying if p.worker == worker), None)
        if here is None:
            return self._not_here(job_id, worker, found)
        for placement in occupying:
            if self._floor.manages(placement.worker):
                lease = await self._floor.begin(placement)
                if lease is None and placement is here:
                    return Answer(Say.OVER, f"this run of job {job_id} has ended")
        return None

    async def _ask_also_of_the_last(self, job_id: str, worker: str) -> list[Placement]:
        """Ask of a job and, in the same call, of one that still has the worker: its end was lost,
        and its lease must have its outcome."""
        desk, last = self._desk_of[worker], self._floor.lease_on(worker)
        if last is None:
            return await desk.job(job_id)
        found, of_last = await asyncio.gather(desk.job(job_id), desk.job(last.placement.job_id))
        await self._floor.finish(last, of_last, self._wall())
        return found

    def _not_here(self, job_id: str, worker: str, found: list[Placement]) -> Answer:
        if not found:
            self._once(f"{worker} pokes for job {job_id}, which the scheduler does not know")
            return Answer(Say.NO_SUCH_JOB, f"the scheduler knows no such job {job_id}")
        if any(p.worker == worker for p in found) or all(not p.worker for p in found):
            return Answer(Say.OVER, f"job {job_id} is not starting here any more")
        where = ", ".join(sorted({p.worker for p in found})[:8])
        self._once(f"{worker} pokes for job {job_id}, which runs elsewhere: {where}")
        return Answer(Say.ELSEWHERE, f"job {job_id} runs elsewhere: {where}")

    async def _exit(self, job_id: str, worker: str) -> Answer:
        """Answer when the job's figures are where users look for them; the end comes after."""
        lease = self._floor.lease_on(worker)
        if lease is None or lease.placement.job_id != job_id:
            return Answer(Say.READY, "noted")
        written = await self._exits.exiting(lease)
        return Answer(Say.READY, "written" if written else "noted")

    async def _end(self, job_id: str, worker: str, at: float) -> None:
        lease = self._floor.lease_on(worker)
        if lease is None or lease.placement.job_id != job_id:
            return
        try:
            found = await self._desk_of[worker].job(job_id)
        except SchedulerError as error:
            log.warning("end of job %s on %s not confirmed yet: %s", job_id, worker, error)
            return
        if not await self._floor.finish(lease, found, at):
            self._once(f"{worker} says that job {job_id} ended; the scheduler says it runs")

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _once(self, words: str) -> None:
        """Log a message the first time; a guest must not be able to fill the log."""
        if words not in self._said and len(self._said) < 1000:
            self._said.add(words)
            log.warning("%s", words)


def _problem(event: str, job_id: str, worker: str) -> str:
    if event not in ("start", "end", "exit"):
        return "event: must be start, end or exit"
    if not JOB_ID.fullmatch(job_id):
        return "job: must be a job id: 12, or 12.0@schedd"
    if not WORKER.fullmatch(worker):
        return "worker: must be a node name"
    return ""
