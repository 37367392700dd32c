"""What is written is read back; a batch is written whole or not at all, once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from math import nan
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import placement, sample
from hotslot.errors import StoreError
from hotslot.model import CloseReason, Event, EventResult, JobPhase, Lease, ResultKind, Sample
from hotslot.record.batch import (
    Batch,
    Beat,
    LeaseDecision,
    LeaseSample,
    LedgerMinute,
    RollUp,
    WorkerState,
)
from hotslot.record.database import RowRefused
from hotslot.record.history import History
from hotslot.record.store import Store
from hotslot.record.totals import totals_of
from record.recorded import (
    closed,
    decision,
    event,
    events,
    lease,
    leases,
    lives,
    new_store,
    seconds,
    worker_state,
)

some = settings(max_examples=25, deadline=None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "hotslot.db", busy_s=0.05) as store:
        yield store


@some
@given(leases())
def test_a_lease_is_read_back_as_it_was(one: Lease) -> None:
    with new_store() as store:
        store.append(Batch(leases=(one,)))
        assert store.lease(1) == one
        assert store.open_leases() == [one] * (one.closed_at is None)
        assert store.closed_leases(5) == [one] * (one.closed_at is not None)
        assert [row.lease for row in store.leases_of(one.placement.job_id)] == [one]


@some
@given(st.lists(events, max_size=8, unique_by=lambda e: (e.at, e.worker)))
def test_events_are_read_back_as_they_were(told: list[Event]) -> None:
    with new_store() as store:
        store.append(Batch(leases=(lease(),), events=tuple(told)))
        mine = sorted((e for e in told if e.lease_id == 1), key=lambda e: e.at)
        assert sorted(store.events(1), key=repr) == sorted(mine, key=repr)


@some
@given(lives(), st.integers(1, 8))
def test_samples_are_read_back_and_add_up(life: list[Sample], cpus: int) -> None:
    one = lease(of=replace(placement(), cpus=cpus))
    with new_store() as store:
        store.append(Batch(leases=(one,), samples=tuple(LeaseSample(1, s) for s in life)))
        assert store.samples(1) == life
        assert store.totals_from_samples(1) == totals_of(life, cpus)
        borrowed = sum(max(0.0, s.held_cores - cpus) * s.interval_s for s in life)
        assert store.totals_from_samples(1).borrowed_core_s == pytest.approx(borrowed)


def test_all_else_is_read_back_as_it_was(store: Store) -> None:
    minute = LedgerMinute(60, 1.0, 4.0, 1.5, 64)
    batch = Batch(
        leases=(lease(),),
        decisions=(decision(), decision(at=120.0, to=4)),
        workers=(worker_state(),),
        ledger=(minute,),
        beats=(Beat(100.0, 101.0),),
    )
    store.append(batch)
    assert store.decisions(1) == list(batch.decisions)
    assert store.workers() == [worker_state()]
    assert store.ledger(0, 1000) == [minute]
    assert store.beats() == [Beat(100.0, 101.0)]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_writing_a_batch_again_changes_nothing(store: Store, times: int) -> None:
    batch = Batch(
        leases=(closed(lease()),),
        samples=tuple(seconds(1, 3)),
        events=(event(), event(at=120.0)),
        decisions=(decision(),),
        workers=(worker_state(),),
        beats=(Beat(100.0, 101.0),),
    )
    for _ in range(times):
        store.append(batch)
    assert store.closed_leases(9) == list(batch.leases)
    assert len(store.samples(1)) == 3
    assert store.events(1) == list(batch.events)
    assert store.decisions(1) == list(batch.decisions)


def test_ledger_entries_of_a_minute_add_up(store: Store) -> None:
    store.append(Batch(ledger=(LedgerMinute(60, 1.0, 4.0, 1.5, 64),)))
    store.append(Batch(ledger=(LedgerMinute(60, 2.0, 6.0, 0.5, 64),)))
    assert store.ledger(0, 1000) == [LedgerMinute(60, 3.0, 10.0, 2.0, 64)]


def test_a_beat_only_grows(store: Store) -> None:
    store.append(Batch(beats=(Beat(100.0, 150.0),)))
    store.append(Batch(beats=(Beat(100.0, 140.0), Beat(200.0, 200.0))))
    assert store.beats() == [Beat(100.0, 150.0), Beat(200.0, 200.0)]
    assert store.beats(since=160.0) == [Beat(200.0, 200.0)]


def test_opening_a_lease_again_returns_it(store: Store) -> None:
    first = store.open_lease(placement(), 100.0)
    assert store.open_lease(placement(phase=JobPhase.ENDING), 101.0) == first
    assert store.open_lease(placement(run=1), 102.0).id == first.id + 1


def test_a_late_poke_does_not_open_a_closed_lease(store: Store) -> None:
    ended = closed(store.open_lease(placement(), 100.0))
    store.close_lease(ended)
    assert store.open_lease(placement(), 300.0) == ended
    assert store.open_leases() == []


def test_an_id_that_the_scheduler_gives_out_again_gets_a_lease_of_its_own(store: Store) -> None:
    last_year = replace(placement(), submitted_at=1000.0)
    store.close_lease(closed(store.open_lease(last_year, 1001.0), 1100.0))
    anew = store.open_lease(replace(placement(), submitted_at=90_000.0), 90_001.0)
    assert anew.closed_at is None
    assert [row.lease.id for row in store.leases_of("12")] == [1, 2]


def test_the_first_closing_counts(store: Store) -> None:
    opened = store.open_lease(placement(), 100.0)
    store.close_lease(closed(opened, 200.0))
    store.close_lease(replace(closed(opened, 300.0), close_reason=CloseReason.LOST))
    store.append(Batch(leases=(opened,)))
    assert store.lease(1) == closed(opened, 200.0)


def test_events_are_counted_by_result_also_those_after_the_end(store: Store) -> None:
    told = [
        event(at=1.0, change=(2, 4), took_s=1.0),
        event(at=2.0, change=(2, 3), took_s=4.0),
        event(at=3.0, change=(2, 3), took_s=3.0),
        event(at=4.0, change=(4, 2), took_s=0.5),
        event(at=5.0, change=(2, 4), took_s=9.0, result=EventResult.REFUSED),
        event(at=6.0, result=EventResult.TIMED_OUT),
    ]
    store.append(Batch(leases=(closed(lease()),), events=tuple(told)))
    store.append(Batch(events=(event(at=7.0, result=EventResult.VM_GONE),)))
    row = store.row(1)
    assert row is not None
    assert row.roll_up == RollUp(
        applied=4,
        refused=1,
        timed_out=1,
        vm_gone=1,
        plug_median_s=3.0,
        plug_max_s=4.0,
        unplug_median_s=0.5,
        unplug_max_s=0.5,
    )
    counts = [row.roll_up.count(kind) for kind in ResultKind]
    assert counts == [4, 1, 1, 0, 1]


def test_thinning_is_remembered_and_keeps_the_integrals(store: Store) -> None:
    store.append(Batch(leases=(closed(lease()),), samples=tuple(seconds(1, 1000, used=1.25))))
    before = store.totals_from_samples(1)
    assert store.next_to_thin() == 1
    assert store.thin_samples(1, points=100) > 800
    assert len(store.samples(1)) <= 100
    assert store.totals_from_samples(1).used_core_s == pytest.approx(before.used_core_s)
    assert store.next_to_thin() is None


def test_an_open_lease_is_not_thinned(store: Store) -> None:
    store.append(Batch(leases=(lease(),), samples=tuple(seconds(1, 1000))))
    assert store.next_to_thin() is None


def test_a_full_disk_leaves_nothing_half_written(store: Store) -> None:
    store.append(Batch(leases=(lease(),)))
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    large = Batch(leases=(closed(lease()),), samples=tuple(seconds(1, 5000)), events=(event(),))
    with pytest.raises(StoreError, match="the disk is full") as told:
        store.append(large)
    assert isinstance(told.value.__cause__, sqlite3.OperationalError)
    assert store.open_leases() == [lease()]
    assert store.samples(1) == []
    with pytest.raises(StoreError, match="the disk is full"):
        store.append_what_fits(large)
    assert store.open_leases() == [lease()]
    store._db.execute(f"PRAGMA max_page_count = {pages + 1000}")
    store.append(large)
    assert len(store.samples(1)) == 5000


def test_a_locked_database_is_named_as_that(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "hotslot.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another process"):
            store.append(Batch(leases=(lease(),)))
    store.append(Batch(leases=(lease(),)))
    assert store.open_leases() == [lease()]


def test_a_read_only_database_is_named_as_that(store: Store) -> None:
    store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="cannot be written"):
        store.append(Batch(leases=(lease(),)))


def test_reading_and_writing_wait_for_neither(store: Store, tmp_path: Path) -> None:
    store.append(Batch(leases=(lease(),), samples=tuple(seconds(1, 3))))
    with History(tmp_path / "hotslot.db") as history:
        history._db.execute("BEGIN")
        assert len(history.samples(1)) == 3
        store.append(Batch(samples=tuple(seconds(1, 3, first=200.0))))
        assert len(history.samples(1)) == 3
        history._db.execute("COMMIT")
        assert len(history.samples(1)) == 6


def test_a_reader_cannot_write(store: Store, tmp_path: Path) -> None:
    with History(tmp_path / "hotslot.db") as history, pytest.raises(sqlite3.OperationalError):
        history._db.execute("DELETE FROM leases")


def test_one_bad_record_does_not_keep_out_the_others(store: Store) -> None:
    batch = Batch(
        leases=(lease(), replace(lease(2), opened_at=nan)),
        samples=(LeaseSample(1, sample(100.0)), LeaseSample(77, sample(100.0))),
        events=(event(at=nan), event(at=110.0)),
        workers=(replace(worker_state(), granted_vcpus=2**70),),
    )
    with pytest.raises(RowRefused):
        store.append(batch)
    assert store.open_leases() == []
    refused = store.append_what_fits(batch)
    assert len(refused) == 4
    assert store.open_leases() == [lease()]
    assert len(store.samples(1)) == 1
    assert store.events(1) == [event(at=110.0)]


def test_a_name_that_is_no_text_is_kept_as_far_as_it_is(store: Store) -> None:
    hostile = replace(placement(), name="a\udcff\x00'; DROP TABLE leases --")
    store.append(Batch(leases=(lease(of=hostile),)))
    kept = store.lease(1)
    assert kept is not None
    assert kept.placement.name == "a?\x00'; DROP TABLE leases --"


def test_an_event_without_a_lease_is_kept(store: Store) -> None:
    store.append(Batch(events=(event(lease_id=None),)))
    assert store._db.execute("SELECT worker, result FROM idle_event_log").fetchall() == [
        ("w1", "applied")
    ]


def test_lost_samples_are_counted_with_their_lease(store: Store) -> None:
    store.append(Batch(leases=(lease(),), lost={1: 5}))
    store.append(Batch(lost={1: 2}))
    row = store.row(1)
    assert row is not None
    assert row.roll_up.lost_samples == 7


def test_every_part_of_a_batch_has_a_piece() -> None:
    batch = Batch(
        leases=(lease(), lease(2)),
        samples=tuple(seconds(1, 3)),
        events=(event(),),
        decisions=(decision(),),
        workers=(worker_state(),),
        ledger=(LedgerMinute(60, 1.0, 1.0, 1.0, 4),),
        beats=(Beat(1.0, 2.0),),
        lost={1: 2},
    )
    pieces = list(batch.pieces())
    assert [len(piece) for piece in pieces] == [1] * len(batch)
    assert isinstance(pieces[0].leases[0], Lease)
    assert LeaseDecision in {type(one) for piece in pieces for one in piece.decisions}
    assert WorkerState in {type(one) for piece in pieces for one in piece.workers}


def test_what_was_asked_is_kept_once_and_nothing_for_nothing(tmp_path: Path) -> None:
    asked = [replace(placement(str(n)), asked="min=4,burst=no") for n in (1, 2)]
    with Store(tmp_path / "hotslot.db") as store:
        leases = (lease(1, of=asked[0]), lease(2, of=asked[1]), lease(3, of=placement("3")))
        store.append(Batch(leases=leases))
        assert [one.placement.asked for one in store.open_leases()] == [
            *("min=4,burst=no", "min=4,burst=no", "")
        ]
        kept = [row["asked_id"] for row in store._rows("SELECT asked_id FROM leases ORDER BY id")]
        assert kept[0] == kept[1] is not None
        assert kept[2] is None
