"""The agent's parts, made from a configuration and put together."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from hotslot import foresight_file, schedulers
from hotslot.act import driver as drivers
from hotslot.act.actuator import Actuator
from hotslot.act.driver import Driver
from hotslot.claims import Claims
from hotslot.config import Config, Worker
from hotslot.decide.arbiter import Lending
from hotslot.decide.forecast import Forecast, Foresight
from hotslot.decide.limits import is_lawful, limited
from hotslot.decide.policies import build
from hotslot.decide.policy import Lawful, Policy
from hotslot.decide.preferences import SitePolicy
from hotslot.desk import Desk
from hotslot.drains import Span
from hotslot.exits import Exits
from hotslot.gates import Gates
from hotslot.leases import LeaseBook
from hotslot.loop import Loop
from hotslot.measure.vcpus import VcpuClock
from hotslot.model import Lease, RunSummary
from hotslot.offers import Offers
from hotslot.pokes import Pokes
from hotslot.reconcile import Reconciler
from hotslot.record.batch import Batch, Beat, WorkerState
from hotslot.record.store import Store
from hotslot.record.writer import Writer
from hotslot.returns import Returns
from hotslot.sharing import Sharing
from hotslot.taken_up import taken_up
from hotslot.track import HISTORY_S, Track
from hotslot.writeback import WriteBack

LAW_S = 60.0
"""How long samples are kept for a law: its state is what it goes by, and only when a job's request
changes does it start anew, with them."""

AWAY_KEPT_S = 86_400.0
"""Times in which no agent answered are remembered for a day."""


@dataclass(slots=True)
class Parts:
    """What an agent is made of."""

    host: str
    cores: int
    started_at: float
    driver: Driver
    desks: dict[str, Desk]
    loop: Loop
    pokes: Pokes
    gates: Gates
    exits: Exits
    offers: Offers
    returns: Returns | None
    writers: dict[str, WriteBack]
    reconcilers: list[Reconciler]
    writer: Writer
    away: list[Span]
    compare_soon: asyncio.Event = field(default_factory=asyncio.Event)

    async def close(self) -> None:
        """End what runs; VMs and jobs go on."""
        await self.pokes.close()
        await self.exits.close()
        for desk in self.desks.values():
            await desk.close()
        await self.loop.stop()
        await self.driver.close()


class Recording:
    """The writer as the loop sees it."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def submit(self, batch: Batch) -> None:
        self._writer.submit(batch)

    async def written(self, timeout_s: float) -> bool:
        return await asyncio.to_thread(self._writer.flush, timeout_s)


@dataclass(frozen=True, slots=True)
class Past:
    """What the record knows of the last agent: its open leases and how often each was changed,
    last readings and beats."""

    leases: list[Lease]
    changes: dict[int, int]
    workers: list[WorkerState]
    beats: list[Beat]


def past_of(store: Store) -> Past:
    """Read what a new agent goes on from."""
    beats = store.beats(time.time() - AWAY_KEPT_S)
    return Past(store.open_leases(), store.changes(), store.workers(), beats)


def wire(config: Config, writer: Writer, past: Past) -> Parts:
    """Make an agent's parts; ConfigError when a driver, scheduler or policy cannot be had."""
    now = time.time()
    host = config.host.name or socket.gethostname().split(".")[0]
    cores = config.host.cores or psutil.cpu_count() or 1
    driver = drivers.connect(config.driver.name, config.driver.settings)
    desks = {
        one.name: Desk(schedulers.connect(one.name, one.settings), config.workers_of(one.name))
        for one in config.scheduler
    }
    desk_of = {worker: desk for desk in desks.values() for worker in desk.workers}
    writers = {name: WriteBack(desk) for name, desk in desks.items()}
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    names = [worker.name for worker in config.workers]
    going_on, lost = taken_up(past.leases, names, past.workers, boot_id)
    book = LeaseBook(writer, going_on)
    sharing = _sharing(config, cores)
    loop = Loop((), book, Recording(writer), sharing=sharing, boot_id=boot_id, changes=past.changes)
    offers = Offers(
        loop,
        desks,
        interval_s=config.agent.offers_s,
        agent_wait_s=config.agent.agent_wait_s,
    )
    sharing.on_room = offers.look_soon
    loop.on_close = partial(_closed, writers, offers)
    loop.lose(lost, past.beats[-1].last_at if past.beats else now)
    slots = asyncio.Semaphore(config.agent.actions_at_once)
    last = {state.worker: state for state in past.workers if state.boot_id == boot_id}
    for worker in config.workers:
        loop.add(_track(config, worker, driver, loop, slots, last))
        if worker.name in last and book.on(worker.name) is not None:
            loop.go_on(worker.name, last[worker.name])
    exits = Exits(loop, desk_of, writers)
    pokes = Pokes(loop, desk_of, exits=exits, pokes_per_s=config.agent.pokes_per_s)
    after_s = config.lending.requeue_after_s
    returns = Returns(loop, desk_of, after_s=after_s) if after_s is not None else None
    away = away_spans(past.beats, now)
    reconcilers = [
        Reconciler(
            loop,
            desk,
            away=away,
            unanswered=pokes.unanswered,
            agent_wait_s=config.agent.agent_wait_s,
        )
        for desk in desks.values()
    ]
    return Parts(
        host=host,
        cores=cores,
        started_at=now,
        driver=driver,
        desks=desks,
        loop=loop,
        pokes=pokes,
        gates=Gates(loop, offers, pokes_per_s=config.agent.pokes_per_s),
        exits=exits,
        offers=offers,
        returns=returns,
        writers=writers,
        reconcilers=reconcilers,
        writer=writer,
        away=away,
    )


