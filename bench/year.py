"""What a year's record costs to keep, to read and to write. Usage: year.py [JOBS | DATABASE].

Makes a year (generate_year.py) of 20,000 jobs unless told otherwise, in a temporary directory, or
takes one that was made before, and writes into it. Prints bytes an event and a job, a year by user
from roll-ups against plain SQL over leases and events, one job's queries, and what 10,000 events a
second do to the agent's cycle and to a report. Exits 1 when a limit is missed; bytes a job are
judged from 100,000 jobs on: roll-ups have the days of a year, however few jobs there are.
"""

from __future__ import annotations

import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from generate_year import START, YEAR_S, generate
from hotslot.model import Event, EventResult, JobPhase, Placement
from hotslot.record.batch import Batch
from hotslot.record.history import History
from hotslot.record.store import Store
from hotslot.record.writer import Writer

EVENT_BYTES, JOB_BYTES = 40, 200
BY_USER_PART = 1 / 5
JOB_PAGE_S = 0.05
CYCLE_DELAY_S = 0.1
JUDGED_FROM = 100_000
A_SECOND = 10_000
SECONDS = 8

OF_EVENTS = ("events", "changes", "idle_events", "sqlite_autoindex_changes_1")
OF_DECISIONS = ("decisions", "decisions_lease")
NOT_OF_JOBS = (
    *(*OF_EVENTS, *OF_DECISIONS),
    *("samples", "host_ledger", "workers", "beats", "meta"),
)

# The same figures as `summed("user")`, from the leases and events themselves.
PLAIN = """
SELECT l.user, count(*), sum(l.life_s), sum(l.requested_core_s), sum(l.held_core_s),
  sum(l.used_core_s), sum(l.waited_core_s), sum(l.returned_core_s), sum(l.borrowed_core_s),
  sum(l.saturated_s), sum(e.applied), sum(e.others)
FROM lease_log AS l LEFT JOIN (
  SELECT lease_id, sum(c.result = 'applied') AS applied, sum(c.result <> 'applied') AS others
  FROM events JOIN changes AS c ON c.id = change_id GROUP BY lease_id) AS e ON e.lease_id = l.id
WHERE l.closed_at IS NOT NULL GROUP BY l.user"""


