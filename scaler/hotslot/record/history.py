"""What the record can be asked; changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hotslot.model import Event, EventResult, Lease, ResultKind, Sample, Totals
from hotslot.record import rows
from hotslot.record.batch import (
    Beat,
    LeaseDecision,
    LeaseRow,
    LedgerMinute,
    RollUp,
    WorkerState,
)
from hotslot.record.database import BUSY_S, reported
from hotslot.record.reports import (
    ANYBODY,
    By,
    OverviewPoint,
    Owned,
    Sort,
    Summed,
    jobs_sql,
    overview_sql,
    summed_sql,
)
from hotslot.record.rows import storable
from hotslot.record.schema import open_for_reading
from hotslot.record.summary import summary
from hotslot.record.totals import totals_of

if TYPE_CHECKING:
    from hotslot.record.library import Database

LEASES_PRUNED = "leases pruned before"
"""Key of the UTC day (since the epoch) before which leases and their events are gone."""

SAMPLES_PRUNED = "samples pruned before"
"""Key of the UTC day before whose begin leases have closed whose samples are gone."""

_OPEN = "id IN (SELECT id FROM leases WHERE closed_ms IS NULL)"


class History:
    """One read-only connection for commands and reports; one thread at a time.

    Reads while an agent writes, without either waiting for the other. Every call raises
    StoreError when the database cannot be read.
    """

    def __init__(self, path: Path, busy_s: float = BUSY_S) -> None:
        self._path = path
        self._db = self._open(path, busy_s)

    def _open(self, path: Path, busy_s: float) -> Connection:
        return open_for_reading(path, busy_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; closing twice is no error."""
        self._db.close()

    def jobs(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        user: str | None = None,
        account: str | None = None,
        partition: str | None = None,
        state: str | None = None,
        sort: Sort = "newest",
        lowest_first: bool = False,
        limit: int = 50,
    ) -> list[LeaseRow]:
        """Return all leases of the first ``limit`` jobs of which a lease fits, by rank.

        A job is a family: an array and a heterogeneous job are one, with their parts together.
        ``since`` and ``until`` are epoch seconds; a lease fits when it was open at some moment
        of [since, until). ``state`` is ``running`` (not closed), or how the scheduler's word for
        the outcome begins, in any case: ``completed``, ``cancelled``. ``sort`` ranks jobs by the
        sum over their fitting leases, the highest first.
        """
        fits, values = _fitting(since, until, state, Owned(user, account, partition))
        sql = jobs_sql(fits, sort, lowest_first=lowest_first)
        found = self._rows(sql, {**values, "limit": limit})
        found.sort(key=lambda row: (row["rank"], row["opened_at"], row["id"]))
        return self._with_roll_ups(found)

    def summed(
        self,
        by: By,
        since: float | None = None,
        until: float | None = None,
        owned: Owned = ANYBODY,
    ) -> list[Summed]:
        """Return sums over the leases that closed in whole UTC days, by key.

        The days are all those that [since, until) touches, since roll-ups know no hours. Open
        leases are not in them.
        """
        return [Summed(**row) for row in self._rows(*summed_sql(by, since, until, owned))]

    def overview(self, since: float, until: float, points: int = 500) -> list[OverviewPoint]:
        """Return the host's ledger as at most ``points`` means of equally many minutes each."""
        found = self._rows(*overview_sql(since, until, points))
        return [OverviewPoint(**row) for row in found]

    def alike(self, user: str, name: str, limit: int = 20) -> list[LeaseRow]:
        """Return the last leases that closed of a user's jobs of this name, oldest first.

        At most RECENT_LEASES of them are known.
        """
        found = self._rows(
            "SELECT lease_ids FROM recent WHERE user_id = (SELECT id FROM words WHERE text = ?) "
            "AND name_id = (SELECT id FROM words WHERE text = ?)",
            (storable(user), storable(name)),
        )
        return self._leases_with(json.loads(found[0]["lease_ids"])[-limit:]) if found else []

    def names(self, user: str | None = None) -> list[tuple[str, str]]:
        """Return each user with each name of a job of theirs that closed, for ``alike``."""
        found = self._rows(
            "SELECT user.text AS user, name.text AS name FROM recent "
            "JOIN words AS user ON user.id = user_id JOIN words AS name ON name.id = name_id "
            "WHERE :user IS NULL OR user.text = :user ORDER BY 1, 2",
            {"user": user},
        )
        return [(row["user"], row["name"]) for row in found]

    def leases_of(self, job: str) -> list[LeaseRow]:
        """Return the leases of a job, oldest first; an empty list if there are none.

        ``job`` is what a user types: a job's id, an array's or heterogeneous job's id (all
        parts), or one array task as ``123_4``; where no job is called so, the part of an id
        before ``@``: ``12.0`` or ``12`` for ``12.0@schedd``.
        """
        return self.leases_named(job) or self._leases_at_any_schedd(job)

    def _leases_at_any_schedd(self, job: str) -> list[LeaseRow]:
        """Look for ids that go on with ``@`` (the character before A, so that indices serve)."""
        start, end = f"{job}@", f"{job}A"
        only = f"{job}.0"
        return self._lease_rows(
            "SELECT * FROM lease_log WHERE id IN ("
            "SELECT id FROM leases WHERE job_id >= :start AND job_id < :end "
            "UNION SELECT id FROM leases WHERE array_job_id >= :start AND array_job_id < :end "
            "UNION SELECT id FROM leases WHERE job_id >= :only || '@' AND job_id < :only || 'A') "
            "ORDER BY opened_at, id",
            {"start": start, "end": end, "only": only},
        )

    def leases_named(self, job: str) -> list[LeaseRow]:
        """Return the leases of a job, of all parts, or of an array's task, by the whole id."""
        array, _, task = job.partition("_")
        return self._lease_rows(
            "SELECT * FROM lease_log WHERE id IN ("
            "SELECT id FROM leases WHERE job_id = :job "
            "UNION SELECT id FROM leases WHERE array_job_id = :job "
            "UNION SELECT id FROM leases WHERE het_job_id = :job "
            "UNION SELECT id FROM leases WHERE array_job_id = :array AND array_task_id = :task) "
            "ORDER BY opened_at, id",
            {"job": job, "array": array, "task": task},
        )

    def open_leases(self) -> list[Lease]:
        """Return the leases that have not ended, oldest first, with their running totals."""
        found = self._rows(f"SELECT * FROM lease_log WHERE {_OPEN} ORDER BY opened_at, id")  # noqa: S608
        return [rows.lease_of(row) for row in found]

    def changes(self) -> dict[int, int]:
        """Return how often each open lease's worker was changed, by the lease's id."""
        results = [result.value for result in EventResult if result.kind is ResultKind.APPLIED]
        found = self._rows(
            "SELECT lease_id, count(*) AS count FROM events "  # noqa: S608 (fixed words)
            "JOIN changes ON changes.id = change_id "
            "WHERE lease_id IN (SELECT id FROM leases WHERE closed_ms IS NULL) "
            f"AND result IN ({', '.join('?' * len(results))}) GROUP BY lease_id",
            tuple(results),
        )
        return {row["lease_id"]: row["count"] for row in found}

    def closed_leases(self, limit: int) -> list[Lease]:
        """Return the leases that ended last, oldest of them first."""
        return list(self.each_closed_lease(limit))

    def each_closed_lease(self, limit: int) -> Iterator[Lease]:
        """Yield the leases that ended last, oldest of them first, and keep none of them."""
        found = self._each_row(
            "SELECT * FROM lease_log WHERE id IN (SELECT id FROM leases "
            "WHERE closed_ms IS NOT NULL ORDER BY closed_ms DESC LIMIT ?) "
            "ORDER BY closed_at",
            (limit,),
        )
        return map(rows.lease_of, found)

    def row(self, lease_id: int) -> LeaseRow | None:
        """Return a lease with its roll-up; None if there is none."""
        found = self._leases_with([lease_id])
        return found[0] if found else None

    def lease(self, lease_id: int) -> Lease | None:
        """Return a lease; None if there is none."""
        found = self.row(lease_id)
        return found.lease if found else None

    def last_lease_id(self) -> int:
        """Return the highest lease id ever given out, 0 before the first."""
        found = self._rows("SELECT coalesce(max(id), 0) AS id FROM leases")
        return int(found[0]["id"])

    def samples(self, lease_id: int) -> list[Sample]:
        """Return the samples of a lease, oldest first."""
        found = self._rows("SELECT * FROM sample_log WHERE lease_id = ? ORDER BY at", (lease_id,))
        return [rows.sample_of(row) for row in found]

    def totals_from_samples(self, lease_id: int) -> Totals:
        """Return a lease's totals as its samples give them; zeros for an unknown lease.

        For an open lease they equal the totals in its row to float rounding, unless samples
        were lost (``RollUp.lost_samples``). After thinning, peak and saturated time do not.
        """
        lease = self.lease(lease_id)
        return totals_of(self.samples(lease_id), lease.request) if lease else Totals()

    def events(self, lease_id: int) -> list[Event]:
        """Return the events of a lease, oldest first."""
        found = self._rows("SELECT * FROM event_log WHERE lease_id = ? ORDER BY at", (lease_id,))
        return [rows.event_of(row) for row in found]

    def decisions(self, lease_id: int) -> list[LeaseDecision]:
        """Return the decisions of a lease, oldest first."""
        sql = "SELECT * FROM decision_log WHERE lease_id = ? ORDER BY at"
        return [rows.decision_of(row) for row in self._rows(sql, (lease_id,))]

    def workers(self) -> list[WorkerState]:
        """Return the last known state of every worker, by name."""
        return [rows.worker_of(row) for row in self._rows("SELECT * FROM workers ORDER BY worker")]

    def ledger(self, since: float, until: float) -> list[LedgerMinute]:
        """Return the host's minutes that begin in [since, until), oldest first."""
        sql = "SELECT * FROM host_ledger WHERE minute_at >= ? AND minute_at < ? ORDER BY minute_at"
        return [rows.minute_of(row) for row in self._rows(sql, (since, until))]

    def beats(self, since: float = 0.0) -> list[Beat]:
        """Return the spans with an agent that end at ``since`` or later, oldest first."""
        sql = "SELECT * FROM beats WHERE last_at >= ? ORDER BY started_at"
        return [rows.beat_of(row) for row in self._rows(sql, (since,))]

    def select(
        self, sql: str, values: tuple[object, ...] | dict[str, object] = ()
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query as they are read, whatever their number."""
        with reported(self._path), closing(self._db.execute(sql, values)) as cursor:
            yield from cursor

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Look at the record with sqlite-utils: its tables, its views, rows by name."""
        from hotslot.record.library import Database  # here: the agent does without

        with reported(self._path):
            yield Database(self._db, recursive_triggers=False, execute_plugins=False)

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """Have all questions of the block answered from the same state, while others write."""
        with reported(self._path):
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("ROLLBACK")

    def fact(self, key: str) -> str | None:
        """Return what is noted about the record under a key, such as LEASES_PRUNED."""
        found = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return str(found[0]["value"]) if found else None

    def _leases_with(self, lease_ids: Iterable[int]) -> list[LeaseRow]:
        """Return those of the leases that there are, oldest first."""
        return self._lease_rows(
            "SELECT * FROM lease_log WHERE id IN (SELECT value FROM json_each(?)) "
            "ORDER BY opened_at, id",
            (json.dumps(list(lease_ids)),),
        )

    def _lease_rows(
        self, sql: str, values: tuple[object, ...] | dict[str, object]
    ) -> list[LeaseRow]:
        """Return leases with their roll-ups; that of an open one is made now, of its events."""
        return self._with_roll_ups(self._rows(sql, values))

    def _with_roll_ups(self, found: Iterable[rows.Row]) -> list[LeaseRow]:
        return [
            self._rolled_up(row) if row.lease.closed_at is None else row
            for row in map(rows.lease_row_of, found)
        ]

    def _rolled_up(self, row: LeaseRow) -> LeaseRow:
        counted = self.event_summary(row.lease.id)
        return replace(row, roll_up=replace(counted, lost_samples=row.roll_up.lost_samples))

    def event_summary(self, lease_id: int) -> RollUp:
        """Return the counts and latencies of a lease's events, as they are now."""
        found = self._rows(
            "SELECT result, to_vcpus > from_vcpus AS up, to_vcpus < from_vcpus AS down, took_ms "
            "FROM events JOIN changes ON changes.id = change_id WHERE lease_id = ?",
            (lease_id,),
        )
        return summary(found)

    def _rows(
        self, sql: str, values: tuple[object, ...] | dict[str, object] = ()
    ) -> list[dict[str, Any]]:
        return list(self._each_row(sql, values))

    def _each_row(
        self, sql: str, values: tuple[object, ...] | dict[str, object] = ()
    ) -> Iterator[dict[str, Any]]:
        with reported(self._path), closing(self._db.execute(sql, values)) as cursor:
            names = [column[0] for column in cursor.description]
            for row in cursor:
                yield dict(zip(names, row, strict=True))


def _fitting(
    since: float | None, until: float | None, state: str | None, owned: Owned
) -> tuple[str, dict[str, object]]:
    """Return a condition on ``leases AS l`` and its values."""
    whose, values = owned.condition("l.owner_id")
    conditions = [whose]
    if since is not None:
        conditions.append("(l.closed_ms > :since OR l.closed_ms IS NULL)")
        values["since"] = since * 1000
    if until is not None:
        conditions.append("l.opened_ms < :until")
        values["until"] = until * 1000
    if state == "running":
        conditions.append("l.closed_ms IS NULL")
    elif state is not None:
        conditions.append(
            "l.outcome_id IN (SELECT id FROM words "
            "WHERE upper(substr(text, 1, length(:state))) = upper(:state))"
        )
        values["state"] = state
    return " AND ".join(conditions), values
