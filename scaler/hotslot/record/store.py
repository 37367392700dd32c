"""The record as the agent writes it: batches, each whole or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from hotslot.model import Event, EventResult, Lease, Placement, ResultKind, Sample
from hotslot.record import rows
from hotslot.record.batch import Batch, Beat, LeaseDecision, LeaseSample, LedgerMinute
from hotslot.record.database import Database, RowRefused, reported, savepoint, transaction
from hotslot.record.history import History
from hotslot.record.known import is_same_run
from hotslot.record.schema import open_for_writing
from hotslot.record.thin import TARGET_POINTS, thin

_VALUES = ", ".join(f":{name}" for name in rows.LEASE_COLUMNS)
_NEWER = ", ".join(f"{name} = excluded.{name}" for name in rows.LEASE_COLUMNS if name != "id")

# A closed lease never changes again; a second one under the same key is the scheduler's reuse
# of an id, decided on before (KnownLeases), and gets the next number.
_PUT_LEASE = f"""
INSERT INTO leases ({", ".join(rows.LEASE_COLUMNS)}, reused) VALUES ({_VALUES}, (
  SELECT coalesce(max(reused) + 1, 0) FROM leases
  WHERE job_id = :job_id AND worker = :worker AND run = :run AND scheduler = :scheduler
    AND id <> :id))
ON CONFLICT (id) DO UPDATE SET {_NEWER} WHERE leases.closed_at IS NULL"""  # noqa: S608 (names)

_PUT_WORD = "INSERT OR IGNORE INTO words (text) VALUES (?)"

_PUT_SAMPLE = """
INSERT OR REPLACE INTO samples VALUES
  (:lease_id, :at, :interval_s, :granted_vcpus, :held_cores, :used_cores, :waited_cores)"""

_PUT_BORROWED = """
UPDATE leases SET borrowed_core_s = borrowed_core_s + (:held_cores - cpus) * :interval_s
WHERE id = :lease_id AND cpus < :held_cores"""

_PUT_EVENT = """
INSERT OR REPLACE INTO events (lease_id, at, worker_id, from_vcpus, to_vcpus, got_vcpus,
  reason_id, result, detail_id, detected_at, command_s, online_s, took_s)
