"""The record as the agent writes it: batches, each whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from socket import gethostname
from sqlite3 import Connection
from typing import Any

from hotslot.model import Event, Lease, Placement, ResultKind, Sample
from hotslot.record import rows
from hotslot.record.aside import set_aside
from hotslot.record.batch import Batch, Beat, LeaseDecision, LeaseSample, LedgerMinute, RollUp
from hotslot.record.database import (
    BUSY_S,
    RowRefused,
    reported,
    savepoint,
    transaction,
)
from hotslot.record.history import History
from hotslot.record.known import is_same_run
from hotslot.record.rollups import Share, put_recent, put_shares, shares_of
from hotslot.record.schema import open_for_writing
from hotslot.record.thin import TARGET_POINTS, thin

_PUT_OWNER = """
INSERT OR IGNORE INTO owners (host, scheduler, user, account, partition) VALUES (?, ?, ?, ?, ?)"""

_NAMES_HOST = "UPDATE OR IGNORE owners SET host = ? WHERE host = ''"
_OWNER = """(SELECT id FROM owners WHERE user = :user AND account = :account
  AND partition = :partition AND scheduler = :scheduler AND host = :host)"""

_GIVEN = (
    *("job_id", "array_job_id", "array_task_id", "het_job_id", "run", "cpus", "phase"),
    *("opened_ms", "submitted_before_ms", "started_after_ms", "ended_after_ms"),
    *("closed_after_ms", "time_limit_ms", "close_reason", "life_ms", "requested_core_ms"),
    *("held_core_ms", "used_core_ms", "waited_core_ms", "borrowed_core_ms", "saturated_ms"),
    "peak_mcores",
)


def _word(name: str) -> str:
    return f"(SELECT id FROM words WHERE text = :{name})"  # noqa: S608


_LEASE: dict[str, str] = {
    "owner_id": _OWNER,
    "worker_id": _word("worker"),
    "name_id": _word("name"),
    "exit_id": _word("exit"),
    "outcome_id": _word("outcome"),
    "asked_id": _word("asked"),
    **{name: f":{name}" for name in _GIVEN},
}

# Who comes first of a job is settled when its lease is opened. A scheduler may give out an id
# again (a cluster set up anew starts at 1): then the same run was submitted at another time.
_IS_FIRST = """NOT EXISTS (
  SELECT 1 FROM leases AS e JOIN owners AS w ON w.id = e.owner_id AND w.scheduler = :scheduler
  WHERE e.job_id = :job_id AND e.id <> :id AND (e.run < :run OR (e.run = :run AND
    coalesce(abs(e.opened_ms - e.submitted_before_ms - :opened_ms + :submitted_before_ms) <= 1000,
      1))))"""

# A closed lease never changes again.
_PUT_LEASE = f"""
INSERT INTO leases (id, is_first, {", ".join(_LEASE)})
VALUES (:id, {_IS_FIRST}, {", ".join(_LEASE.values())})
ON CONFLICT (id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _LEASE)}
WHERE leases.closed_after_ms IS NULL"""  # noqa: S608 (names)

_PUT_WORD = "INSERT OR IGNORE INTO words (text) VALUES (?)"

_OPENED_MS = "(SELECT opened_ms FROM leases WHERE id = :lease_id)"

_PUT_SAMPLE = """
INSERT OR REPLACE INTO samples VALUES
  (?1, ?2 - (SELECT opened_ms FROM leases WHERE id = ?1), ?3, ?4, ?5, ?6, ?7)"""

_PUT_CHANGE = f"""
INSERT OR IGNORE INTO changes (from_vcpus, to_vcpus, got_vcpus, reason_id, result, detail_id)
VALUES (:from_vcpus, :to_vcpus, :got_vcpus, {_word("reason")}, :result, {_word("detail")})"""  # noqa: S608

_ATTEMPT = f"""(SELECT id FROM changes WHERE reason_id = {_word("reason")}
    AND from_vcpus = :from_vcpus AND to_vcpus = :to_vcpus AND got_vcpus = :got_vcpus
    AND result = :result AND detail_id = {_word("detail")}),
  :a, :b, :c, :detected_before_ms, :command_ms, :online_ms, :took_ms"""  # noqa: S608 (names)

_PUT_EVENT = f"""
INSERT OR REPLACE INTO events VALUES (:lease_id, :at_ms - {_OPENED_MS}, {_ATTEMPT})"""  # noqa: S608

_PUT_IDLE_EVENT = f"""
INSERT OR REPLACE INTO idle_events VALUES ({_word("worker")}, :at_ms, {_ATTEMPT})"""  # noqa: S608

_PUT_DECISION = f"""
INSERT OR REPLACE INTO decisions VALUES ({_word("worker")}, :at_ms, :lease_id, :from_vcpus,
  :to_vcpus, {_word("reason")}, :a, :b, :c, :detected_before_ms)"""  # noqa: S608

_PUT_WORKER = """
INSERT OR REPLACE INTO workers VALUES (:worker, :vm, :granted_vcpus, :pid, :born_s, :counters,
  :monotonic_s, :boot_id, :read_at)"""

_PUT_MINUTE = """
INSERT INTO host_ledger (minute_at, span_s, requested_core_s, held_core_s, idle_core_s,
  used_core_s, host_cores) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (minute_at) DO UPDATE SET
  span_s = span_s + excluded.span_s,
  requested_core_s = requested_core_s + excluded.requested_core_s,
  held_core_s = held_core_s + excluded.held_core_s,
  idle_core_s = idle_core_s + excluded.idle_core_s,
  used_core_s = used_core_s + excluded.used_core_s,
  host_cores = max(host_cores, excluded.host_cores)"""

_PUT_BEAT = """
INSERT INTO beats VALUES (?, ?)
ON CONFLICT (started_at) DO UPDATE SET last_at = max(last_at, excluded.last_at)"""

_PUT_COUNTS = """
UPDATE leases SET applied = ?, refused = ?, timed_out = ?, failed = ?, vm_gone = ?,
  plug_median_ms = ?, plug_max_ms = ?, unplug_median_ms = ?, unplug_max_ms = ? WHERE id = ?"""


class Store(History):
    """The record's one writer: synchronous, one connection, one thread at a time.

    Creates or migrates the database. Every call raises StoreError when it could not write
    (then nothing of it is written), RowRefused when a record of it can never be written.
    """

    def __init__(self, path: Path, busy_s: float = BUSY_S, host: str = "") -> None:
        self._busy_s = busy_s
        self._host = host or gethostname().split(".")[0]
        self._aside: Path | None = None
        super().__init__(path, busy_s)

    def _open(self, path: Path, busy_s: float) -> Connection:
        db = open_for_writing(path, busy_s)
        with reported(path):
            db.execute(_NAMES_HOST, (self._host,))
        return db

    def begin_anew(self) -> Path:
        """Set the damaged file aside and go on in a new one; return where the damaged one is.

        Raises StoreError when one of both cannot be done now: to be called again, later.
        """
        self.close()
        if self._aside is None:
            self._aside = set_aside(self._path, time.time())
        self._db = self._open(self._path, self._busy_s)
        aside, self._aside = self._aside, None
        return aside

    def append(self, batch: Batch) -> None:
        """Write the whole batch in one transaction; writing it twice changes only the ledger."""
        with reported(self._path), transaction(self._db):
            self._put(batch)

    def append_what_fits(self, batch: Batch) -> list[RowRefused]:
        """Write all records that the schema lets in, in one transaction; return why not the rest.

        For the batch that ``append`` refused: one bad record must not keep out all later ones.
        """
        refused: list[RowRefused] = []
        with reported(self._path), transaction(self._db):
            for piece in batch.pieces():
                try:
                    with reported(self._path), savepoint(self._db):
                        self._put(piece)
                except RowRefused as error:
                    refused.append(error)
        return refused

    def open_lease(self, placement: Placement, at: float) -> Lease:
        """Return the lease of this run of the job, opened now unless there is one already.

        A closed one is returned as it is, closed: a late poke must not open it again.
        """
        for known in reversed(self.leases_named(placement.job_id)):
            if is_same_run(known.lease, placement):
                return known.lease
        lease = Lease(self.last_lease_id() + 1, placement, at)
        self.append(Batch(leases=(lease,)))
        return lease

    def close_lease(self, lease: Lease) -> None:
        """Keep a lease that has ended, for good; one that is closed already stays as it is."""
        self.append(Batch(leases=(lease,)))

    def next_to_thin(self) -> int | None:
        """Return the oldest ended lease with all of its samples; None if there is none."""
        found = self._rows(
            "SELECT id FROM leases WHERE closed_after_ms IS NOT NULL AND thinned = 0 "
            "ORDER BY id LIMIT 1"
        )
        return int(found[0]["id"]) if found else None

    def thin_samples(self, lease_id: int, points: int = TARGET_POINTS) -> int:
        """Thin a lease's samples by the rule of ``thin``; return how many rows that saved."""
        before = self.samples(lease_id)
        after = thin(before, points)
        with reported(self._path), transaction(self._db):
            if len(after) < len(before):
                self._replace_samples(lease_id, after)
            self._db.execute("UPDATE leases SET thinned = 1 WHERE id = ?", (lease_id,))
        return len(before) - len(after)

    def _replace_samples(self, lease_id: int, samples: Iterable[Sample]) -> None:
        self._db.execute("DELETE FROM samples WHERE lease_id = ?", (lease_id,))
        kept = (rows.sample_row(LeaseSample(lease_id, one)) for one in samples)
        self._many(_PUT_SAMPLE, kept)

    def _put(self, batch: Batch) -> None:
        touched = _touched(batch)
        before = shares_of(self._db, touched)
        self._put_leases(batch.leases)
        self._many(_PUT_SAMPLE, map(rows.sample_row, batch.samples))
        self._put_events(batch.events)
        self._put_decisions(batch.decisions)
        self._many(_PUT_WORKER, map(rows.worker_row, batch.workers))
        self._many(_PUT_MINUTE, map(_minute_row, batch.ledger))
        self._many(_PUT_BEAT, map(_beat_row, batch.beats))
        self._put_lost(batch.lost)
        self._roll_up(touched, before)

    def _put_leases(self, leases: Iterable[Lease]) -> None:
        values = [rows.lease_row(lease, self._host) for lease in leases]
        self._put_words(values, ("user", "worker", "name", "exit", "outcome", "asked"))
        owners = {tuple(row[name] for name in rows.OWNER) for row in values}
        self._many(_PUT_OWNER, owners)
        self._many(_PUT_LEASE, values)

    def _put_events(self, events: Iterable[Event]) -> None:
        values = [rows.event_row(event) for event in events]
        self._put_words(values, ("worker", "reason", "detail"))
        self._many(_PUT_CHANGE, values)
        self._many(_PUT_EVENT, (row for row in values if row["lease_id"] is not None))
        self._many(_PUT_IDLE_EVENT, (row for row in values if row["lease_id"] is None))

    def _put_decisions(self, decisions: Iterable[LeaseDecision]) -> None:
        values = [rows.decision_row(one) for one in decisions]
        self._put_words(values, ("worker", "reason"))
        self._many(_PUT_DECISION, values)

    def _put_words(self, values: Iterable[Mapping[str, Any]], columns: Collection[str]) -> None:
        words = {row[column] for row in values for column in columns}
        self._many(_PUT_WORD, ((word,) for word in words if word is not None))

    def _put_lost(self, lost: Mapping[int, int]) -> None:
        sql = "UPDATE leases SET lost_samples = lost_samples + ? WHERE id = ?"
        self._many(sql, ((count, lease_id) for lease_id, count in lost.items()))

    def _roll_up(self, touched: Collection[int], before: Sequence[Share]) -> None:
        """Bring the roll-ups to what the closed ones of these leases are now.

        Events are counted anew, also those that came in after the end. What the leases added
        before is taken out, what they add now put in: doing it again changes nothing.
        """
        closed = [share.lease_id for share in shares_of(self._db, touched)]
        counts = ((*_counts(self.event_summary(one)), one) for one in closed)
        self._many(_PUT_COUNTS, list(counts))
        put_shares(self._db, before, shares_of(self._db, closed))
        put_recent(self._db, set(closed) - {share.lease_id for share in before})

    def _many(self, sql: str, values: Iterable[Any]) -> None:
        self._db.executemany(sql, values)


def _touched(batch: Batch) -> set[int]:
    """Return the leases whose roll-up the batch may change."""
    closed = {lease.id for lease in batch.leases if lease.closed_at is not None}
    with_events = {event.lease_id for event in batch.events if event.lease_id is not None}
    return closed | with_events | set(batch.lost)


def _counts(roll_up: RollUp) -> tuple[int | None, ...]:
    """Return the counts by kind, then median and longest plug, median and longest unplug in ms."""
    latencies = (
        *(roll_up.plug_median_s, roll_up.plug_max_s),
        *(roll_up.unplug_median_s, roll_up.unplug_max_s),
    )
    counts = [roll_up.count(kind) for kind in ResultKind]
    return (*counts, *(None if one is None else rows.thousandths(one) for one in latencies))


def _minute_row(one: LedgerMinute) -> tuple[float, ...]:
    core_s = (one.requested_core_s, one.held_core_s, one.idle_core_s, one.used_core_s)
    return (one.minute_at, one.span_s, *core_s, one.host_cores)


def _beat_row(one: Beat) -> tuple[float, float]:
    return (one.started_at, one.last_at)
