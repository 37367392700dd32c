"""One cycle: measure, decide, act, record; the only module that knows all four stages.

Nothing in a cycle waits: actions run in tasks of their own, records in a thread of their own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

from hotslot.decide.arbiter import Grant
from hotslot.errors import DriverError, MeterError, VmGone
from hotslot.leases import LeaseBook
from hotslot.model import (
    CloseReason,
    Decision,
    Event,
    JobPhase,
    Lease,
    Placement,
    ResultKind,
    RunSummary,
    Sample,
)
from hotslot.record.batch import Batch, Beat, LeaseDecision, LeaseSample, WorkerState
from hotslot.record.ledger import HostLedger
from hotslot.sharing import Sharing
from hotslot.steady import SteadyWall
from hotslot.track import START_S, Track

log = logging.getLogger(__name__)

LEAVING_S = 60.0
"""How long a job whose processes have ended may take to leave its worker, before it counts as
running again: a hook's word is not more than that."""

DURABLE_S = 2.0
"""How long a prolog waits for its lease to be on disk; after that the job goes first."""


class Recorder(Protocol):
    """Takes records without ever blocking; ``written`` says whether all that it took is on disk
    within a time limit."""

    def submit(self, batch: Batch) -> None: ...

    async def written(self, timeout_s: float) -> bool: ...


