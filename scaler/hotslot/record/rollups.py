"""Roll-ups: what closed leases add to the sums of their day, and to what is known of a name."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from sqlite3 import Connection

RECENT_LEASES = 32
"""Of one user's jobs of one name so many leases are remembered: the last ones."""

SUMS = (
    *("leases", "jobs", "completed", "failed", "cancelled", "timed_out", "lost", "requeued"),
    *("otherwise", "life_ms", "requested_core_ms", "held_core_ms", "used_core_ms"),
    *("waited_core_ms", "returned_core_ms", "borrowed_core_ms", "saturated_ms"),
    *("events_applied", "events_refused", "events_timed_out", "events_failed"),
    *("events_vm_gone", "waits", "wait_ms", "lost_samples"),
)
"""Columns of ``daily`` that add up; the view ``shares`` has them of each closed lease."""

_ADD = f"""
INSERT INTO daily (day, owner_id, {", ".join(SUMS)}) VALUES (?, ?{", ?" * len(SUMS)})
ON CONFLICT (day, owner_id) DO UPDATE SET
  {", ".join(f"{name} = {name} + excluded.{name}" for name in SUMS)}"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Share:
    """What one closed lease adds to one row of ``daily``: ``sums`` in the order of SUMS."""

    lease_id: int
    day: int
    owner_id: int
    sums: tuple[int, ...]


def shares_of(db: Connection, lease_ids: Iterable[int]) -> list[Share]:
    """Return what those of the leases add that have closed."""
    sql = f"SELECT id, day, owner_id, {', '.join(SUMS)} FROM shares WHERE id = ?"  # noqa: S608
    found = (db.execute(sql, (one,)).fetchone() for one in lease_ids)
    return [Share(row[0], row[1], row[2], tuple(row[3:])) for row in found if row]


def put_shares(db: Connection, before: Sequence[Share], after: Sequence[Share]) -> None:
    """Take out what leases added before, put in what they add now."""
    gone = {share.lease_id: share for share in before}
    changed = [share for share in after if gone.get(share.lease_id) != share]
    for share in changed:
        if old := gone.get(share.lease_id):
            db.execute(_ADD, (old.day, old.owner_id, *(-one for one in old.sums)))
        db.execute(_ADD, (share.day, share.owner_id, *share.sums))


def put_recent(db: Connection, lease_ids: Collection[int]) -> None:
    """Remember leases that have closed among the last of their user and name, by id."""
    for lease_id in lease_ids:
        user_id, name_id, known = db.execute(
            "SELECT u.id, l.name_id, r.lease_ids FROM leases AS l "
            "JOIN owners AS o ON o.id = l.owner_id JOIN words AS u ON u.text = o.user "
            "LEFT JOIN recent AS r ON r.user_id = u.id AND r.name_id = l.name_id "
            "WHERE l.id = ?",
            (lease_id,),
        ).fetchone()
        ids = sorted({lease_id, *json.loads(known or "[]")})[-RECENT_LEASES:]
        db.execute(
            "INSERT OR REPLACE INTO recent VALUES (?, ?, ?)",
            (user_id, name_id, json.dumps(ids, separators=(",", ":"))),
        )
