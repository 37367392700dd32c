"""What the record can be asked; changes nothing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hotslot.model import Event, EventResult, Lease, ResultKind, Sample, Totals
from hotslot.record import rows
from hotslot.record.batch import Beat, LeaseDecision, LeaseRow, LedgerMinute, WorkerState
from hotslot.record.database import BUSY_S, Database, reported
from hotslot.record.schema import open_for_reading
from hotslot.record.totals import totals_of


class History:
    """One read-only connection for commands and reports; one thread at a time.

    Reads while an agent writes, without either waiting for the other. Every call raises
    StoreError when the database cannot be read.
    """

    def __init__(self, path: Path, busy_s: float = BUSY_S) -> None:
        self._path = path
        self._db = self._open(path, busy_s)

    def _open(self, path: Path, busy_s: float) -> Database:
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
        state: str | None = None,
        limit: int = 50,
    ) -> list[LeaseRow]:
        """Return all leases of the newest ``limit`` jobs of which a lease fits, newest first.

        A job is a family: an array and a heterogeneous job are one, with their parts together.
        ``since`` and ``until`` are epoch seconds; a lease fits when it was open at some moment
        of [since, until). ``state`` is ``running`` (not closed), or how the scheduler's word for
        the outcome begins, in any case: ``completed``, ``cancelled``.
        """
        where, values = _fitting(since, until, user, state)
        found = self._rows(
            "SELECT max(opened_at) OVER (PARTITION BY scheduler, family) AS newest, leases.* "  # noqa: S608 (fixed conditions)
            "FROM leases WHERE (scheduler, family) IN ("
            f"SELECT scheduler, family FROM leases WHERE {where} "
            "GROUP BY scheduler, family ORDER BY max(opened_at) DESC, max(id) DESC LIMIT :limit) "
            "ORDER BY newest DESC, scheduler, family, opened_at, id",
            {**values, "limit": limit},
        )
        return [rows.lease_row_of(row) for row in found]

    def leases_of(self, job: str) -> list[LeaseRow]:
        """Return the leases of a job, oldest first; an empty list if there are none.

        ``job`` is what a user types: a job's id, an array's or heterogeneous job's id (all
        parts), or one array task as ``123_4``.
        """
        array, _, task = job.partition("_")
        found = self._rows(
            "SELECT * FROM leases WHERE family = :job OR job_id = :job "
            "UNION SELECT * FROM leases "
            "WHERE :task <> '' AND family = :array AND array_task_id = :task "
            "ORDER BY opened_at, id",
            {"job": job, "array": array, "task": task},
        )
        return [rows.lease_row_of(row) for row in found]

    def open_leases(self) -> list[Lease]:
        """Return the leases that have not ended, oldest first, with their running totals."""
        found = self._rows("SELECT * FROM leases WHERE closed_at IS NULL ORDER BY opened_at, id")
        return [rows.lease_of(row) for row in found]

    def changes(self) -> dict[int, int]:
        """Return how often each open lease's worker was changed, by the lease's id."""
        results = [result.value for result in EventResult if result.kind is ResultKind.APPLIED]
        found = self._rows(
            "SELECT lease_id, count(*) AS count FROM events "  # noqa: S608 (fixed words)
            "JOIN leases ON leases.id = lease_id AND closed_at IS NULL "
            f"WHERE result IN ({', '.join('?' * len(results))}) GROUP BY lease_id",
            tuple(results),
        )
        return {row["lease_id"]: row["count"] for row in found}

    def closed_leases(self, limit: int) -> list[Lease]:
        """Return the leases that ended last, oldest of them first."""
        found = self._rows(
            "SELECT * FROM leases WHERE closed_at IS NOT NULL ORDER BY closed_at DESC LIMIT ?",
            (limit,),
        )
        return [rows.lease_of(row) for row in reversed(found)]

    def row(self, lease_id: int) -> LeaseRow | None:
        """Return a lease with its roll-up; None if there is none."""
        found = self._rows("SELECT * FROM leases WHERE id = ?", (lease_id,))
        return rows.lease_row_of(found[0]) if found else None

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
        found = self._rows("SELECT * FROM samples WHERE lease_id = ? ORDER BY at", (lease_id,))
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

    def _rows(
        self, sql: str, values: tuple[object, ...] | dict[str, object] = ()
    ) -> list[dict[str, Any]]:
        with reported(self._path), closing(self._db.execute(sql, values)) as cursor:
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]


def _fitting(
    since: float | None, until: float | None, user: str | None, state: str | None
) -> tuple[str, dict[str, object]]:
    """Return a condition on ``leases`` and its values."""
    values = {"since": since, "until": until, "user": user, "state": state}
    conditions = {
        "since": "(closed_at > :since OR closed_at IS NULL)",
        "until": "opened_at < :until",
        "user": "user = :user",
        "state": "upper(substr(outcome, 1, length(:state))) = upper(:state)",
    }
    if state == "running":
        conditions["state"] = "closed_at IS NULL"
    asked: dict[str, object] = {name: value for name, value in values.items() if value is not None}
    return " AND ".join(["1", *(conditions[name] for name in asked)]), asked