class Loop:
    """The workers of a host, moved by samples, by the scheduler's words and by nothing else.

    ``changes`` are those applied so far to each open lease. ``on_close`` is told of each run's end,
    ``on_event`` of each attempt's.
    """

    def __init__(
        self,
        tracks: Iterable[Track],
        book: LeaseBook,
        recorder: Recorder,
        *,
        sharing: Sharing,
        boot_id: str = "",
        changes: Mapping[int, int] = MappingProxyType({}),
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tracks = {track.name: track for track in tracks}
        self._steady: dict[str, SteadyWall] = {}
        self.book = book
        self.sharing = sharing
        self.on_close: Callable[[RunSummary], None] = lambda _: None
        self.on_event: Callable[[Event], None] = lambda _: None
        self._recorder = recorder
        self._wall = wall
        self._monotonic = monotonic
        self._boot_id = boot_id
        self._started_at = wall()
        self._events: list[Event] = []
        self._decisions: list[LeaseDecision] = []
        self._samples: list[LeaseSample] = []
        self._ledger = HostLedger(sharing.cores)
        self._observing: dict[str, asyncio.Task[None]] = {}
        self._next_share: asyncio.Task[None] | None = None
        self._shares: set[asyncio.Task[None]] = set()
        self._changes = Counter(changes)
        self.cycles = 0

    def add(self, track: Track) -> None:
        """Take charge of a worker; one that was measured before this agent counts from then on."""
        self.tracks[track.name] = track
        if track.reading is not None:
            self._ledger.start(track.name, track.reading.monotonic_s, track.granted)

    def cycle(self) -> str:
        """Run one cycle and say what it did."""
        wall = self._wall()
        tracks = self.tracks.values()
        for track in tracks:
            self._safely(track)
        moved = self._shared_safely(wall)
        self._record(wall)
        self.cycles += 1
        if not moved:
            return f"{len(self.tracks)} workers, nothing to change"
        return "; ".join(f"{t.name}: {t.decision.reason}" for t in moved if t.decision)

    def at(self, worker: str) -> float:
        """Return the time for a worker's records now: UTC that no lease sees go back."""
        clock = self._steady.get(worker)
        if clock is None:
            clock = self._steady[worker] = SteadyWall(self._wall, self._monotonic)
        return clock()

    def go_on(self, worker: str, last: WorkerState) -> None:
        """Go on in an open lease's time from where the last agent was."""
        since = last.reading.monotonic_s, last.read_at
        self._steady[worker] = SteadyWall(self._wall, self._monotonic, since)

    def _safely(self, track: Track) -> None:
        """Run one worker's part; a mistake there leaves out this worker, the others go on."""
        try:
            self._one(track, self._monotonic(), self.at(track.name))
        except Exception:
            track.wished = None
            log.exception("%s: left out of this cycle", track.name)

    def _shared_safely(self, wall: float) -> list[Track]:
        """Learn, and share out; a mistake there leaves sizes as they are, and loses no record."""
        try:
            self.sharing.see(self._monotonic(), self.tracks.values(), self.book)
            return self._share(wall)
        except Exception:
            log.exception("sharing the host out failed; sizes stay as they are")
            return []

    def _one(self, track: Track, mono: float, wall: float) -> None:
        """Measure a worker, and say what its policy would give it."""
        track.note_granted(mono, wall)
        self._take(track, mono, wall)
        if track.clock is not None and track.reading is None:
            self._look_soon(track)
        if track.actuator.granted is None:
            track.wished = None
            return
        lease = self.book.on(track.name)
        track.wished = self.sharing.claims.wish(track, lease, track.decide(lease, mono, wall))

    def _share(self, wall: float) -> list[Track]:
        """Fit all workers' wishes into the host; return the workers that have a new aim."""
        tracks = list(self.tracks.values())
        grants = self.sharing.share(tracks, self.book, wall)
        return [t for t in tracks if t.wished and self._aim(t, _granted(t.wished, grants[t.name]))]

    def _take(self, track: Track, mono: float, wall: float) -> None:
        taken = track.measure(mono, wall)
        self._see(track, mono, wall, measured=taken is not None)
        if taken is None:
            return
        self._ledger.used(taken)
        if self.book.on(track.name) is None:
            return
        track.remember(taken)
        if track.leaving_since is None:
            self._count(track.name, taken)
            return
        track.held_back.append(taken)
        if mono - track.leaving_since > LEAVING_S:
            self._stay(track)

    def _count(self, worker: str, taken: Sample) -> None:
        """Add a sample to the worker's lease."""
        lease = self.book.add(worker, taken)
        if lease is not None:
            self._samples.append(LeaseSample(lease.id, taken))

    def _see(self, track: Track, mono: float, wall: float, *, measured: bool = True) -> None:
        """Tell the ledger what a worker has now, and who held what it had until now.

        What cannot be measured, as a VM's last second, is no lease's: it has no sample of it.
        """
        lease = self.book.on(track.name)
        held = measured and lease is not None and track.leaving_since is None
        request = lease.request if lease is not None and held else None
        self._ledger.see(track.name, mono, wall, track.granted, request)

    def _aim(self, track: Track, decision: Decision) -> bool:
        """Hand the decision to the actuator; True when it is a new one."""
        lease = self.book.on(track.name)
        lease_id = lease.id if lease else None
        track.actuator.want(decision, lease_id)
        before = track.decision
        track.decision = decision
        if before is None or before.to_vcpus != decision.to_vcpus:
            track.decided_at = decision.at
        self._decisions.append(LeaseDecision(lease_id, decision))
        moves = decision.to_vcpus != decision.from_vcpus
        return moves and (before is None or before.to_vcpus != decision.to_vcpus)

    def _record(self, wall: float) -> None:
        """Give this cycle's records away, as one batch."""
        batch = Batch(
            leases=tuple(self.book.all()),
            samples=tuple(self._samples),
            events=tuple(self._events),
            decisions=tuple(self._decisions),
            workers=tuple(self._worker_states(self.tracks.values())),
            ledger=self._ledger.take(),
            beats=(Beat(self._started_at, wall),),
        )
        self._samples, self._events, self._decisions = [], [], []
        self._recorder.submit(batch)

    def _record_last(self, track: Track) -> None:
        """Give away what is still to be recorded of a lease that is about to end."""
        lease = self.book.on(track.name)
        if lease is None:
            return
        last = tuple(one for one in self._samples if one.lease_id == lease.id)
        self._samples = [one for one in self._samples if one.lease_id != lease.id]
        states = tuple(self._worker_states([track]))
        self._recorder.submit(Batch(leases=(lease,), samples=last, workers=states))

    def _worker_states(self, tracks: Iterable[Track]) -> Iterator[WorkerState]:
        for track in tracks:
            if track.reading is not None:
                vm = track.settings.vm_name
                since_s = self._monotonic() - track.reading.monotonic_s
                at = self.at(track.name) - since_s
                yield WorkerState(track.name, vm, track.granted, track.reading, self._boot_id, at)

    def ended(self, event: Event) -> None:
        """Take in what an attempt came to; the actuator calls this."""
        track = self.tracks[event.worker]
        self._note_granted(track)
        self._events.append(event)
        self.on_event(event)
        lease = self.book.on(event.worker)  # an event may come in after its lease's end
        if lease is not None and lease.id == event.lease_id:
            self._changes[lease.id] += event.result.kind is ResultKind.APPLIED
        level = logging.INFO if event.result.kind is ResultKind.APPLIED else logging.WARNING
        log.log(
            level,
            "%s: %d -> %d vCPUs %s in %.1f s (%s)%s",
            event.worker,
            event.from_vcpus,
            event.got_vcpus,
            event.result,
            event.took_s,
            event.reason,
            f": {event.detail}" if event.detail else "",
        )

    # What pokes and the reconciler may do to the workers.

    def manages(self, worker: str) -> bool:
        """Whether this host has a worker of this name."""
        return worker in self.tracks

    def lease_on(self, worker: str) -> Lease | None:
        """Return the open lease on a worker."""
        return self.book.on(worker)

    async def begin(self, placement: Placement) -> Lease | None:
        """Open the lease of a job that occupies its worker, and start sizing at once."""
        track = self.tracks[placement.worker]
        held = self.book.on(track.name)
        if held is not None and held.placement.key == placement.key:
            return self.book.open(placement, self._wall())
        if not track.alive():  # what is found out later about this VM would be held against the job
            await self.look(track)
        mono, wall = self._monotonic(), self.at(track.name)
        self._take(track, mono, wall)
        if held is None:
            self._steady[track.name].follow()
            wall = self.at(track.name)
        track.forget_samples()
        lease = self.book.open(placement, wall)
        if lease is None:
            return None
        track.starting_until = mono + START_S
        log.info("job %s starts on %s with %d CPUs", placement.job_id, track.name, lease.request)
        self._one(track, mono, wall)
        await asyncio.shield(self._share_soon())
        return lease

    async def sized(self, worker: str, timeout_s: float) -> bool:
        """Wait until the worker's sizing has ended, well or not."""
        return await self.tracks[worker].actuator.settled(timeout_s)

    async def finish(self, lease: Lease, found: list[Placement], at: float) -> bool:
        """Close the lease if the scheduler's words say that its run is over."""
        reason = self.book.ended(lease, found)
        here = _on_its_worker(lease, found)
        if reason is None and here is not None and here.phase is JobPhase.ENDING:
            reason = CloseReason.ENDED
        if reason is None:
            return False
        self.close(lease, at, reason, here)
        return True

    def close(
        self, lease: Lease, at: float, reason: CloseReason, last: Placement | None = None
    ) -> None:
        """Take the last sample, close the lease, give the worker its idle size.

        A lease that is closed already is left alone: two may have asked the scheduler at once,
        and the worker may have another job by now.
        """
        track = self.tracks[lease.placement.worker]
        current = self.book.on(track.name)
        if current is None or current.id != lease.id:
            return
        mono, wall = self._monotonic(), self.at(track.name)
        self._take(track, mono, wall)
        self._record_last(track)
        closed = self.book.close(lease, max(at, wall), reason, last)
        self.on_close(self.summary(closed))
        self._changes.pop(lease.id, None)
        track.forget_samples()
        log.info("job %s on %s: lease %s", closed.placement.job_id, track.name, reason)
        self._one(track, mono, wall)
        self._share_soon()

    def lose(self, leases: Collection[Lease], at: float) -> None:
        """Close leases that no worker holds any more, with what is known of them."""
        for lease in leases:
            self.on_close(self.summary(self.book.lose(lease, at)))
            self._changes.pop(lease.id, None)
        if leases:
            log.warning("%d leases of an earlier agent are lost: nothing holds them", len(leases))

    def leave(self, lease: Lease) -> RunSummary | None:
        """Take the last sample of a job whose processes have ended, as its worker says.

        What comes after is counted only if the scheduler does not confirm the end: if ``stay`` is
        called, or nothing within ``LEAVING_S``. None when the lease is not open any more.
        """
        track = self.tracks[lease.placement.worker]
        current = self.book.on(track.name)
        if current is None or current.id != lease.id:
            return None
        if track.leaving_since is None:
            mono = self._monotonic()
            self._take(track, mono, self.at(track.name))
            track.leaving_since = mono
        return self.summary(self.book.on(track.name) or current)

    def stay(self, lease: Lease) -> None:
        """Count what was held back: the job goes on after all."""
        current = self.book.on(lease.placement.worker)
        if current is not None and current.id == lease.id:
            self._stay(self.tracks[lease.placement.worker])

    def _stay(self, track: Track) -> None:
        held_back, track.held_back, track.leaving_since = track.held_back, [], None
        lease = self.book.on(track.name)
        for taken in held_back:
            self._count(track.name, taken)
            if lease is not None:
                self._ledger.was_held(taken, lease.request)

    def summary(self, lease: Lease) -> RunSummary:
        """Return a lease's figures so far."""
        return RunSummary(
            placement=lease.placement,
            requested_vcpus=lease.request,
            held_core_s=lease.totals.held_core_s,
            used_core_s=lease.totals.used_core_s,
            peak_cores=lease.totals.peak_cores,
            events=self._changes[lease.id],
            over=lease.closed_at is not None,
        )

    def _share_soon(self) -> asyncio.Task[None]:
        """Share out, and have it on disk, once for all jobs that begin or end in this turn.

        Twenty jobs of one look-up cost one pass over the host's workers, not twenty.
        """
        if self._next_share is None:
            self._next_share = asyncio.create_task(self._share_together())
            self._shares.add(self._next_share)
            self._next_share.add_done_callback(self._shares.discard)
        return self._next_share

    async def _share_together(self) -> None:
        self._next_share = None
        wall = self._wall()
        self._share(wall)
        await self._durable(wall)

    async def _durable(self, wall: float) -> None:
        self._record(wall)
        if not await self._recorder.written(DURABLE_S):
            log.warning("the record is behind; jobs go on, see hotslot status")

    # Looking at the hypervisor, beside the cycle.

    def observe(self) -> None:
        """Look at every worker that is not being looked at or acted on."""
        for track in self.tracks.values():
            self._look_soon(track)

    def _look_soon(self, track: Track) -> None:
        running = self._observing.get(track.name)
        if not track.actuator.busy and (running is None or running.done()):
            self._observing[track.name] = asyncio.create_task(self.look(track))

    async def look(self, track: Track) -> None:
        """Read a worker's state from its hypervisor; a VM that is gone loses its lease."""
        try:
            state = await track.actuator.refresh()
        except VmGone as error:
            self._gone(track, str(error))
            return
        except DriverError as error:
            log.warning("%s: %s", track.name, error)
            return
        try:
            restarted = track.bind(state.pid)
        except MeterError as error:
            log.warning("%s: %s", track.name, error)
            return
        if restarted:
            self._lost(track, "its VM was restarted")
        self._note_granted(track)

    def _note_granted(self, track: Track) -> None:
        mono, wall = self._monotonic(), self.at(track.name)
        track.note_granted(mono, wall)
        self._see(track, mono, wall)

    async def look_at_all(self) -> None:
        """Adopt the VMs as they are."""
        await asyncio.gather(*(self.look(track) for track in self.tracks.values()))

    def _gone(self, track: Track, words: str) -> None:
        if track.alive():
            log.warning("%s: its process runs, but: %s", track.name, words)
            return
        if track.clock is not None or self.book.on(track.name):
            self._lost(track, words)
        track.release()
        track.held.change(self._monotonic(), 0)
        self._see(track, self._monotonic(), self.at(track.name))

    def _lost(self, track: Track, words: str) -> None:
        lease = self.book.on(track.name)
        log.warning("%s: %s", track.name, words)
        if lease is not None:
            self.close(lease, self.at(track.name), CloseReason.LOST)

    async def stop(self) -> None:
        """End what runs beside the cycle; VMs and jobs go on."""
        for task in self._observing.values():
            task.cancel()
        await asyncio.gather(*self._observing.values(), *self._shares, return_exceptions=True)
        await asyncio.gather(*(track.actuator.close() for track in self.tracks.values()))
        self._record(self._wall())
        for track in self.tracks.values():
            track.release()


def _granted(wished: Decision, grant: Grant) -> Decision:
    """Return the decision that a grant makes of a wish, with the reasons of both."""
    if grant.now == wished.to_vcpus and not grant.reason:
        return wished
    words = f"{wished.reason}; {grant.reason}" if grant.reason else wished.reason
    return replace(wished, to_vcpus=grant.now, reason=words)


def _on_its_worker(lease: Lease, found: list[Placement]) -> Placement | None:
    same = [p for p in found if p.job_id == lease.placement.job_id]
    here = [p for p in same if p.worker == lease.placement.worker]
    return next(iter(here or same), None)
