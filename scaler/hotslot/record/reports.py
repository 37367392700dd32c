"""Questions to a year: what is asked, and the SQL that reads the roll-ups instead of the events."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import ceil, floor
from typing import Literal

DAY_S = 86_400
DAY_MS = 1000 * DAY_S

By = Literal["user", "account", "partition", "host", "scheduler", "day", "cluster"]

_KEYS: dict[By, str] = {
    "user": "o.user",
    "account": "o.account",
    "partition": "o.partition",
    "host": "o.host",
    "scheduler": "o.scheduler",
    "day": "date(d.day * 86400, 'unixepoch')",
    "cluster": "''",
}

Sort = Literal[
    "newest",
    "requested",
    "held",
    "used",
    "returned",
    "borrowed",
    "idle",
    "waited",
    "saturated",
    "efficiency",
]
"""By what jobs are ranked, the highest first; ``idle`` is held - used, ``efficiency`` used /
requested."""

_REQUESTED = "coalesce(l.requested_core_ms, l.cpus * l.life_ms)"
_RANKS: dict[Sort, str] = {
    "newest": "max(l.opened_ms)",
    "requested": f"sum({_REQUESTED})",
    "held": "sum(l.held_core_ms)",
    "used": "sum(l.used_core_ms)",
    "returned": f"sum(max(0, {_REQUESTED} - l.held_core_ms + l.borrowed_core_ms))",
    "borrowed": "sum(l.borrowed_core_ms)",
    "idle": "sum(l.held_core_ms - l.used_core_ms)",
    "waited": "sum(l.waited_core_ms)",
    "saturated": "sum(l.saturated_ms)",
    "efficiency": f"1.0 * sum(l.used_core_ms) / nullif(sum({_REQUESTED}), 0)",
}


@dataclass(frozen=True, slots=True)
class Owned:
    """Whose leases: None leaves a name open. Compared as they are, never as patterns."""

    user: str | None = None
    account: str | None = None
    partition: str | None = None
    scheduler: str | None = None
    host: str | None = None

    def condition(self, column: str) -> tuple[str, dict[str, object]]:
        """Return SQL that restricts a column of owner ids, and its values."""
        asked = {one.name: getattr(self, one.name) for one in fields(self)}
        values = {name: value for name, value in asked.items() if value is not None}
        if not values:
            return "1", {}
        names = " AND ".join(f"{name} = :{name}" for name in values)
        return f"{column} IN (SELECT id FROM owners WHERE {names})", values  # noqa: S608


ANYBODY = Owned()


@dataclass(frozen=True, slots=True)
class Summed:
    """What the leases add up to that closed on the days asked for, of one user, account and so on.

    ``key`` is the user, account …; of a day ``2026-11-21`` (UTC); '' of the cluster. ``leases``
    are runs on one worker each, ``jobs`` those of them that came first of their job. How leases
    ended adds up to ``leases``; ``otherwise`` is a word that is none of the others, or none.
    ``waits`` are jobs of which the time before their start is known, ``wait_s`` that time of all
    of them. Events are counted by the kind of their result. Sums are exact, to the core-ms.
    """

    key: str
    leases: int
    jobs: int
    completed: int
    failed: int
    cancelled: int
    timed_out: int
    lost: int
    requeued: int
    otherwise: int
    life_s: float
    requested_core_s: float
    held_core_s: float
    used_core_s: float
    waited_core_s: float
    returned_core_s: float
    borrowed_core_s: float
    saturated_s: float
    events_applied: int
    events_refused: int
    events_timed_out: int
    events_failed: int
    events_vm_gone: int
    waits: int
    wait_s: float
    lost_samples: int


def summed_sql(
    by: By, since: float | None, until: float | None, owned: Owned
) -> tuple[str, dict[str, object]]:
    """Return the query for rows of ``Summed``, by key, and its values."""
    where, values = owned.condition("d.owner_id")
    if since is not None:
        where += " AND d.day >= :first"
        values["first"] = floor(since / DAY_S)
    if until is not None:
        where += " AND d.day < :last"
        values["last"] = ceil(until / DAY_S)
    sums = ", ".join(map(_sum, (one.name for one in fields(Summed) if one.name != "key")))
    return (
        f"SELECT {_KEYS[by]} AS key, {sums} FROM daily AS d JOIN owners AS o ON o.id = d.owner_id "  # noqa: S608 (fixed names)
        f"WHERE {where} GROUP BY key ORDER BY key",
        values,
    )


def _sum(name: str) -> str:
    if name.endswith("_s"):
        return f"sum(d.{name[:-2]}_ms) / 1000.0 AS {name}"
    return f"sum(d.{name}) AS {name}"


@dataclass(frozen=True, slots=True)
class OverviewPoint:
    """What a host was like, on average, over ``span_s`` from ``at`` on; cores.

    ``requested`` by the leases of that time, ``held`` by them, ``idle``: granted to workers
    without a job, ``used`` by all workers. ``host_cores`` is what there is.
    """

    at: float
    span_s: float
    requested_cores: float
    held_cores: float
    idle_cores: float
    used_cores: float
    host_cores: float


def overview_sql(since: float, until: float, points: int) -> tuple[str, dict[str, object]]:
    """Return the query for rows of ``OverviewPoint``, oldest first, and its values.

    A minute without an agent is no part of a point; a point without a minute is left out.
    """
    first, last = 60 * floor(since / 60), 60 * ceil(until / 60)
    span = 60 * max(1, ceil((last - first) / (60 * points)))
    means = ", ".join(
        f"sum({name}_core_s) / (60.0 * count(*)) AS {name}_cores"
        for name in ("requested", "held", "idle", "used")
    )
    return (
        f"SELECT :first + (minute_at - :first) / :span * :span AS at, "  # noqa: S608 (fixed names)
        f"60.0 * count(*) AS span_s, {means}, avg(host_cores) AS host_cores FROM host_ledger "
        "WHERE minute_at >= :first AND minute_at < :last GROUP BY 1 ORDER BY 1",
        {"first": first, "last": last, "span": span},
    )


def jobs_sql(fits: str, sort: Sort, *, lowest_first: bool) -> str:
    """Return the query for the leases of the jobs of which a lease fits, ranked, at most :limit.

    A job is a family: the parts of an array or a heterogeneous job are one. Rows come in no order,
    with their job's ``rank``: SQLite is slow to sort rows that are wide.
    """
    order = f"{_RANKS[sort]} {'ASC' if lowest_first else 'DESC'} NULLS LAST, max(l.id) DESC"
    return f"""
WITH wanted AS MATERIALIZED (
  SELECT scheduler, family, row_number() OVER () AS rank FROM (
    SELECT o.scheduler, coalesce(l.array_job_id, l.het_job_id, l.job_id) AS family
    FROM leases AS l JOIN owners AS o ON o.id = l.owner_id
    WHERE {fits} GROUP BY 1, 2 ORDER BY {order} LIMIT :limit)),
parts AS MATERIALIZED (
  SELECT rank, scheduler, family, l.id FROM wanted JOIN leases AS l ON l.job_id = family
  UNION SELECT rank, scheduler, family, l.id FROM wanted
    JOIN leases AS l ON l.array_job_id = family
  UNION SELECT rank, scheduler, family, l.id FROM wanted
    JOIN leases AS l ON l.het_job_id = family)
SELECT rank, v.* FROM parts JOIN lease_log AS v ON v.id = parts.id
WHERE v.scheduler = parts.scheduler AND v.family = parts.family"""  # noqa: S608 (fixed names and conditions)
