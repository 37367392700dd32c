"""What waits is merged, bounded, and never loses an event or the end of a lease."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot.record.backlog import Backlog
from hotslot.record.batch import Batch, Beat, LedgerMinute
from record.recorded import closed, event, lease, seconds, worker_state


def filled(*batches: Batch, bound: int = 1000) -> Backlog:
    backlog = Backlog(bound)
    for now, batch in enumerate(batches):
        backlog.add(batch, float(now))
    return backlog


def test_only_the_latest_of_a_lease_a_worker_and_a_beat_waits() -> None:
    older = Batch((lease(),), workers=(worker_state(1.0),), beats=(Beat(1.0, 2.0),))
    newer = Batch((closed(lease()),), workers=(worker_state(2.0),), beats=(Beat(1.0, 3.0),))
    assert filled(older, newer).batch() == newer


def test_an_open_row_that_comes_late_does_not_hide_the_end() -> None:
    backlog = filled(Batch((closed(lease()),)), Batch((lease(),)))
    assert backlog.batch().leases == (closed(lease()),)


def test_the_ledger_adds_up_by_minute() -> None:
    minute = LedgerMinute(60, 1.0, 4.0, 2.0, 64)
    other = replace(minute, minute_at=120)
    backlog = filled(Batch(ledger=(minute, other)), Batch(ledger=(minute,)))
    assert backlog.batch().ledger == (LedgerMinute(60, 2.0, 8.0, 4.0, 64), other)


def test_over_the_bound_the_oldest_samples_go_and_are_counted() -> None:
    backlog = filled(
        Batch(samples=tuple(seconds(1, 6)), events=(event(),)),
        Batch(samples=tuple(seconds(2, 6, first=300.0))),
        bound=10,
    )
    batch = backlog.batch()
    assert batch.lost == {1: 2}
    assert batch.samples == (*seconds(1, 6)[2:], *seconds(2, 6, first=300.0))
    assert batch.events == (event(),)
    assert backlog.lost_samples == 2


def test_it_knows_since_when_something_waits() -> None:
    assert Backlog(10).since is None
    assert filled(Batch((lease(),)), Batch((lease(2),))).since == 0.0


@given(st.lists(st.integers(0, 30), max_size=20), st.integers(1, 40))
def test_samples_wait_or_are_counted_as_lost(sizes: list[int], bound: int) -> None:
    batches = [Batch(samples=tuple(seconds(n, size))) for n, size in enumerate(sizes)]
    backlog = filled(*batches, bound=bound)
    assert len(backlog.batch().samples) <= bound
    assert len(backlog.batch().samples) + backlog.lost_samples == sum(sizes)


def test_merging_back_a_failed_write_loses_nothing() -> None:
    taken = filled(Batch(samples=tuple(seconds(1, 3)), lost={1: 2}))
    newer = filled(Batch(samples=tuple(seconds(1, 3, first=200.0)), lost={1: 1}))
    taken.add(newer.batch(), 9.0)
    assert taken.batch().samples == (*seconds(1, 3), *seconds(1, 3, first=200.0))
    assert taken.lost_samples == pytest.approx(3)
