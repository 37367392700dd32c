"""The audit log's own thread: takes entries at once, writes them when the disk lets it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hotslot.audit.chain import Draft, Kind
from hotslot.audit.writing import AuditFile
from hotslot.errors import AuditError

log = logging.getLogger(__name__)

BOUND = 10_000
"""Entries that wait at most, some 5 MB; those that come then are lost, and counted."""

AT_ONCE = 500
"""Entries in one write."""

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0

AGENT = "hotslotd"


@dataclass(frozen=True, slots=True)
class AuditState:
    """For ``hotslot status``: ``last_error`` is '' while all is well; ``lost`` since the start."""

    waiting: int
    lost: int
    last_error: str


class AuditLog:
    """Writes entries through an ``AuditFile`` in a thread of its own; ``put`` never waits.

    While nothing can be written ``bound`` entries wait; those that come then are lost. How many,
    and from when to when, is an entry of its own as soon as something can be written again.
    """

    def __init__(
        self, file: AuditFile, bound: int = BOUND, first_retry_s: float = FIRST_RETRY_S
    ) -> None:
        self._file = file
        self._bound = bound
        self._first_retry_s = first_retry_s
        self._retry_s = 0.0
        self._changed = threading.Condition()
        self._waiting: deque[Draft] = deque()
        self._gap: list[float] = []
        self._missed = self._lost = 0
        self._error = ""
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="hotslot-audit", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, kind: Kind, what: Mapping[str, Any], why: str = "", who: str = AGENT) -> None:
        """Take an entry; returns at once."""
        now = time.time()
        with self._changed:
            if len(self._waiting) < self._bound:
                self._waiting.append(Draft(now, kind, who, what, why))
            else:
                self._gap = [*self._gap[:1], now]
                self._missed += 1
                self._lost += 1
            self._changed.notify_all()

    @property
    def state(self) -> AuditState:
        """How it is doing now."""
        with self._changed:
            return AuditState(len(self._waiting), self._lost, self._error)

    def close(self, timeout_s: float) -> bool:
        """Write what waits, once more if that failed before; False if something is left."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._waiting and not self._missed

    def turn(self) -> None:
        """Try once to write what waits."""
        drafts, missed = self._take()
        try:
            self._file.append(drafts)
        except Exception as error:  # noqa: BLE001 (a bug must show in the state, not end the thread)
            self._wrote(error.written if isinstance(error, AuditError) else 0, drafts, missed)
            self._failed(str(error) or type(error).__name__)
        else:
            self._wrote(len(drafts), drafts, missed)
            self._succeeded(missed)

    def _take(self) -> tuple[list[Draft], int]:
        """Return what to write next; behind all that waits, what was lost meanwhile."""
        with self._changed:
            drafts = [self._waiting[n] for n in range(min(AT_ONCE, len(self._waiting)))]
            if not self._missed or len(drafts) < len(self._waiting):
                return drafts, 0
            what = {"entries": self._missed, "from": self._gap[0], "to": self._gap[-1]}
            why = f"could not be written: {self._error or 'too many at once'}"
            return [*drafts, Draft(time.time(), Kind.GAP, AGENT, what, why)], self._missed

    def _wrote(self, count: int, drafts: list[Draft], missed: int) -> None:
        with self._changed:
            if missed and count == len(drafts):
                self._missed -= missed
                self._gap = self._gap[-1:] if self._missed else []
                count -= 1
            for _ in range(count):
                self._waiting.popleft()

    def _succeeded(self, missed: int) -> None:
        before, self._error, self._retry_s = self._error, "", 0.0
        if before:
            log.warning("audit: failing → ok; %d entries were lost", missed)

    def _failed(self, words: str) -> None:
        before, self._error = self._error, words
        self._retry_s = min(2 * self._retry_s or self._first_retry_s, LONGEST_RETRY_S)
        if not before:
            log.error("audit: ok → failing: %s; scaling goes on, entries wait", words)

    def _run(self) -> None:
        while self._wait_for_work():
            self.turn()
        while self._waiting or self._missed:
            self.turn()
            if self._error:
                break
        self._file.close()

    def _wait_for_work(self) -> bool:
        """Wait for an entry, or after a failure for the next try; False when it is time to end."""
        with self._changed:
            if self._error:
                self._changed.wait_for(lambda: self._closing, self._retry_s)
            else:
                self._changed.wait_for(lambda: self._closing or self._waiting or self._missed)
            return not self._closing
