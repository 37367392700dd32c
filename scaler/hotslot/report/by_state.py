"""Sums over the leases that ended in one way: roll-ups do not tell their sums by state."""

from __future__ import annotations

from dataclasses import fields
from math import ceil, floor

from hotslot.record.history import History
from hotslot.record.reports import DAY_S, By, Owned, Summed
from hotslot.report.period import Period

CLASSES = {
    "completed": "completed",
    "failed": "failed",
    "out_of_memory": "failed",
    "cancelled": "cancelled",
    "removed": "cancelled",
    "timeout": "timed_out",
    "deadline": "timed_out",
    "lost": "lost",
    "node_fail": "lost",
    "boot_fail": "lost",
    "requeued": "requeued",
    "preempted": "requeued",
    "other": "otherwise",
}
"""A state as one types it, and the column of ``shares`` that counts it."""

_KEYS: dict[By, str] = {
    "user": "o.user",
    "account": "o.account",
    "partition": "o.partition",
    "host": "o.host",
    "day": "date(s.day * 86400, 'unixepoch')",
}


def summed_by_state(
    history: History, by: By, period: Period, owned: Owned, state: str
) -> list[Summed]:
    """Return what ``History.summed`` does, of leases of this state only; reads every lease."""
    whose, values = owned.condition("s.owner_id")
    values |= {"first": floor(period.since / DAY_S), "last": ceil(period.until / DAY_S)}
    names = [one.name for one in fields(Summed) if one.name != "key"]
    sums = ", ".join(map(_sum, names))
    sql = (
        f"SELECT {_KEYS[by]} AS key, {sums} FROM shares AS s "  # noqa: S608 (fixed names)
        f"JOIN owners AS o ON o.id = s.owner_id WHERE {whose} AND s.{CLASSES[state]} "
        "AND s.day >= :first AND s.day < :last GROUP BY key ORDER BY key"
    )
    return [Summed(*row) for row in history.select(sql, values)]


def _sum(name: str) -> str:
    return f"sum(s.{name[:-2]}_ms) / 1000.0" if name.endswith("_s") else f"sum(s.{name})"