def timed(what: Callable[[], object], times: int = 1) -> float:
    """Return the median of how long it took, in s."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        what()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def sizes(history: History) -> tuple[float, float, float]:
    """Return bytes an event, a job (one lease) and a decision, indexes included."""
    tables = dict(history.select("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
    counts = {
        name: max(1, next(history.select(f"SELECT count(*) FROM {name}"))[0])
        for name in ("events", "leases", "decisions")
    }
    events = sum(tables.get(name, 0) for name in OF_EVENTS)
    jobs = sum(size for name, size in tables.items() if name not in NOT_OF_JOBS)
    print(f"{counts['leases']:,} leases, {counts['events']:,} events")
    decisions = sum(tables.get(name, 0) for name in OF_DECISIONS)
    print(f"bytes a decision: {decisions / counts['decisions']:.1f}")
    return events / counts["events"], jobs / counts["leases"], counts["leases"]


def reading(path: Path) -> list[str]:
    """Print what reading costs; return which limits were missed."""
    with History(path) as history:
        an_event, a_job, leases = sizes(history)
        print(f"bytes an event: {an_event:.1f} (limit {EVENT_BYTES})")
        print(f"bytes a job: {a_job:.1f} (limit {JOB_BYTES})")
        rolled = timed(lambda: history.summed("user"), 5)
        plain = timed(lambda: list(history.select(PLAIN)))
        print(
            f"a year by user: {rolled:.3f} s; plain SQL {plain:.2f} s, ratio {rolled / plain:.4f}"
        )
        for by in ("account", "partition", "host", "day", "cluster"):
            print(f"a year by {by}: {timed(lambda by=by: history.summed(by)):.3f} s")  # type: ignore[misc]
        overview = timed(lambda: history.overview(START, START + YEAR_S))
        print(f"overview of a year in 500 points: {overview:.3f} s")
        month = (START + YEAR_S / 2, START + YEAR_S / 2 + 30 * 86_400)
        worst = timed(lambda: history.jobs(since=month[0], until=month[1], sort="idle"))
        print(f"50 worst jobs of a month: {worst:.3f} s")
        pages = [timed(lambda job=job: page(history, job)) for job in some_jobs(history)]  # type: ignore[misc]
        print(f"one job's queries: median {statistics.median(pages) * 1e3:.1f} ms, ", end="")
        print(f"longest of {len(pages)} {max(pages) * 1e3:.1f} ms (limit {JOB_PAGE_S * 1e3:.0f})")
    print(f"memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    judged = leases >= JUDGED_FROM
    missed = {
        "bytes an event": an_event > EVENT_BYTES,
        "bytes a job": judged and a_job > JOB_BYTES,
        "a year by user": rolled > BY_USER_PART * plain,
        "one job's queries": statistics.median(pages) > JOB_PAGE_S,
    }
    return [what for what, is_missed in missed.items() if is_missed]


def some_jobs(history: History) -> list[str]:
    """Return ids of 100 jobs from all over the year."""
    ((last,),) = history.select("SELECT max(id) FROM leases")
    chance = Random(3)
    ids = [chance.randrange(1, last + 1) for _ in range(100)]
    return [lease.placement.job_id for one in ids if (lease := history.lease(one)) is not None]


def page(history: History, job: str) -> None:
    """Ask what `hotslot job` shows, with jobs like it for the suggestion."""
    for row in history.leases_of(job):
        history.events(row.lease.id)
        history.samples(row.lease.id)
        history.decisions(row.lease.id)
        history.alike(row.lease.placement.user, row.lease.placement.name)


def writing(path: Path) -> list[str]:
    """Print what many events a second do to who hands them over, and to a report meanwhile."""
    writer = Writer(Store(path))
    writer.start()
    now = time.time()
    placements = [
        Placement("slurm", f"x{n}", 0, f"w{n}", 8, JobPhase.RUNNING, user="alice")
        for n in range(64)
    ]
    leases = [writer.open_lease(one, now) for one in placements]
    alone = delays(lambda _: writer.submit(Batch(leases=tuple(leases))))
    reports: list[float] = []
    done = threading.Event()

    def report() -> None:
        with History(path) as history:
            while not done.is_set():
                reports.append(timed(lambda: history.summed("user")))
                time.sleep(0.2)

    reader = threading.Thread(target=report)
    reader.start()
    cycles = [cycle(now, second, [lease.id for lease in leases]) for second in range(SECONDS)]
    busy = delays(lambda second: writer.submit(cycles[second]))
    behind_s = timed(lambda: writer.flush(120))
    done.set()
    reader.join()
    writer.close(60)
    rate = SECONDS * A_SECOND / (SECONDS + behind_s)
    print(f"a cycle, no events: late by {max(alone) * 1e3:.1f} ms at most")
    print(f"with {A_SECOND:,} events a second: late by {max(busy) * 1e3:.1f} ms at most; ", end="")
    print(f"written {behind_s:.1f} s after the last of {SECONDS} s ({rate:,.0f} a second)")
    print(f"a year by user meanwhile: median {statistics.median(reports):.3f} s, ", end="")
    print(f"longest of {len(reports)} {max(reports):.3f} s")
    return ["the cycle"] if max(busy) > CYCLE_DELAY_S else []


def delays(work: Callable[[int], None]) -> list[float]:
    """Work once a second; return by how much each turn was over later than it began on time."""
    begin, late = time.perf_counter(), []
    for second in range(SECONDS):
        time.sleep(max(0.0, begin + second - time.perf_counter()))
        work(second)
        late.append(time.perf_counter() - begin - second)
    return late


def cycle(now: float, second: int, leases: list[int]) -> Batch:
    """Return a second's events, more than any host can bring about."""
    return Batch(
        events=tuple(
            Event(
                worker=f"w{n % 64}",
                lease_id=leases[n % 64],
                at=now + second + n / A_SECOND,
                from_vcpus=8,
                to_vcpus=4,
                got_vcpus=4,
                reason=f"4 of 8 cores would have done for {n % 300} s: {n} core-seconds idle, "
                f"worth a change from {n % 97} on",
                result=EventResult.APPLIED,
                detail="",
                detected_at=now + second - 1,
                command_s=0.1,
                online_s=None,
                took_s=0.5,
            )
            for n in range(A_SECOND)
        )
    )


def main() -> None:
    """Make or take a year, measure, and exit with what was missed."""
    given = sys.argv[1] if len(sys.argv) > 1 else "20000"
    with TemporaryDirectory() as folder:
        path = Path(given)
        if given.isdigit():
            path = Path(folder, "year.db")
            generate(path, int(given))
        missed = reading(path) + writing(path)
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
