"""Is the record right? Its parts are added up in two ways each, and compared.

All is read at one moment, while the agent may go on writing. Amounts kept as whole core-ms are
compared exactly, those from samples, which are rounded one by one, to TOLERANCE.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from hotslot.model import Finding, Level
from hotslot.record.history import LEASES_PRUNED, SAMPLES_PRUNED, History
from hotslot.record.reports import DAY_MS
from hotslot.record.rollups import SUMS

TOLERANCE = 0.001
"""Of the larger amount."""

SLACK_CORE_S = 1.0
"""Amounts that differ by less than this are the same."""

MOST_NAMED = 5
"""So many of what differs are named."""

CHUNK = 1000
"""Leases compared with their samples at once."""


Tell = Callable[[str], None]


def verify(history: History, tell: Tell = lambda _: None) -> list[Finding]:
    """Return what was compared and how it came out; ``tell`` hears what is being looked at."""
    with history.at_one_moment():
        tell("the file")
        found = [_integrity(history), _references(history)]
        tell("leases and ledger")
        found.append(_in_all(history))
        tell("leases and ledger, day by day")
        found.append(_by_day(history))
        found.append(_samples(history, tell))
        tell("events")
        found.append(_events(history))
        tell("roll-ups")
        found.append(_roll_ups(history))
    return found


def _integrity(history: History) -> Finding:
    told = [row[0] for row in history.select(f"PRAGMA integrity_check({MOST_NAMED})")]
    remedy = "start hotslotd again: it sets the file aside and begins a new one"
    return _finding("file", "whole", [] if told == ["ok"] else told, remedy)


def _references(history: History) -> Finding:
    broken = [
        f"row {row} of {table} refers to no row of {parent}"
        for table, row, parent, _ in history.select("PRAGMA foreign_key_check")
    ]
    return _finding("references", "each row is there that another one names", broken)


def _in_all(history: History) -> Finding:
    """Held by all leases that ever were, with those that are open, and by the ledger."""
    ((closed,),) = history.select("SELECT coalesce(sum(held_core_ms), 0) FROM daily")
    ((still,),) = history.select(
        "SELECT coalesce(sum(held_core_ms), 0) FROM leases WHERE closed_ms IS NULL"
    )
    ((ledger, idle),) = history.select(
        "SELECT coalesce(sum(held_core_s), 0), coalesce(sum(idle_core_s), 0) FROM host_ledger"
    )
    leases = (closed + still) / 1000
    words = f"leases held {_hours(leases)}, the host's ledger says {_hours(ledger)}"
    wrong = [] if _same(leases, ledger) else [f"{words}: {_off(leases, ledger)}"]
    return _finding(
        "held by leases and ledger",
        f"{words}; {_hours(idle)} more had no job",
        wrong,
        "time in which a worker could not be measured is in the ledger alone: see the agent's log",
    )


def _by_day(history: History) -> Finding:
    """The same for each UTC day of which all samples are there, each split at midnight."""
    first = int(history.fact(SAMPLES_PRUNED) or -(10**9))
    held: dict[int, float] = defaultdict(float)
    for day, core_s in history.select(
        "SELECT (l.opened_ms + s.after_ms) / 86400000, "
        "sum(s.held_mcores * s.interval_us) / 1e9 FROM samples AS s "
        "JOIN leases AS l ON l.id = s.lease_id "
        "WHERE (l.opened_ms + s.after_ms) % 86400000 >= s.interval_us / 1000 GROUP BY 1"
    ):
        held[day] += core_s
    for end_ms, interval_us, mcores in history.select(
        "SELECT l.opened_ms + s.after_ms, s.interval_us, s.held_mcores FROM samples AS s "
        "JOIN leases AS l ON l.id = s.lease_id "
        "WHERE (l.opened_ms + s.after_ms) % 86400000 < s.interval_us / 1000"
    ):
        for day, seconds in _days(end_ms, interval_us / 1000):
            held[day] += mcores / 1000 * seconds
    ledger = dict(
        history.select(
            "SELECT minute_at / 86400, sum(held_core_s) FROM host_ledger GROUP BY 1",
        )
    )
    lost = {
        day
        for opened, closed in history.select(
            "SELECT opened_ms, coalesce(closed_ms, opened_ms + life_ms) FROM leases "
            "WHERE lost_samples > 0"
        )
        for day in range(opened // DAY_MS, closed // DAY_MS + 1)
    }
    days = sorted(day for day in held.keys() | ledger.keys() if day >= first and day not in lost)
    wrong = [
        f"{_date(day)}: samples {_hours(held[day])}, ledger {_hours(ledger.get(day, 0.0))}: "
        f"{_off(held[day], ledger.get(day, 0.0))}"
        for day in days
        if not _same(held[day], ledger.get(day, 0.0))
    ]
    left_out = f", {len(lost)} left out for lost samples" if lost else ""
    return _finding(
        "held by samples and ledger, each day",
        f"{len(days)} days agree to {TOLERANCE:.1%}{left_out}",
        wrong,
    )


def _days(end_ms: float, span_ms: float) -> Iterator[tuple[int, float]]:
    """Yield the days that an interval touches, and the seconds of each."""
    begin_ms = end_ms - span_ms
    for day in range(int(begin_ms // DAY_MS), int(end_ms // DAY_MS) + 1):
        seconds = (min(end_ms, (day + 1) * DAY_MS) - max(begin_ms, day * DAY_MS)) / 1000
        if seconds > 0:
            yield day, seconds


def _samples(history: History, tell: Tell) -> Finding:
    """Held, used and waited of each lease, and what its samples add up to."""
    ((last,),) = history.select("SELECT coalesce(max(id), 0) FROM leases")
    wrong: list[str] = []
    compared = 0
    for first in range(1, last + 1, CHUNK):
        tell(f"samples: {first / last:.0%} of the leases")
        for lease_id, life_ms, *amounts in history.select(
            "SELECT l.id, l.life_ms, l.held_core_ms, sum(s.held_mcores * s.interval_us) / 1e6, "
            "l.used_core_ms, sum(s.used_mcores * s.interval_us) / 1e6, "
            "l.waited_core_ms, sum(s.waited_mcores * s.interval_us) / 1e6 "
            "FROM leases AS l LEFT JOIN samples AS s ON s.lease_id = l.id "
            "WHERE l.id BETWEEN ? AND ? AND l.thinned < 2 AND l.lost_samples = 0 GROUP BY l.id",
            (first, first + CHUNK - 1),
        ):
            compared += 1
            slack_ms = 10 + life_ms / 1000  # half a thousandth of a core, and some
            pairs = zip(("held", "used", "waited"), amounts[::2], amounts[1::2], strict=True)
            wrong += [
                f"lease {lease_id}: {name} {total / 1000:,.3f} core-s, "
                f"its samples {(sampled or 0) / 1000:,.3f}"
                for name, total, sampled in pairs
                if abs(total - (sampled or 0)) > max(slack_ms, TOLERANCE * total)
            ]
    return _finding("totals and samples", f"{compared} leases agree", wrong)


def _events(history: History) -> Finding:
    """How many events each lease has counted when it closed, and how many there are."""
    wrong = [
        f"lease {lease_id}: counted {counted} events, there are {there}"
        for lease_id, counted, there in history.select(
            "SELECT l.id, l.applied + l.refused + l.timed_out + l.failed + l.vm_gone, e.there "
            "FROM leases AS l JOIN (SELECT lease_id, count(*) AS there FROM events "
            "GROUP BY lease_id) AS e ON e.lease_id = l.id WHERE l.closed_ms IS NOT NULL AND "
            "l.applied + l.refused + l.timed_out + l.failed + l.vm_gone <> e.there"
        )
    ]
    wrong += [
        f"lease {lease_id}: counted {counted} events, there are none"
        for lease_id, counted in history.select(
            "SELECT id, applied + refused + timed_out + failed + vm_gone AS counted FROM leases "
            "WHERE closed_ms >= ? AND counted > 0 "
            "AND NOT EXISTS (SELECT 1 FROM events WHERE lease_id = leases.id)",
            (int(history.fact(LEASES_PRUNED) or -(10**9)) * DAY_MS,),
        )
    ]
    return _finding("events", "each lease counted its own", wrong)


def _roll_ups(history: History) -> Finding:
    """Each row of ``daily``, and the exact sum over the leases it is for."""
    first = int(history.fact(LEASES_PRUNED) or -(10**9))
    names = ", ".join(SUMS)
    sums = ", ".join(f"sum({name})" for name in SUMS)
    kept = {
        (day, owner): tuple(amounts)
        for day, owner, *amounts in history.select(
            f"SELECT day, owner_id, {names} FROM daily WHERE day >= ?",  # noqa: S608 (names)
            (first,),
        )
    }
    added = {
        (day, owner): tuple(amounts)
        for day, owner, *amounts in history.select(
            f"SELECT day, owner_id, {sums} FROM shares WHERE day >= ? GROUP BY 1, 2",  # noqa: S608
            (first,),
        )
    }
    nothing = (0,) * len(SUMS)
    owners = {
        owner: " ".join(filter(None, names))
        for owner, *names in history.select("SELECT id, user, account, partition FROM owners")
    }
    wrong = [
        f"{_date(day)}, {owners.get(owner, owner)}: {name} {was}, the leases add up to {now}"
        for day, owner in sorted(kept.keys() | added.keys())
        for name, was, now in zip(
            SUMS, kept.get((day, owner), nothing), added.get((day, owner), nothing), strict=True
        )
        if was != now
    ]
    return _finding("roll-ups and leases", f"{len(kept)} roll-ups agree exactly", wrong)


def _finding(subject: str, right: str, wrong: list[str], remedy: str = "") -> Finding:
    if not wrong:
        return Finding(subject, Level.OK, right)
    more = len(wrong) - MOST_NAMED
    named = "; ".join(wrong[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
    return Finding(subject, Level.WRONG, named, remedy)


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= max(SLACK_CORE_S, TOLERANCE * max(abs(one), abs(other)))


def _off(one: float, other: float) -> str:
    return f"{abs(one - other) / max(abs(one), abs(other), 1e-9):.2%} apart"


def _hours(core_s: float) -> str:
    return f"{core_s / 3600:,.3f} core-h"


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")
