"""The record's own thread: takes batches at once, writes them when the disk lets it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hotslot.errors import StoreDamaged
from hotslot.model import Lease
from hotslot.record.backlog import Backlog
from hotslot.record.batch import Batch
from hotslot.record.database import RowRefused
from hotslot.record.store import Store

BEHIND_S = 5.0
"""Records that wait longer than this, without an error, mean that the disk is too slow."""

LONGEST_RETRY_S = 30.0
THIN_RETRY_S = 60.0

ANEW_AGAIN_S = 600.0
"""A disk that damages one file after the other is not filled with them."""

log = logging.getLogger(__name__)


class Condition(StrEnum):
    """How the record is doing."""

    OK = "ok"
    BEHIND = "behind"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class WriterState:
    """For ``hotslot status``: what waits to be written, since when, and what was lost.

    ``behind_s`` is the age of the oldest record that is not written. ``lost_samples`` and
    ``refused_records`` count since the agent's start; ``last_error`` is '' while all is well.
    ``set_aside`` is where a file is that was found damaged since then, '' if none was.
    """

    condition: Condition
    behind_s: float
    waiting_records: int
    lost_samples: int
    refused_records: int
    last_error: str
    set_aside: str = ""


class Pump:
    """Writes batches through a store until they are written, in a thread of its own.

    All that has come since the last write goes into the next one, in one transaction. After a
    failure it waits ``first_retry_s``, then twice as long each time up to LONGEST_RETRY_S.
    A damaged database is set aside, and a new one begun with the leases that are open; at most
    once in ANEW_AGAIN_S. ``bound`` samples wait at most, and as many again while a write is under
    way. ``set_aside``: where a file is that was found damaged before.
    """

    def __init__(
        self,
        store: Store,
        points: int,
        bound: int,
        first_retry_s: float,
        clock: Callable[[], float],
        set_aside: Path | None = None,
    ) -> None:
        self._store = store
        self._points = points
        self._bound = bound
        self._first_retry_s = first_retry_s
        self._retry_s = self._thin_at = 0.0
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting = Backlog(bound)
        self._writing = Backlog(bound)
        self._lost = self._refused = 0
        self._put = self._taken = self._written = 0  # batches: so many came, so many are on disk
        self._refusals: set[str] = set()
        self._error = ""
        self._set_aside = set_aside
        self._open_leases: dict[int, Lease] = {}
        self._damaged = self._closing = self._dropping = False
        self._anew_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="hotslot-record", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, batch: Batch) -> None:
        """Take a batch; returns at once."""
        with self._changed:
            self._waiting.add(batch, self._clock())
            self._note_open(batch)
            self._put += 1
            self._changed.notify_all()

    @property
    def state(self) -> WriterState:
        """How the record is doing now."""
        with self._changed:
            since = [one.since for one in (self._writing, self._waiting) if one.since is not None]
            behind_s = self._clock() - since[0] if since else 0.0
            return WriterState(
                condition=self._condition(behind_s),
                behind_s=behind_s,
                waiting_records=self._unwritten(),
                lost_samples=self._lost + self._writing.lost_samples + self._waiting.lost_samples,
                refused_records=self._refused,
                last_error=self._error,
                set_aside=str(self._set_aside or ""),
            )

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was put before is written; False if it is not by then."""
        with self._changed:
            upto = self._put
            return self._changed.wait_for(lambda: self._written >= upto, timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Write what waits, once more if that failed before, and let go of the store.

        False if something is left unwritten, or the disk hangs (the thread is left alone then).
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._store.close()
        return not self._unwritten()

    def turn(self) -> None:
        """Try once to write all that waits, into a new file if this one was found damaged."""
        if self._damaged and self._clock() - self._anew_at < ANEW_AGAIN_S:
            return
        taken = self._take()
        try:
            if self._damaged:
                taken = self._begin_anew(taken)
            self._write(taken.batch())
        except Exception as error:  # noqa: BLE001 (a bug must show in the state, not end the thread)
            self._failed(taken, error)
        else:
            self._succeeded(taken)

    def thin(self) -> None:
        """Thin the samples of leases that have ended, as long as nothing else waits.

        Writing goes on without it: a failure is tried again in THIN_RETRY_S.
        """
        if self._clock() < self._thin_at:
            return
        try:
            while not self._has_work() and (lease_id := self._store.next_to_thin()) is not None:
                self._store.thin_samples(lease_id, self._points)
        except StoreDamaged as error:
            self._failed(Backlog(self._bound), error)
        except Exception as error:  # noqa: BLE001 (as above)
            self._thin_at = self._clock() + THIN_RETRY_S
            log.warning("record: an ended lease keeps all of its samples for now: %s", error)

    def _run(self) -> None:
        while self._wait_for_work():
            self.turn()
            if not self._error:
                self.thin()
        if len(self._waiting):
            self.turn()

    def _wait_for_work(self) -> bool:
        """Wait for a batch, or after a failure for the next try; False when it is time to end."""
        with self._changed:
            if self._error:
                self._changed.wait_for(lambda: self._closing, self._retry_s)
            else:
                self._changed.wait_for(self._has_work)
            return not self._closing

    def _has_work(self) -> bool:
        return self._closing or len(self._waiting) > 0

    def _take(self) -> Backlog:
        with self._changed:
            self._writing, self._waiting = self._waiting, Backlog(self._bound)
            self._taken = self._put
            return self._writing

    def _begin_anew(self, taken: Backlog) -> Backlog:
        """Begin a new file; return what it is to get: the open leases, and what was to be written.

        What the damaged file had of them besides (samples, events) stays in there.
        """
        aside = self._store.begin_anew()
        log.error("record: begun anew in an empty file; the damaged one is %s", aside)
        with self._changed:
            self._damaged, self._anew_at, self._set_aside = False, self._clock(), aside
            self._writing = Backlog(self._bound)
            self._writing.add(Batch(leases=tuple(self._open_leases.values())), self._clock())
            self._writing.add(taken.batch(), self._clock())
            return self._writing

    def _note_open(self, batch: Batch) -> None:
        for lease in batch.leases:
            if lease.closed_at is None:
                self._open_leases[lease.id] = lease
            else:
                self._open_leases.pop(lease.id, None)

    def _write(self, batch: Batch) -> None:
        try:
            self._store.append(batch)
        except RowRefused:
            self._report_refused(self._store.append_what_fits(batch))

    def _report_refused(self, refused: list[RowRefused]) -> None:
        """Count what was left out; log each kind once, since it will come with every cycle."""
        self._refused += len(refused)
        for sentence in {str(error) for error in refused} - self._refusals:
            log.error("record: left out for good: %s", sentence)
            self._refusals.add(sentence)

    def _succeeded(self, written: Backlog) -> None:
        with self._changed:
            self._lost += written.lost_samples
            self._written = self._taken
            self._writing = Backlog(self._bound)
            before, self._error, self._retry_s = self._error, "", 0.0
            self._dropping = False
            self._changed.notify_all()
        if before:
            log.warning("record: failing → ok; %d samples were lost", written.lost_samples)

    def _failed(self, taken: Backlog, error: Exception) -> None:
        with self._changed:
            taken.add(self._waiting.batch(), self._clock())
            self._waiting, self._writing = taken, Backlog(self._bound)
            before, self._error = self._error, str(error) or type(error).__name__
            self._retry_s = min(2 * self._retry_s or self._first_retry_s, LONGEST_RETRY_S)
            self._damaged = self._damaged or isinstance(error, StoreDamaged)
        if not before:
            log.error("record: ok → failing: %s; scaling goes on, records wait", error)
        if taken.lost_samples and not self._dropping:
            self._dropping = True
            log.error("record: %d samples wait, the oldest are dropped now", self._bound)

    def _condition(self, behind_s: float) -> Condition:
        if self._error:
            return Condition.FAILING
        return Condition.BEHIND if behind_s > BEHIND_S else Condition.OK

    def _unwritten(self) -> int:
        return len(self._waiting) + len(self._writing)
