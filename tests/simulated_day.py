"""Hours of one host in virtual time, over a real record, with what they leave behind in memory.

The host is that of test_lending_load.py: agent's loop, arbiter, forecast, offers and two schedulers
that fall silent now and then. For test_simulated_day.py and bench/day.py.
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fakes.virtual_time import in_virtual_time
from hotslot.model import Lease, Placement
from hotslot.record.batch import Batch
from hotslot.record.store import Store
from hotslot.record.writer import Writer
from hotslot.sharing import Sharing
from test_leases import MemoryLedger
from test_lending_load import ElasticSite, Run
from test_loop import MemoryRecorder, World

LOOK_S = 60
"""How often it is looked at what the host takes up."""

WRITTEN_S = 60.0


class Look(NamedTuple):
    """What the process has after so many virtual seconds.

    ``blocks`` are those of Python's allocator: an object, a float or a short string takes one each.
    ``cycle_s``: median CPU time of a cycle since the look before; ``jobs`` have ended by then.
    """

    at_s: float
    blocks: float
    descriptors: float
    cycle_s: float
    jobs: float


class WrittenLeases(MemoryLedger):
    """Opens and closes leases as the agent does."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._writer = writer

    def open_lease(self, placement: Placement, at: float) -> Lease:
        return self._writer.open_lease(placement, at)

    def close_lease(self, lease: Lease) -> None:
        self._writer.close_lease(lease)


class WrittenBatches(MemoryRecorder):
    """Hands batches on; nobody waits for the disk in virtual time."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._writer = writer

    def submit(self, batch: Batch) -> None:
        self._writer.submit(batch)


class RecordedSite(ElasticSite):
    """A host with a record on disk, of which nothing but that is kept."""

    def __init__(self, seed: int, writer: Writer) -> None:
        self._writer = writer
        self.cycles_s: list[float] = []
        super().__init__(seed, risk=0.2)
        cycle = self.world.loop.cycle

        def timed() -> str:
            began = time.thread_time()
            words = cycle()
            self.cycles_s.append(time.thread_time() - began)
            return words

        self.world.loop.cycle = timed  # type: ignore[method-assign]

    def make_world(self, sharing: Sharing) -> World:
        leases, batches = WrittenLeases(self._writer), WrittenBatches(self._writer)
        names = ("w1", "w2", "c1", "c2")
        return World(*names, sharing=sharing, ledger=leases, recorder=batches)

    def submit(self) -> None:
        """Submit a job that is over soon: it is ends that may leave something behind."""
        super().submit()
        self.jobs[str(self.submitted)].work /= 8

    async def end(self, run: Run) -> None:
        await super().end(run)
        del self.jobs[run.job.job_id]

    async def second(self) -> None:
        """One second of everybody; the fakes' own memories are let go."""
        if self.chance.random() < 0.2 and sum(len(p.waiting) for p in self.pools.values()) < 8:
            self.submit()
        if self.chance.random() < (0.05 if self.slurm.silent else 0.002):
            self.slurm.silent = not self.slurm.silent
        await super().second()
        self.story.waits.clear()
        self.world.driver.calls.clear()
        self.world.driver.called_at.clear()

    def look(self, at_s: float) -> Look:
        """Say what the process has now, once all is on disk."""
        assert self._writer.flush(WRITTEN_S), "the record is written"
        cycle_s = statistics.median(self.cycles_s)
        self.cycles_s.clear()
        gc.collect()
        return Look(
            at_s,
            sys.getallocatedblocks(),
            len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - names are enough
            cycle_s,
            self.story.done,
        )


def lived(database: Path, *, seconds: int, seed: int = 1) -> list[Look]:
    """Let a host live so long; return a look every ``LOOK_S``."""
    writer = Writer(Store(database, host="day"))
    writer.start()
    figures = array("d")  # objects would be counted among those that stay

    @in_virtual_time
    async def live() -> None:
        site = RecordedSite(seed, writer)
        await site.world.loop.look_at_all()
        gates = [site.condor.gate(worker, site.offers) for worker in ("c1", "c2")]
        tasks = [asyncio.create_task(one) for one in (site.offers.run(), *gates)]
        for second in range(1, seconds + 1):
            await site.second()
            if second % LOOK_S == 0:
                figures.extend(site.look(second))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        live()
    finally:
        assert writer.close(WRITTEN_S)
    return [Look(*figures[at : at + 5]) for at in range(0, len(figures), 5)]


@dataclass(frozen=True, slots=True)
class Growth:
    """From the looks of one time to those of a later one: the least of each, since what runs at a
    moment takes memory, too; cycles by their medians."""

    blocks: float
    descriptors: float
    cycle_times: float
    jobs: float


def growth(before: Sequence[Look], after: Sequence[Look]) -> Growth:
    """Return what came to stay between two times."""
    return Growth(
        min(one.blocks for one in after) - min(one.blocks for one in before),
        min(one.descriptors for one in after) - min(one.descriptors for one in before),
        statistics.median(one.cycle_s for one in after)
        / statistics.median(one.cycle_s for one in before),
        after[-1].jobs - before[-1].jobs,
    )
