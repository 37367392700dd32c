"""Leases open once, close once, and follow the scheduler's words."""

from __future__ import annotations

from dataclasses import astuple, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import placement, sample
from hotslot.leases import LeaseBook
from hotslot.model import CloseReason, JobPhase, Lease, Placement


class MemoryLedger:
    """Keeps leases in a dict."""

    def __init__(self) -> None:
        self.leases: dict[tuple[str, str, int, str], Lease] = {}

    def open_lease(self, placement: Placement, at: float) -> Lease:
        lease = Lease(id=len(self.leases) + 1, placement=placement, opened_at=at)
        return self.leases.setdefault(placement.key, lease)

    def close_lease(self, lease: Lease) -> None:
        assert self.leases[lease.placement.key].closed_at is None, "closed twice"
        self.leases[lease.placement.key] = lease


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def book(ledger: MemoryLedger) -> LeaseBook:
    return LeaseBook(ledger)


def opened(book: LeaseBook, what: Placement, at: float = 100.0) -> Lease:
    lease = book.open(what, at)
    assert lease is not None
    return lease


def test_opening_twice_is_opening_once(book: LeaseBook, ledger: MemoryLedger) -> None:
    first = opened(book, placement(), 100)
    assert opened(book, placement(), 105).id == first.id
    assert len(ledger.leases) == 1


def test_closing_twice_is_closing_once(book: LeaseBook) -> None:
    lease = opened(book, placement())
    book.close(lease, 130, CloseReason.ENDED)
    book.close(lease, 140, CloseReason.LOST)
    assert book.on("w1") is None


def test_a_late_hook_does_not_reopen_a_closed_run(book: LeaseBook) -> None:
    book.close(opened(book, placement()), 130, CloseReason.ENDED)
    assert book.open(placement(), 131) is None
    assert book.on("w1") is None


def test_a_stale_close_leaves_the_next_job_alone(book: LeaseBook) -> None:
    old = opened(book, placement("1"))
    new = opened(book, placement("2"), 110)
    book.close(old, 120, CloseReason.ENDED)
    assert book.on("w1") == new


def test_a_new_job_on_the_worker_closes_the_old_lease(
    book: LeaseBook, ledger: MemoryLedger
) -> None:
    old = opened(book, placement("1"))
    opened(book, placement("2"), 110)
    assert ledger.leases[old.placement.key].close_reason is CloseReason.REPLACED


def test_a_later_run_of_the_same_job_is_a_new_lease(book: LeaseBook, ledger: MemoryLedger) -> None:
    first = opened(book, placement(run=0))
    second = opened(book, placement(run=1), 150)
    assert second.id != first.id
    assert ledger.leases[first.placement.key].close_reason is CloseReason.REQUEUED


def test_an_outcome_is_kept_at_closing(book: LeaseBook) -> None:
    last = placement(phase=JobPhase.ENDED, outcome="TIMEOUT")
    closed = book.close(opened(book, placement()), 130, CloseReason.ENDED, last)
    assert closed.placement.outcome == "TIMEOUT"
    assert closed.placement.phase is JobPhase.ENDED


def test_a_lease_never_ends_before_it_began(book: LeaseBook) -> None:
    closed = book.close(opened(book, placement(), 100), 90, CloseReason.ENDED)
    assert closed.closed_at == 100


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([], CloseReason.ENDED),
        ([placement(phase=JobPhase.RUNNING)], None),
        ([placement(phase=JobPhase.SUSPENDED)], None),
        ([placement(phase=JobPhase.ENDING)], None),
        ([placement(phase=JobPhase.ENDED)], CloseReason.ENDED),
        ([placement(worker="w2")], CloseReason.ENDED),
        ([placement(worker="", run=1, phase=JobPhase.PENDING)], CloseReason.REQUEUED),
        ([placement(run=1, phase=JobPhase.ENDING)], CloseReason.REQUEUED),
        ([placement("99")], CloseReason.ENDED),
    ],
)
def test_the_scheduler_says_whether_a_lease_is_over(
    book: LeaseBook, found: list[Placement], reason: CloseReason | None
) -> None:
    assert book.ended(opened(book, placement()), found) is reason


def test_samples_add_up_on_the_lease_of_their_worker(book: LeaseBook) -> None:
    opened(book, placement())
    assert book.add("w2", sample()) is None
    for second in range(10):
        book.add("w1", sample(100 + second, granted=2, used=1.5))
    lease = book.on("w1")
    assert lease is not None
    assert (lease.totals.held_core_s, lease.totals.used_core_s) == (20, 15)


@given(st.lists(st.tuples(st.sampled_from("oc"), st.integers(1, 3), st.integers(0, 2))))
def test_at_most_one_lease_a_worker_and_each_closed_once(steps: list[tuple[str, int, int]]) -> None:
    ledger = MemoryLedger()
    book = LeaseBook(ledger)
    for at, (what, job, run) in enumerate(steps):
        if what == "o":
            book.open(placement(str(job), run=run), at)
        elif (lease := book.on("w1")) is not None:
            book.close(lease, at, CloseReason.ENDED)
    still_open = [lease for lease in ledger.leases.values() if lease.closed_at is None]
    assert [lease.id for lease in still_open] == [lease.id for lease in book.all()]
    assert len(still_open) <= 1
    assert all(astuple(lease) for lease in still_open)


def test_a_later_run_tells_how_this_one_ended_and_nothing_else_of_it(book: LeaseBook) -> None:
    first = opened(book, placement())
    again = replace(placement(run=1, worker="w2"), started_at=19.0, before="EVICTED")
    closed = book.close(first, 120, CloseReason.REQUEUED, again)
    assert closed.placement == replace(first.placement, phase=JobPhase.ENDED, outcome="EVICTED")


def test_who_takes_a_jobs_place_says_how_it_ended_only_if_it_is_the_same_job(
    book: LeaseBook, ledger: MemoryLedger
) -> None:
    opened(book, placement("1"))
    opened(book, replace(placement("1", run=1), before="REQUEUED"), 150)
    opened(book, replace(placement("2"), before="REQUEUED"), 160)
    assert [kept.placement.outcome for kept in ledger.leases.values()] == ["REQUEUED", "", ""]
