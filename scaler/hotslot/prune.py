"""Let go of what is old, in steps so small that the agent never waits for them.

Samples and decisions go first, events and leases much later, roll-ups and the host's ledger never.
Up to which day something may be gone is noted before the first of it goes: whoever is killed in
between leaves a record that is right, and the next time goes on.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from sqlite3 import Connection

from hotslot.record.database import reported, transaction
from hotslot.record.history import LEASES_PRUNED, SAMPLES_PRUNED
from hotslot.record.reports import DAY_MS, DAY_S
from hotslot.record.schema import open_for_pruning

STEP_S = 0.02
"""A transaction takes about so long; then the agent has its turn."""

PAGES = 500
"""Pages given back to the file system at once, 2 MB."""


_OLD = "(SELECT id FROM leases WHERE closed_ms < ?)"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pruned:
    """Rows that went, or would go, and how much smaller the file is."""

    samples: int = 0
    decisions: int = 0
    events: int = 0
    leases: int = 0
    freed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Keep:
    """From which UTC day on (since the epoch) samples and decisions, events and leases stay."""

    samples_day: int
    leases_day: int

    @classmethod
    def of(cls, now: float, samples_s: float, leases_s: float) -> Keep:
        """Return what is kept for so many seconds before ``now``: whole days, rather one more."""
        leases_day = int((now - leases_s) // DAY_S)
        return cls(max(int((now - samples_s) // DAY_S), leases_day), leases_day)


def would_go(path: Path, keep: Keep) -> Pruned:
    """Count what ``prune`` would let go of."""
    samples_ms, leases_ms = keep.samples_day * DAY_MS, keep.leases_day * DAY_MS
    with reported(path), closing(open_for_pruning(path)) as db:
        return Pruned(
            samples=_one(db, f"SELECT count(*) FROM samples WHERE lease_id IN {_OLD}", samples_ms),  # noqa: S608
            decisions=_one(db, "SELECT count(*) FROM decisions WHERE at_ms < ?", samples_ms),
            events=_one(db, f"SELECT count(*) FROM events WHERE lease_id IN {_OLD}", leases_ms)  # noqa: S608
            + _one(db, "SELECT count(*) FROM idle_events WHERE at_ms < ?", leases_ms),
            leases=_one(db, "SELECT count(*) FROM leases WHERE closed_ms < ?", leases_ms),
        )


def prune(
    path: Path,
    keep: Keep,
    tell: Tell = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> Pruned:
    """Let go of what is older; raises StoreError when it cannot, then part of it may be gone."""
    samples_ms, leases_ms = keep.samples_day * DAY_MS, keep.leases_day * DAY_MS
    gone: Counter[str] = Counter()
    with reported(path), closing(open_for_pruning(path)) as db:
        before = _bytes(db)
        _note(db, SAMPLES_PRUNED, keep.samples_day)
        _note(db, LEASES_PRUNED, keep.leases_day)
        steps = chain(
            _each_lease(db, "closed_ms < ? AND thinned < 2", samples_ms, _drop_samples, pause),
            _each_worker(db, "decisions", samples_ms, pause),
            _each_lease(db, "closed_ms < ?", leases_ms, _drop_lease, pause),
            _each_worker(db, "idle_events", leases_ms, pause),
        )
        for step in steps:
            gone.update(step)
            tell(", ".join(f"{number:,} {what}" for what, number in gone.items()))
        _shrink(db, tell, pause)
        return Pruned(**gone, freed_bytes=max(0, before - _bytes(db)))


Gone = dict[str, int]
"""Rows that went, by what they were: fields of ``Pruned``."""


def _each_lease(
    db: Connection,
    which: str,
    before_ms: int,
    drop: Callable[[Connection, int], Gone],
    pause: Callable[[float], None],
) -> Iterator[Gone]:
    """Drop something of each of these leases, oldest first, in transactions of STEP_S."""
    last = (-(1 << 62), 0)
    while True:
        found = db.execute(
            f"SELECT closed_ms, id FROM leases WHERE {which} AND (closed_ms, id) > (?, ?) "  # noqa: S608 (fixed)
            "ORDER BY closed_ms, id LIMIT 1000",
            (before_ms, *last),
        ).fetchall()
        if not found:
            return
        last = found[-1]
        ids = deque(lease_id for _, lease_id in found)
        while ids:
            with _step(db, pause) as has_time:
                gone: Counter[str] = Counter()
                while ids and has_time():
                    gone.update(drop(db, ids.popleft()))
            yield dict(gone)


def _drop_samples(db: Connection, lease_id: int) -> Gone:
    samples = db.execute("DELETE FROM samples WHERE lease_id = ?", (lease_id,)).rowcount
    db.execute("UPDATE leases SET thinned = 2 WHERE id = ?", (lease_id,))
    return {"samples": samples}


def _drop_lease(db: Connection, lease_id: int) -> Gone:
    gone = _drop_samples(db, lease_id)
    events = db.execute("DELETE FROM events WHERE lease_id = ?", (lease_id,)).rowcount
    db.execute("DELETE FROM leases WHERE id = ?", (lease_id,))
    return {**gone, "events": events, "leases": 1}


def _each_worker(
    db: Connection, table: str, before_ms: int, pause: Callable[[float], None]
) -> Iterator[Gone]:
    """Drop a table's old rows, worker by worker."""
    sql = (
        f"DELETE FROM {table} WHERE worker_id = ?1 AND at_ms IN (SELECT at_ms FROM {table} "  # noqa: S608 (fixed)
        "WHERE worker_id = ?1 AND at_ms < ?2 ORDER BY at_ms LIMIT 1000)"
    )
    worker = _one(db, f"SELECT coalesce(min(worker_id), 0) FROM {table}")  # noqa: S608 (fixed)
    while worker:
        gone = 1
        while gone:
            with _step(db, pause):
                gone = db.execute(sql, (worker, before_ms)).rowcount
            yield {"decisions" if table == "decisions" else "events": gone}
        worker = _one(
            db,
            f"SELECT coalesce(min(worker_id), 0) FROM {table} WHERE worker_id > ?",  # noqa: S608
            worker,
        )


@contextmanager
def _step(db: Connection, pause: Callable[[float], None]) -> Iterator[Callable[[], bool]]:
    """Run a short transaction, then leave the database to others for as long."""
    with transaction(db):
        began = time.monotonic()
        yield lambda: time.monotonic() - began < STEP_S
    pause(time.monotonic() - began)


def _note(db: Connection, key: str, day: int) -> None:
    """Note from which day on all is there; an earlier, later day stays."""
    with transaction(db):
        db.execute(
            "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE "
            "SET value = max(CAST(value AS INTEGER), CAST(?2 AS INTEGER))",
            (key, str(day)),
        )


def _shrink(db: Connection, tell: Tell, pause: Callable[[float], None]) -> None:
    """Give free pages back to the file system, some at a time."""
    free, before = _one(db, "PRAGMA freelist_count"), 0
    while free and free != before:
        began = time.monotonic()
        db.execute(f"PRAGMA incremental_vacuum({PAGES})").fetchall()
        pause(time.monotonic() - began)
        free, before = _one(db, "PRAGMA freelist_count"), free
        tell(f"{free:,} pages to give back")
    db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _bytes(db: Connection) -> int:
    return _one(db, "PRAGMA page_count") * _one(db, "PRAGMA page_size")


def _one(db: Connection, sql: str, *values: int) -> int:
    return int(db.execute(sql, values).fetchone()[0])
