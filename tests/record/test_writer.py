"""The loop never waits for the disk, and nothing but the oldest samples is ever lost."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from builders import placement
from hotslot.errors import StoreDamaged, StoreError
from hotslot.record.batch import Batch, Beat
from hotslot.record.history import History
from hotslot.record.pump import Pump
from hotslot.record.store import Store
from hotslot.record.totals import totals_of
from hotslot.record.writer import Condition, Writer, WriterState
from record.recorded import closed, decision, event, lease, seconds, worker_state


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Disk(Store):
    """A store whose disk can fill up, hang, and get well again."""

    def __init__(self, path: Path) -> None:
        self.free = threading.Event()
        self.free.set()
        self.tries = 0
        super().__init__(path)

    def fill(self) -> None:
        pages = self._db.execute("PRAGMA page_count").fetchone()[0]
        self._db.execute(f"PRAGMA max_page_count = {pages}")

    def empty(self) -> None:
        self._db.execute("PRAGMA max_page_count = 1000000")

    def append(self, batch: Batch) -> None:
        self.tries += 1
        assert self.free.wait(10), "nobody freed the disk"
        super().append(batch)


LARGE = Batch(samples=tuple(seconds(1, 3000)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hotslot.db"


@pytest.fixture
def disk(path: Path) -> Iterator[Disk]:
    with Disk(path) as disk:
        yield disk


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pump(disk: Disk, clock: Clock) -> Pump:
    """A pump that is turned by hand, with a lease on disk."""
    pump = Pump(disk, points=600, bound=5000, first_retry_s=0.01, clock=clock)
    pump.put(Batch((lease(),)))
    pump.turn()
    return pump


def test_what_is_submitted_is_on_disk_after_a_flush(path: Path) -> None:
    writer = Writer(Store(path))
    writer.start()
    opened = writer.open_lease(placement(), 100.0)
    writer.submit(Batch((opened,), tuple(seconds(1, 3)), (event(),), (decision(),)))
    assert writer.flush(5)
    with History(path) as history:
        assert history.open_leases() == [opened]
        assert len(history.samples(1)) == 3
        assert history.events(1) == [event()]
    assert writer.state == WriterState(Condition.OK, 0.0, 0, 0, 0, "")
    assert writer.close(5)


def test_closing_writes_what_waits(path: Path) -> None:
    writer = Writer(Store(path))
    writer.start()
    writer.close_lease(closed(writer.open_lease(placement(), 100.0)))
    assert writer.close(5)
    with History(path) as history:
        assert len(history.closed_leases(9)) == 1


def test_submitting_never_waits_for_a_disk_that_hangs(disk: Disk) -> None:
    writer = Writer(disk)
    writer.start()
    disk.free.clear()
    opened = writer.open_lease(placement(), 100.0)
    for second in range(100):
        writer.submit(Batch((opened,), tuple(seconds(1, 1, first=float(second)))))
    assert not writer.flush(0)
    disk.free.set()
    assert writer.flush(5)
    assert len(disk.samples(1)) == 100
    assert writer.close(5)


def test_a_lease_opens_and_closes_while_the_disk_is_full(disk: Disk) -> None:
    writer = Writer(disk, first_retry_s=0.01)
    writer.submit(Batch((lease(77),)))
    writer.start()
    assert writer.flush(5)
    disk.fill()
    opened = writer.open_lease(placement("12"), 100.0)
    writer.submit(Batch(samples=tuple(seconds(opened.id, 3000))))
    assert not writer.flush(0.1)
    assert writer.state.condition is Condition.FAILING
    assert "the disk is full" in writer.state.last_error
    assert writer.open_lease(placement("12"), 101.0) == opened
    assert writer.open_lease(placement("13"), 101.0).id == opened.id + 1
    writer.close_lease(closed(opened))
    disk.empty()
    assert writer.flush(5)
    assert disk.lease(opened.id) == closed(opened)
    assert writer.state.condition is Condition.OK
    assert writer.close(5)


def test_a_failed_write_is_tried_again_with_all_that_came_since(pump: Pump, disk: Disk) -> None:
    disk.fill()
    pump.put(LARGE)
    pump.turn()
    pump.put(Batch(events=(event(),)))
    pump.turn()
    assert pump.state.condition is Condition.FAILING
    assert pump.state.waiting_records == 3001
    disk.empty()
    pump.turn()
    assert pump.state == WriterState(Condition.OK, 0.0, 0, 0, 0, "")
    assert len(disk.samples(1)) == 3000
    assert disk.events(1) == [event()]


def test_over_the_bound_old_samples_are_dropped_and_counted(pump: Pump, disk: Disk) -> None:
    disk.fill()
    pump.put(LARGE)
    pump.turn()
    pump.put(Batch((closed(lease()),), tuple(seconds(1, 3000, first=9000.0)), (event(),)))
    pump.turn()
    disk.empty()
    assert pump.state.lost_samples == 1000
    pump.turn()
    assert pump.state.lost_samples == 1000
    row = disk.row(1)
    assert row is not None
    assert row.lease == closed(lease())
    assert (row.roll_up.lost_samples, row.roll_up.applied) == (1000, 1)
    assert len(disk.samples(1)) == 5000


def test_failing_is_logged_once_and_so_is_getting_well(
    pump: Pump, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    disk.fill()
    pump.put(LARGE)
    for _ in range(5):
        pump.turn()
    disk.empty()
    for _ in range(5):
        pump.turn()
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert told[0].startswith("record: ok → failing: ")
    assert "the disk is full" in told[0]
    assert told[1] == "record: failing → ok; 0 samples were lost"


def test_dropping_samples_is_logged_once(
    pump: Pump, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.fill()
    for _ in range(4):
        pump.put(LARGE)
        pump.turn()
    assert caplog.text.count("the oldest are dropped now") == 1
    disk.empty()
    pump.turn()
    assert "failing → ok; 7000 samples were lost" in caplog.text


def test_a_thinning_that_fails_holds_up_nothing(pump: Pump, disk: Disk, clock: Clock) -> None:
    pump.put(Batch((closed(lease()),), tuple(seconds(1, 3000))))
    pump.turn()
    disk._db.execute("PRAGMA query_only = ON")
    pump.thin()
    disk._db.execute("PRAGMA query_only = OFF")
    assert pump.state.condition is Condition.OK
    pump.thin()
    assert len(disk.samples(1)) == 3000
    clock.now += 61
    pump.thin()
    assert len(disk.samples(1)) <= 600


def test_waiting_long_without_an_error_is_being_behind(pump: Pump, clock: Clock) -> None:
    pump.put(Batch(events=(event(),)))
    clock.now += 4
    assert pump.state.condition is Condition.OK
    clock.now += 4
    assert pump.state.condition is Condition.BEHIND
    assert pump.state.behind_s == 8
    pump.turn()
    assert pump.state.behind_s == 0


def test_a_record_that_never_fits_is_left_out_and_told(
    pump: Pump, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    bad = replace(event(), got_vcpus=2**70)
    pump.put(Batch(samples=tuple(seconds(1, 3)), events=(bad, event())))
    pump.turn()
    assert pump.state.refused_records == 1
    assert pump.state.condition is Condition.OK
    assert disk.events(1) == [event()]
    assert len(disk.samples(1)) == 3
    assert "left out for good" in caplog.text


def test_a_bug_shows_in_the_state_and_loses_nothing(pump: Pump, disk: Disk) -> None:
    broken = Batch(workers=(replace(worker_state(), reading=None),))  # type: ignore[arg-type]
    pump.put(broken)
    pump.turn()
    assert pump.state.condition is Condition.FAILING
    assert pump.state.waiting_records == 1


def damage(path: Path) -> None:
    """Overwrite all pages but the first, as a disk may that takes writes for another place."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = path.read_bytes()
    path.write_bytes(raw[:4096] + b"\x55" * (len(raw) - 4096))


