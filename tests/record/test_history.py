"""Jobs are found by what a user would type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builders import placement
from hotslot.model import Lease, Placement
from hotslot.record.batch import Batch
from hotslot.record.store import Store
from record.recorded import lease


def ended(one: Lease, at: float, outcome: str) -> Lease:
    lease_of_job = replace(one, placement=replace(one.placement, outcome=outcome))
    return lease(one.id, of=lease_of_job.placement, opened_at=one.opened_at, closed_at=at)


def part(job_id: str, worker: str = "w1", **what: str) -> Placement:
    return replace(placement(job_id, worker), **what)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "hotslot.db") as store:
        yield store


@pytest.fixture
def busy(store: Store) -> Store:
    """Five jobs: two that ended, an array of two, a job on two workers, a requeued one."""
    leases = (
        ended(lease(1, of=part("10", user="alice"), opened_at=100.0), 150.0, "COMPLETED"),
        ended(lease(2, of=part("11", user="bob"), opened_at=200.0), 250.0, "CANCELLED by 7"),
        lease(3, of=part("21", array_job_id="20", array_task_id="1"), opened_at=300.0),
        lease(4, of=part("22", "w2", array_job_id="20", array_task_id="2"), opened_at=301.0),
        lease(5, of=part("30", "w3"), opened_at=400.0),
        lease(6, of=part("30", "w4"), opened_at=400.0),
        ended(lease(7, of=part("40", "w5"), opened_at=90.0), 95.0, "NODE_FAIL"),
        lease(8, of=replace(part("40", "w5"), run=1), opened_at=500.0),
    )
    store.append(Batch(leases=leases))
    return store


def ids(store: Store, **asked: object) -> list[int]:
    return [row.lease.id for row in store.jobs(**asked)]  # type: ignore[arg-type]


def test_jobs_come_newest_first_with_their_parts_together(busy: Store) -> None:
    assert ids(busy) == [7, 8, 5, 6, 3, 4, 2, 1]


def test_a_limit_counts_jobs_not_parts(busy: Store) -> None:
    assert ids(busy, limit=3) == [7, 8, 5, 6, 3, 4]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"user": "bob"}, [2]),
        ({"user": "bob' OR '1'='1"}, []),
        ({"state": "running"}, [7, 8, 5, 6, 3, 4]),
        ({"state": "cancelled"}, [2]),
        ({"state": "%"}, []),
        ({"since": 150.0, "until": 300.0}, [2]),
        ({"since": 149.0, "until": 201.0}, [2, 1]),
        ({"until": 100.0}, [7, 8]),
        ({"user": "alice", "state": "completed"}, [1]),
    ],
)
def test_jobs_are_filtered(busy: Store, asked: dict[str, object], found: list[int]) -> None:
    assert ids(busy, **asked) == found


@pytest.mark.parametrize(
    ("job", "found"),
    [
        ("30", [5, 6]),
        ("20", [3, 4]),
        ("20_2", [4]),
        ("22", [4]),
        ("40", [7, 8]),
        ("20_9", []),
        ("99", []),
        ("", []),
        ("' OR 1 --", []),
    ],
)
def test_a_job_is_found_by_what_a_user_calls_it(busy: Store, job: str, found: list[int]) -> None:
    assert [row.lease.id for row in busy.leases_of(job)] == found


@pytest.mark.parametrize(
    ("job", "found"),
    [
        ("10", [1]),
        ("60.0@s1", [2]),
        ("60.0", [2, 3]),
        ("60", [2, 3]),
        ("70", [4, 5]),
        ("70.1", [5]),
        ("7", []),
        ("6", []),
        ("60.0@s", []),
    ],
)
def test_a_job_of_a_schedd_is_found_without_naming_the_schedd(
    store: Store, job: str, found: list[int]
) -> None:
    several = {"array_job_id": "70@s1"}
    leases = (
        lease(1, of=part("10")),
        lease(2, of=part("60.0@s1", "w2"), opened_at=2.0),
        lease(3, of=part("60.0@s2", "w3"), opened_at=3.0),
        lease(4, of=part("70.0@s1", "w4", **several, array_task_id="0"), opened_at=4.0),
        lease(5, of=part("70.1@s1", "w5", **several, array_task_id="1"), opened_at=5.0),
    )
    store.append(Batch(leases=leases))
    assert [row.lease.id for row in store.leases_of(job)] == found


def test_the_parts_of_a_heterogeneous_job_are_one_job(store: Store) -> None:
    leases = (
        lease(1, of=part("50", "w1", het_job_id="50")),
        lease(2, of=part("51", "w2", het_job_id="50")),
    )
    store.append(Batch(leases=leases))
    assert [row.lease.id for row in store.leases_of("50")] == [1, 2]
    assert ids(store, limit=1) == [1, 2]


def test_the_last_closed_leases_come_oldest_first(busy: Store) -> None:
    assert [one.id for one in busy.closed_leases(2)] == [1, 2]


def test_an_unknown_lease_is_none(store: Store) -> None:
    assert store.lease(7) is None
    assert store.last_lease_id() == 0