def _sharing(config: Config, cores: int) -> Sharing:
    """Return the host's arbiter, with what earlier agents have learned of its jobs."""
    lending, may = config.lending, config.preferences
    forecast = Forecast(Foresight(lending.horizon_s, lending.risk))
    foresight_file.recall(forecast, foresight_file.beside(config.record.database))
    site = SitePolicy(
        may.elastic_no, may.min_part, may.burst, may.deadline, may.deadline_days * 86_400
    )
    rules = Lending(
        overcommit=lending.overcommit,
        tolerated_pct=lending.tolerated_pct,
        lent_part=lending.lent_part,
        start_part=lending.start_part,
        requeue=lending.requeue_after_s is not None,
    )
    return Sharing(
        cores,
        lending=rules,
        claims=Claims(site, growth=lending.growth),
        forecast=forecast,
        lends=lending.enabled,
    )


def _closed(writers: Mapping[str, WriteBack], offers: Offers, summary: RunSummary) -> None:
    """A run is over: its figures go to its scheduler, and its CPUs may start another job."""
    writer = writers.get(summary.placement.scheduler)
    if writer is not None:
        writer.later(summary)
    offers.look_soon()


def away_spans(beats: list[Beat], now: float) -> list[Span]:
    """Return the times between the spans in which an agent was alive, until now.

    Worked: alive 100-200 and 260-300, now 330: away 200-260 and 300-330.
    """
    starts = [*(beat.started_at for beat in beats[1:]), now]
    pairs = zip(beats, starts, strict=False)
    return [Span(beat.last_at, start) for beat, start in pairs if start > beat.last_at]


@dataclass(frozen=True, slots=True)
class _ThreadsOf:
    """A worker's vCPU threads, as its actuator sees them; the track is made after the actuator."""

    loop: Loop
    worker: str

    def mark(self, pid: int, vcpus: frozenset[int]) -> None:
        self.loop.tracks[self.worker].mark(pid, vcpus)

    def ran(self, pid: int, vcpus: frozenset[int]) -> frozenset[int]:
        return self.loop.tracks[self.worker].ran(pid, vcpus)


def _track(
    config: Config,
    worker: Worker,
    driver: Driver,
    loop: Loop,
    slots: asyncio.Semaphore,
    last: Mapping[str, WorkerState],
) -> Track:
    parameters = config.policy.settings
    bare = build(config.policy.name, parameters)
    policy = limited(
        bare,
        floor=worker.floor,
        ceiling=worker.ceiling,
        cooldown_s=config.limits.cooldown_s,
        max_step_down=config.limits.max_step_down,
    )
    actuator = Actuator(
        worker.name,
        worker.vm_name,
        driver,
        threads=_ThreadsOf(loop, worker.name),
        on_event=loop.ended,
        wall=partial(loop.at, worker.name),
        slots=slots,
        deadline_s=config.agent.action_deadline_s,
    )
    track = Track(
        worker,
        policy,
        actuator,
        clock_for=lambda pid, born_s: VcpuClock(pid, born_s, driver.thread_name),
        history_s=_history_s(bare, parameters),
    )
    if worker.name in last:
        _adopt(track, last[worker.name])
    return track


def _history_s(policy: Policy | Lawful, parameters: Mapping[str, object]) -> float:
    """Return how long samples are kept for a policy: its whole window, and some."""
    least_s = LAW_S if is_lawful(policy) else HISTORY_S
    window_s = parameters.get("window_s", 0.0)
    return max(least_s, 1.25 * window_s) if isinstance(window_s, int | float) else least_s


def _adopt(track: Track, last: WorkerState) -> None:
    """Go on from what the last agent read: the time between is measured by the next reading."""
    track.process = (last.reading.pid, last.reading.born_s)
    track.reading = last.reading
    track.held.change(last.reading.monotonic_s, last.granted_vcpus)
