"""A year of a busy host, made up: jobs, their events, the ledger, a month of decisions.

Usage: generate_year.py DATABASE [JOBS [EVENTS_A_JOB]]. The same numbers make the same year. Jobs
come on 64 workers, of users and names of which few are frequent; a third are array tasks, some
are on several workers. Reasons are those of the default policy, numbers and all. Leases are opened
and closed through the store; events go into its tables directly, in the order in which an agent
writes them, since making 20 million of them by the store alone would take most of an hour.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from random import Random

from hotslot.model import CloseReason, EventResult, JobPhase, Lease, Placement, Totals
from hotslot.record.batch import Batch, LedgerMinute
from hotslot.record.database import transaction
from hotslot.record.history import SAMPLES_PRUNED
from hotslot.record.store import Store

START = 1_735_689_600
YEAR_S = 365 * 86_400
DECISIONS_KEPT_S = 30 * 86_400
WORKERS = 64
HOST_CORES = 512
ENDINGS = ("COMPLETED",) * 85 + ("FAILED",) * 7 + ("TIMEOUT",) * 4 + ("CANCELLED by 1000",) * 4
RESULTS = (EventResult.APPLIED.value,) * 96 + (
    EventResult.GUEST_SILENT.value,
    EventResult.GUEST_REFUSED.value,
    EventResult.PLUG_LOST.value,
    EventResult.ALREADY_SO.value,
)

What = tuple[int, int, int, str, str]
"""From, to and got vCPUs, the reason with marks for its numbers, the result."""


@dataclass(slots=True)
class Hour:
    """What happens within one: ``events`` are (lease, ms after it opened, what, numbers)."""

    opened: list[Lease] = field(default_factory=list)
    closed: list[Lease] = field(default_factory=list)
    events: list[tuple[int, int, What, tuple[int | None, ...]]] = field(default_factory=list)
    core_s: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])


class Year:
    """Makes hours, in the order of time."""

    def __init__(self, jobs: int, events_a_job: float, seed: int = 1) -> None:
        self._random = Random(seed)
        self._left = jobs
        self._events_a_job = events_a_job
        self._life_s = YEAR_S * WORKERS / jobs * 0.9
        self._users = [f"user{n:03}" for n in range(200)]
        self._user_weights = list(accumulate(1 / (1 + n) for n in range(200)))
        self._names = [f"{what}-{n}" for n in range(600) for what in ("train", "align", "sim")]
        self._name_weights = list(accumulate(1 / (1 + n) for n in range(1800)))
        self._job_id, self._array, self._lease_id = 1_000_000, (0, 0), 0
        self._free_at = [float(START)] * WORKERS
        self._hours: dict[int, Hour] = {}

    def hours(self) -> Iterator[tuple[int, Hour]]:
        """Yield each hour that something happens in, with its number."""
        now = 0
        while self._left > 0:
            begin = min(self._free_at)
            for hour in range(now, int(begin - START) // 3600):
                yield hour, self._hours.pop(hour, Hour())
            now = max(now, int(begin - START) // 3600)
            self._put_job(begin)
        for hour in sorted(self._hours):
            yield hour, self._hours[hour]

    def _put_job(self, begin: float) -> None:
        random = self._random
        self._left -= 1
        placement = self._placement(begin)
        parts = 1 if random.random() < 0.97 else random.randrange(2, 5)
        life_s = max(2.0, random.expovariate(1 / self._life_s))
        for worker in sorted(range(WORKERS), key=self._free_at.__getitem__)[:parts]:
            opened_at = round(max(begin, self._free_at[worker]), 3)
            of = replace(placement, worker=f"n1-w{worker}")
            self._put_lease(of, opened_at, round(life_s, 3))
            self._free_at[worker] = opened_at + life_s + random.uniform(0, 60)

    def _placement(self, begin: float) -> Placement:
        random = self._random
        self._job_id += 1
        array, left = self._array
        if not left and random.random() < 0.02:
            array, left = self._job_id, random.randrange(5, 40)
        self._array = (array, max(0, left - 1))
        number = random.choices(range(200), cum_weights=self._user_weights)[0]
        return Placement(
            scheduler="slurm",
            job_id=str(self._job_id),
            run=0,
            worker="",
            cpus=random.choice((2, 4, 4, 8, 8, 8, 16)),
            phase=JobPhase.RUNNING,
            user=self._users[number],
            account=f"group{number % 23}",
            partition=("short", "long")[number % 2],
            name=random.choices(self._names, cum_weights=self._name_weights)[0],
            array_job_id=str(array) if left else "",
            array_task_id=str(left) if left else "",
            submitted_at=round(begin - random.expovariate(1 / 1800), 3),
            started_at=round(begin + random.uniform(0.3, 3), 3),
            time_limit_s=random.choice((3600.0, 14_400.0, 86_400.0)),
        )

    def _put_lease(self, of: Placement, opened_at: float, life_s: float) -> None:
        random = self._random
        self._lease_id += 1
        closed_at = round(opened_at + life_s, 3)
        requested = of.cpus * life_s
        held = requested * random.uniform(0.3, 1.0)
        used = held * random.uniform(0.2, 0.99)
        totals = Totals(
            life_s,
            requested,
            held,
            used,
            waited_core_s=used * 0.01 * random.random(),
            peak_cores=of.cpus * random.uniform(0.5, 1),
            saturated_s=random.choice((0.0, life_s * 0.01 * random.random())),
        )
        outcome = random.choice(ENDINGS)
        ended = replace(
            of,
            phase=JobPhase.ENDED,
            outcome=outcome,
            exit_code="0:0" if outcome == "COMPLETED" else "1:0",
            ended_at=round(closed_at - random.uniform(0, 2), 3),
        )
        self._hour(opened_at).opened.append(Lease(self._lease_id, of, opened_at))
        closed = Lease(self._lease_id, ended, opened_at, closed_at, CloseReason.ENDED, totals)
        self._hour(closed_at).closed.append(closed)
        self._spread(opened_at, closed_at, (requested, held, used))
        self._put_events(self._lease_id, of, opened_at, life_s)

    def _spread(self, opened_at: float, closed_at: float, amounts: tuple[float, ...]) -> None:
        for hour in range(int(opened_at - START) // 3600, int(closed_at - START) // 3600 + 1):
            begin = START + 3600 * hour
            share = (min(closed_at, begin + 3600) - max(opened_at, begin)) / (closed_at - opened_at)
            core_s = self._hour(begin).core_s
            for place, amount in enumerate(amounts):
                core_s[place] += amount * share

    def _hour(self, at: float) -> Hour:
        return self._hours.setdefault(int(at - START) // 3600, Hour())

    def _put_events(self, lease_id: int, of: Placement, opened_at: float, life_s: float) -> None:
        random, uniform, cpus = self._random, self._random.uniform, of.cpus
        count = max(1, round(random.expovariate(1 / self._events_a_job)))
        has, a, b, c = 1, int(of.job_id), None, None
        want, reason = cpus, "job ⟨a⟩ starts; its request"
        for number in range(count):
            after_s = life_s * (number + random.random()) / count if number else 0.01
            if number and has < cpus:
                want, a, b, c = cpus, max(0, round(10 * (has - uniform(0, 0.2)))), None, None
                reason = (
                    f"saturated: ⟨a.⟩ of {has} cores wanted; back to the request of {cpus}"
                    if cpus < 10
                    else f"saturated: ⟨a.⟩ of {has} cores wanted; back to the request of ⟨b⟩"
                )
                b = cpus if cpus >= 10 else None
            elif number:
                want = random.randrange(1, cpus)
                a, b, c = int(uniform(20, 400)), int(uniform(50, 5000)), int(uniform(30, 600))
                reason = (
                    f"{want} of {has} cores would have done for ⟨a⟩ s: ⟨b⟩ core-seconds idle, "
                    "worth a change from ⟨c⟩ on"
                )
            result = random.choice(RESULTS)
            got = want if result == "applied" else has
            numbers = (
                *(a, b, c, int(uniform(1000, 1300)), int(uniform(20, 500))),
                int(uniform(200, 1500)) if want > has else None,
                int(uniform(200, 2500)),
            )
            what = (has, want, got, reason, result)
            event = (lease_id, int(after_s * 1000), what, numbers)
            self._hour(opened_at + after_s).events.append(event)
            has = got


class Tables:
    """Writes hours into a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._db = store._db
        self._ids: dict[What, tuple[int, int]] = {}
        self._opened: dict[int, Lease] = {}
        self._workers: dict[str, int] = {}
        self.leases = self.events = self.decisions = 0

    def put(self, number: int, hour: Hour) -> None:
        """Write an hour: what begins, what happens, what ends."""
        self._store.append(Batch(leases=tuple(hour.opened)))
        self._opened |= {lease.id: lease for lease in hour.opened}
        begin = START + 3600 * number
        with transaction(self._db):
            rows = [
                (lease_id, after_ms, self._id(what)[0], *numbers)
                for lease_id, after_ms, what, numbers in sorted(
                    hour.events, key=lambda one: self._at_ms(one[0], one[1])
                )
            ]
            self._db.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                rows,
            )
            if begin > START + YEAR_S - DECISIONS_KEPT_S:
                self._decide(hour)
        hour.closed.sort(key=lambda lease: lease.closed_at or 0.0)
        self._store.append(Batch(leases=tuple(hour.closed), ledger=_minutes(begin, hour.core_s)))
        for lease in hour.closed:
            del self._opened[lease.id]
        self.leases += len(hour.closed)
        self.events += len(rows)

    def _decide(self, hour: Hour) -> None:
        """Write the decisions that led to the hour's events, a tenth of a second before each."""
        for lease_id, after_ms, what, (a, b, c, detected, *_) in hour.events:
            worker = self._worker(self._opened[lease_id].placement.worker)
            at_ms = self._at_ms(lease_id, after_ms) - 100
            before = (detected or 0) - 100
            row = (worker, at_ms, lease_id, what[0], what[1], self._id(what)[1], a, b, c, before)
            self._db.execute(
                "INSERT OR IGNORE INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row
            )
            self.decisions += 1

    def _at_ms(self, lease_id: int, after_ms: int) -> int:
        return round(self._opened[lease_id].opened_at * 1000) + after_ms

    def _id(self, what: What) -> tuple[int, int]:
        """Return the ids of a change and of its reason, made if they are new."""
        if what not in self._ids:
            *vcpus, reason, result = what
            detail = "" if result == "applied" else result
            words = [self._word(reason), self._word(detail)]
            row = (*vcpus, words[0], result, words[1])
            cursor = self._db.execute(
                "INSERT INTO changes (from_vcpus, to_vcpus, got_vcpus, reason_id, result,"
                " detail_id) VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )
            self._ids[what] = (int(cursor.lastrowid), words[0])
        return self._ids[what]

    def _worker(self, name: str) -> int:
        if name not in self._workers:
            self._workers[name] = self._word(name)
        return self._workers[name]

    def _word(self, text: str) -> int:
        self._db.execute("INSERT OR IGNORE INTO words (text) VALUES (?)", (text,))
        row = self._db.execute("SELECT id FROM words WHERE text = ?", (text,)).fetchone()
        return int(row[0])


def _minutes(begin: int, core_s: list[float]) -> tuple[LedgerMinute, ...]:
    requested, held, used = (one / 60 for one in core_s)
    span_s, idle = 60.0 * WORKERS, 60.0
    return tuple(
        LedgerMinute(begin + 60 * n, span_s, held, used, HOST_CORES, requested, idle)
        for n in range(60)
    )


def generate(
    path: Path, jobs: int, events_a_job: float = 20.0, tell: Callable[[str], None] = print
) -> Tables:
    """Write a year into a new database; say now and then how far it is."""
    told = time.monotonic()
    with Store(path, host="n1") as store:
        store._db.execute("PRAGMA synchronous = OFF")
        tables = Tables(store)
        for number, hour in Year(jobs, events_a_job).hours():
            tables.put(number, hour)
            if time.monotonic() - told > 20:
                told = time.monotonic()
                tell(f"{tables.leases:,} leases, {tables.events:,} events")
        store._db.execute("UPDATE leases SET thinned = 2")
        store._db.execute("INSERT INTO meta VALUES (?, '99999')", (SAMPLES_PRUNED,))
    return tables


if __name__ == "__main__":
    given = sys.argv[1:]
    made = generate(Path(given[0]), *(int(one) for one in given[1:]))
    print(f"{made.leases:,} leases, {made.events:,} events, {made.decisions:,} decisions")