VALUES (:lease_id, :at, (SELECT id FROM words WHERE text = :worker), :from_vcpus, :to_vcpus,
  :got_vcpus, (SELECT id FROM words WHERE text = :reason), :result,
  (SELECT id FROM words WHERE text = :detail), :detected_at, :command_s, :online_s, :took_s)"""

_PUT_DECISION = """
INSERT OR REPLACE INTO decisions VALUES ((SELECT id FROM words WHERE text = :worker), :at,
  :lease_id, :from_vcpus, :to_vcpus, (SELECT id FROM words WHERE text = :reason), :detected_at)"""

_PUT_WORKER = """
INSERT OR REPLACE INTO workers VALUES (:worker, :vm, :granted_vcpus, :pid, :born_s, :counters,
  :monotonic_s, :boot_id, :read_at)"""

_PUT_MINUTE = """
INSERT INTO host_ledger VALUES (?, ?, ?, ?, ?) ON CONFLICT (minute_at) DO UPDATE SET
  span_s = span_s + excluded.span_s, held_core_s = held_core_s + excluded.held_core_s,
  used_core_s = used_core_s + excluded.used_core_s,
  host_cores = max(host_cores, excluded.host_cores)"""

_PUT_BEAT = """
INSERT INTO beats VALUES (?, ?)
ON CONFLICT (started_at) DO UPDATE SET last_at = max(last_at, excluded.last_at)"""

_PUT_ROLL_UP = """
UPDATE leases SET applied = ?, refused = ?, timed_out = ?, failed = ?, vm_gone = ?,
  plug_median_s = ?, plug_max_s = ?, unplug_median_s = ?, unplug_max_s = ? WHERE id = ?"""


class Store(History):
    """The record's one writer: synchronous, one connection, one thread at a time.

    Creates or migrates the database. Every call raises StoreError when it could not write
    (then nothing of it is written), RowRefused when a record of it can never be written.
    """

    def _open(self, path: Path, busy_s: float) -> Database:
        return open_for_writing(path, busy_s)

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
        for known in reversed(self.leases_of(placement.job_id)):
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
        sql = (
            "SELECT id FROM leases WHERE closed_at IS NOT NULL AND thinned = 0 ORDER BY id LIMIT 1"
        )
        found = self._rows(sql)
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
        self._put_leases(batch.leases)
        self._put_samples(batch.samples)
        self._put_events(batch.events)
        self._put_decisions(batch.decisions)
        self._many(_PUT_WORKER, map(rows.worker_row, batch.workers))
        self._many(_PUT_MINUTE, map(_minute_row, batch.ledger))
        self._many(_PUT_BEAT, map(_beat_row, batch.beats))
        self._put_lost(batch.lost)

    def _put_leases(self, leases: Iterable[Lease]) -> None:
        self._many(_PUT_LEASE, map(rows.lease_row, leases))

    def _put_samples(self, samples: Iterable[LeaseSample]) -> None:
        values = [rows.sample_row(one) for one in samples]
        self._many(_PUT_SAMPLE, values)
        self._many(_PUT_BORROWED, values)

    def _put_events(self, events: Iterable[Event]) -> None:
        values = [rows.event_row(event) for event in events]
        self._put_words(values, ("worker", "reason", "detail"))
        self._many(_PUT_EVENT, values)
        leases = {row["lease_id"] for row in values if row["lease_id"] is not None}
        self._roll_up(leases)

    def _put_decisions(self, decisions: Iterable[LeaseDecision]) -> None:
        values = [rows.decision_row(one) for one in decisions]
        self._put_words(values, ("worker", "reason"))
        self._many(_PUT_DECISION, values)

    def _put_words(self, values: Iterable[Mapping[str, Any]], columns: Collection[str]) -> None:
        words = {row[column] for row in values for column in columns} - {None}
        self._many(_PUT_WORD, ((word,) for word in words))

    def _put_lost(self, lost: Mapping[int, int]) -> None:
        sql = "UPDATE leases SET lost_samples = lost_samples + ? WHERE id = ?"
        self._many(sql, ((count, lease_id) for lease_id, count in lost.items()))

    def _roll_up(self, lease_ids: Iterable[int]) -> None:
        """Count the events of these leases anew: also those that come in after the end."""
        self._many(_PUT_ROLL_UP, [(*_summary(self.events(one)), one) for one in lease_ids])

    def _many(self, sql: str, values: Iterable[Any]) -> None:
        self._db.conn.executemany(sql, values)


def _summary(events: Iterable[Event]) -> tuple[float | None, ...]:
    """Return the counts by kind, then median and longest plug, median and longest unplug."""
    known = list(events)
    applied = [event for event in known if event.result is EventResult.APPLIED]
    plugs = [event.took_s for event in applied if event.to_vcpus > event.from_vcpus]
    unplugs = [event.took_s for event in applied if event.to_vcpus < event.from_vcpus]
    counts = [sum(event.result.kind is kind for event in known) for kind in ResultKind]
    latencies = [summary(took) for took in (plugs, unplugs) for summary in (_median, _longest)]
    return (*counts, *latencies)


def _median(took_s: list[float]) -> float | None:
    return median(took_s) if took_s else None


def _longest(took_s: list[float]) -> float | None:
    return max(took_s, default=None)


def _minute_row(one: LedgerMinute) -> tuple[float, ...]:
    return (one.minute_at, one.span_s, one.held_core_s, one.used_core_s, one.host_cores)


def _beat_row(one: Beat) -> tuple[float, float]:
    return (one.started_at, one.last_at)
