"""A year is read from roll-ups, and jobs are ranked by what they cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builders import placement
from hotslot.model import Lease, Totals
from hotslot.record.batch import Batch, LedgerMinute
from hotslot.record.reports import By, Owned, Sort
from hotslot.record.store import Store
from record.recorded import event, lease

DAY = 86_400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "hotslot.db", host="h1") as store:
        yield store


def run(
    lease_id: int, user: str, *, day: int = 0, cpus: int = 4, used: float = 1.0, **what: str
) -> Lease:
    """100 s of a job that held all it asked for, closed 100 s into a day."""
    of = replace(placement(str(lease_id), cpus=cpus), user=user, submitted_at=day * DAY - 5, **what)
    held = cpus * 100.0
    totals = Totals(100.0, held, held, used * 100, peak_cores=used)
    return lease(lease_id, of=of, opened_at=day * DAY, closed_at=day * DAY + 100, totals=totals)


@pytest.fixture
def year(store: Store) -> Store:
    leases = (
        run(1, "alice", outcome="COMPLETED", account="physics"),
        run(2, "alice", day=1, outcome="FAILED", account="physics", used=3.0),
        run(3, "bob", day=1, outcome="CANCELLED by 7", account="physics", cpus=8),
        run(4, "bob", day=2, outcome="TIMEOUT", account="biology", partition="long", name="fold"),
    )
    store.append(Batch(leases=leases))
    return store


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("user", {"alice": 2, "bob": 2}),
        ("account", {"physics": 3, "biology": 1}),
        ("partition", {"": 3, "long": 1}),
        ("host", {"h1": 4}),
        ("scheduler", {"slurm": 4}),
        ("day", {"1970-01-01": 1, "1970-01-02": 2, "1970-01-03": 1}),
        ("cluster", {"": 4}),
    ],
)
def test_leases_are_summed_by_what_is_asked(year: Store, by: By, keys: dict[str, int]) -> None:
    assert {one.key: one.leases for one in year.summed(by)} == keys


def test_sums_are_those_of_the_leases(year: Store) -> None:
    (alice, bob) = year.summed("user")
    assert (alice.requested_core_s, alice.held_core_s, alice.used_core_s) == (800, 800, 400)
    assert (alice.completed, alice.failed, bob.cancelled, bob.timed_out) == (1, 1, 1, 1)
    assert (bob.waits, bob.wait_s) == (2, 10)


def test_sums_are_of_whole_days_and_of_whom_was_asked(year: Store) -> None:
    assert [s.leases for s in year.summed("cluster", since=DAY + 50, until=2 * DAY)] == [2]
    assert [s.leases for s in year.summed("cluster", owned=Owned(user="bob"))] == [2]
    assert year.summed("cluster", owned=Owned(user="bob' OR '1'='1")) == []


def test_events_that_come_after_the_end_are_in_the_sums(year: Store) -> None:
    year.append(Batch(events=(event(1, at=3.0), event(1, at=4.0))))
    year.append(Batch(events=(event(1, at=3.0),)))
    assert [s.events_applied for s in year.summed("user")] == [2, 0]


@pytest.mark.parametrize(
    ("sort", "lowest_first", "found"),
    [
        ("newest", False, [4, 3, 2, 1]),
        ("requested", False, [3, 4, 2, 1]),
        ("used", False, [2, 4, 3, 1]),
        ("efficiency", True, [3, 4, 1, 2]),
        ("idle", False, [3, 4, 1, 2]),
    ],
)
def test_jobs_are_ranked(year: Store, sort: Sort, lowest_first: bool, found: list[int]) -> None:
    rows = year.jobs(sort=sort, lowest_first=lowest_first)
    assert [row.lease.id for row in rows] == found


def test_jobs_are_those_of_an_account_and_a_partition(year: Store) -> None:
    assert [row.lease.id for row in year.jobs(account="physics", user="bob")] == [3]
    assert [row.lease.id for row in year.jobs(partition="long")] == [4]


def test_jobs_alike_are_the_last_of_a_user_and_name(year: Store) -> None:
    assert [row.lease.id for row in year.alike("alice", "train")] == [1, 2]
    assert [row.lease.id for row in year.alike("alice", "train", limit=1)] == [2]
    assert year.alike("alice", "fold") == []
    assert year.names() == [("alice", "train"), ("bob", "fold"), ("bob", "train")]
    assert year.names("alice") == [("alice", "train")]


def test_the_overview_is_the_ledger_in_means(store: Store) -> None:
    minutes = [
        LedgerMinute(60 * n, 120.0, 120.0, 30.0, 16, requested_core_s=240.0, idle_core_s=60.0)
        for n in range(10)
    ]
    store.append(Batch(ledger=tuple(minutes)))
    points = store.overview(0, 600, points=5)
    assert [point.at for point in points] == [0, 120, 240, 360, 480]
    (first, *_) = points
    assert (first.requested_cores, first.held_cores, first.idle_cores) == (4, 2, 1)
    assert (first.used_cores, first.host_cores, first.span_s) == (0.5, 16, 120)
    assert len(store.overview(0, 600)) == 10
    assert store.overview(6000, 6600) == []


def test_a_job_is_counted_once_and_an_id_that_is_given_out_again_is_another(store: Store) -> None:
    def part(
        lease_id: int, worker: str = "w1", *, run_: int = 0, submitted_at: float = 50.0
    ) -> Lease:
        of = replace(placement("9", worker, run=run_), submitted_at=submitted_at)
        return replace(run(lease_id, "alice"), placement=of)

    requeued = part(3, run_=1, submitted_at=80.0)
    store.append(Batch(leases=(part(1), part(2, "w2"), requeued)))
    assert [(s.leases, s.jobs) for s in store.summed("user")] == [(3, 1)]
    store.append(Batch(leases=(part(4, submitted_at=9e6),)))
    assert [(s.leases, s.jobs) for s in store.summed("user")] == [(4, 2)]