def test_a_damaged_database_is_set_aside_and_open_leases_go_on_in_a_new_one(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Writer(Store(path), first_retry_s=0.01)
    writer.start()
    opened = writer.open_lease(placement("12"), 100.0)
    ended = writer.open_lease(placement("13"), 100.0)
    writer.close_lease(closed(ended))
    writer.submit(Batch(samples=tuple(seconds(opened.id, 3000))))
    assert writer.flush(5)
    damage(path)
    later = replace(opened, totals=totals_of([one.sample for one in seconds(1, 9)], 4))
    writer.submit(Batch((later,), events=(event(opened.id),)))
    newest = writer.open_lease(placement("14"), 101.0)
    assert writer.flush(5)
    state = writer.state
    assert state.condition is Condition.OK
    assert Path(state.set_aside).name.startswith("hotslot.db.damaged-2")
    assert Path(state.set_aside).exists()
    assert writer.close(5)
    with History(path) as history:
        assert history.open_leases() == [later, newest]
        assert history.events(opened.id) == [event(opened.id)]
    assert "hotslot.db is damaged" in caplog.text
    assert f"begun anew in an empty file; the damaged one is {state.set_aside}" in caplog.text


def test_damage_that_only_thinning_meets_is_damage(path: Path) -> None:
    writer = Writer(Store(path), points=100, first_retry_s=0.01)
    writer.start()
    opened = writer.open_lease(placement(), 100.0)
    writer.submit(Batch(samples=tuple(seconds(1, 3000))))
    assert writer.flush(5)
    damage(path)
    writer.close_lease(closed(opened))
    assert writer.flush(5)
    assert writer.close(5)
    with History(path) as history:
        assert history.closed_leases(9) == [closed(opened)]


def test_a_disk_that_damages_one_file_after_the_other_is_not_filled(
    pump: Pump, disk: Disk, clock: Clock, tmp_path: Path
) -> None:
    def damaged(batch: Batch) -> None:
        raise StoreDamaged("hotslot.db is damaged")

    disk.append = damaged  # type: ignore[method-assign]
    for _ in range(20):
        pump.put(Batch(events=(event(),)))
        pump.turn()
        clock.now += 60
    assert len({one.name.split("-wal")[0] for one in tmp_path.glob("*.damaged-*[!m]")}) == 2
    assert pump.state.condition is Condition.FAILING
    assert pump.state.waiting_records == 21


def test_a_new_file_that_cannot_be_made_yet_is_made_later(
    pump: Pump, disk: Disk, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(path)
    pump.put(LARGE)
    pump.turn()
    with monkeypatch.context() as full:
        full.setattr(Disk, "_open", failing)
        pump.turn()
        pump.turn()
        assert "the disk is full" in pump.state.last_error
    pump.turn()
    assert pump.state.condition is Condition.OK
    assert len(list(path.parent.glob("*.damaged-*Z"))) == 1
    assert disk.open_leases() == [lease()]
    assert len(disk.samples(1)) == 3000


def failing(disk: Store, path: Path, busy_s: float) -> None:
    raise StoreError("the disk is full")


def test_a_locked_database_is_caught_up_with(path: Path) -> None:
    writer = Writer(Store(path, busy_s=0.01), first_retry_s=0.01)
    writer.start()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        opened = writer.open_lease(placement(), 100.0)
        assert not writer.flush(0.1)
        assert "locked" in writer.state.last_error
    assert writer.flush(5)
    assert writer.close(5)
    with History(path) as history:
        assert history.open_leases() == [opened]


def test_a_file_system_that_became_read_only_is_caught_up_with(pump: Pump, disk: Disk) -> None:
    disk._db.execute("PRAGMA query_only = ON")
    pump.put(LARGE)
    pump.turn()
    assert "cannot be written" in pump.state.last_error
    assert pump.state.waiting_records == 3000
    disk._db.execute("PRAGMA query_only = OFF")
    pump.turn()
    assert pump.state.condition is Condition.OK
    assert len(disk.samples(1)) == 3000


def test_closing_with_a_full_disk_says_so(disk: Disk) -> None:
    writer = Writer(disk, first_retry_s=0.01)
    writer.submit(Batch((lease(),)))
    writer.start()
    assert writer.flush(5)
    disk.fill()
    writer.submit(LARGE)
    assert not writer.close(5)


def test_an_agent_that_starts_again_goes_on_where_the_last_one_was(path: Path) -> None:
    first = Writer(Store(path))
    first.start()
    left_open = first.open_lease(placement("12"), 100.0)
    ended = closed(first.open_lease(placement("13"), 100.0))
    first.close_lease(ended)
    first.submit(Batch(workers=(worker_state(),), beats=(Beat(100.0, 150.0),)))
    assert first.close(5)
    store = Store(path)
    assert store.open_leases() == [left_open]
    assert store.workers() == [worker_state()]
    assert store.beats() == [Beat(100.0, 150.0)]
    second = Writer(store)
    second.start()
    assert second.open_lease(placement("12"), 300.0) == left_open
    assert second.open_lease(placement("13"), 300.0) == ended
    assert second.open_lease(placement("14"), 300.0).id == 3
    assert second.close(5)


def test_a_lease_that_has_ended_is_thinned(path: Path) -> None:
    writer = Writer(Store(path), points=100)
    writer.start()
    opened = writer.open_lease(placement(), 100.0)
    writer.submit(Batch(samples=tuple(seconds(1, 1000))))
    writer.close_lease(closed(opened))
    assert writer.close(5)
    with Store(path) as store:
        pump = Pump(store, points=100, bound=10, first_retry_s=1.0, clock=Clock())
        pump.thin()
        assert len(store.samples(1)) <= 100
        assert store.next_to_thin() is None


def test_of_decisions_only_changes_are_kept(path: Path) -> None:
    writer = Writer(Store(path))
    writer.start()
    writer.open_lease(placement(), 100.0)
    for second, to in enumerate([2, 2, 2, 4, 4, 2]):
        writer.submit(Batch(decisions=(decision(at=110.0 + second, to=to),)))
    assert writer.close(5)
    with History(path) as history:
        assert [one.decision.at for one in history.decisions(1)] == [110.0, 113.0, 115.0]


def test_a_writer_that_is_killed_loses_the_last_batch_at_most(path: Path) -> None:
    script = Path(__file__).with_name("endless_writer.py")
    with subprocess.Popen(
        [sys.executable, script, path], stdout=subprocess.PIPE, text=True
    ) as endless:
        assert endless.stdout is not None
        on_disk = [int(next(endless.stdout)) for _ in range(30)][-1]
        os.kill(endless.pid, signal.SIGKILL)
        on_disk = max([on_disk, *map(int, endless.stdout)])
    with Store(path) as store:
        (left_open,) = store.open_leases()
        samples = store.samples(left_open.id)
        assert [sample.at for sample in samples] == [1001.0 + n for n in range(len(samples))]
        assert len(samples) >= on_disk
        assert store.totals_from_samples(left_open.id) == left_open.totals
        assert store.beats() == [Beat(1000.0, 1000.0 + len(samples))]
