"""Databases of every earlier version are read as they were, whatever interrupts the migration."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from hotslot.errors import StoreError
from hotslot.model import CloseReason, EventResult, JobPhase, Totals
from hotslot.record.history import History
from hotslot.record.migrations import MIGRATIONS
from hotslot.record.schema import NEWEST
from hotslot.record.store import Store

VERSIONS = Path(__file__).with_name("versions")
T = 1_700_000_060.125


def made(path: Path, version: int) -> Path:
    """A database as that version left it: the dump is of one that its own code wrote."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((VERSIONS / f"{version}.sql").read_text(encoding="utf-8"))
    return path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return made(tmp_path / "hotslot.db", 1)


def test_there_is_a_database_of_every_earlier_version() -> None:
    assert {path.stem for path in VERSIONS.glob("*.sql")} == {
        str(step.version) for step in MIGRATIONS[:-1]
    }


@pytest.mark.parametrize("version", range(1, NEWEST))
def test_every_earlier_version_becomes_the_newest(tmp_path: Path, version: int) -> None:
    path = made(tmp_path / "hotslot.db", version)
    Store(path).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (NEWEST,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    new = tmp_path / "new.db"
    Store(new).close()
    assert schema(path) == schema(new)


def schema(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
        return {(name, sql.replace('"', "")) for name, sql in found}


def test_leases_of_version_1_are_as_they_were(old: Path) -> None:
    with Store(old, host="n1") as store:
        first = store.lease(1)
        assert first is not None
        assert first.placement.name == "O'Neill's \u2028 job"
        assert (first.placement.submitted_at, first.placement.started_at) == (T - 59.875, T + 0.375)
        assert (first.opened_at, first.closed_at) == (T, T + 100)
        assert first.close_reason is CloseReason.ENDED
        assert first.totals == Totals(100, 400, 260, 150, 1.5, 3.9, 7)
        assert [one.id for one in store.open_leases()] == [2, 5]
        lost = store.row(3)
        assert lost is not None
        assert (lost.lease.totals.borrowed_core_s, lost.roll_up.lost_samples) == (2.0, 2)
        assert [row.lease.id for row in store.leases_of("11_1")] == [2]
        assert [row.lease.id for row in store.leases_of("12")] == [3, 4]
        (plain,) = store.leases_of("13")
        assert plain.lease.placement.submitted_at is None
        assert plain.lease.placement.phase is JobPhase.RUNNING


def test_all_else_of_version_1_is_as_it_was(old: Path) -> None:
    with Store(old, host="n1") as store:
        events = store.events(1)
        assert [(e.at - T, e.from_vcpus, e.to_vcpus) for e in events] == [
            *((10, 4, 2), (20, 2, 4), (30, 4, 2))
        ]
        assert (events[1].online_s, events[1].detected_at) == (0.25, T + 19)
        assert (events[2].result, events[2].detail) == (EventResult.GUEST_REFUSED, "CPU 3 is busy")
        assert events[0].reason == "peak of 60 s is 1.1 of 4 cores"
        idle = store._rows("SELECT worker FROM idle_event_log ORDER BY worker")
        assert [row["worker"] for row in idle] == ["w1", "w2"]
        assert [one.used_cores for one in store.samples(1)] == [1.25] * 5
        assert store.samples(2)[-1].at == T + 3
        assert [one.decision.to_vcpus for one in store.decisions(1)] == [2]
        assert [minute.held_core_s for minute in store.ledger(0, 2e9)] == [240]
        assert store.workers()[0].granted_vcpus == 2
        assert len(store.beats()) == 1


def test_roll_ups_of_version_1_are_made(old: Path) -> None:
    with Store(old, host="n1") as store:
        (alice,) = store.summed("user")
        assert (alice.leases, alice.jobs) == (3, 2)
        assert (alice.completed, alice.lost, alice.timed_out) == (1, 1, 1)
        assert alice.held_core_s == 260 + 50 + 260
        assert (alice.events_applied, alice.events_refused) == (2, 1)
        assert [one.key for one in store.summed("host")] == ["n1"]
        assert [row.lease.id for row in store.alike("alice", "O'Neill's \u2028 job")] == [1, 3, 4]


def test_version_2_is_as_it_was_and_asked_for_nothing(tmp_path: Path) -> None:
    with Store(made(tmp_path / "hotslot.db", 2), host="n1") as store:
        (first,) = store.leases_of("20")
        placed = first.lease.placement
        assert (placed.name, placed.account, placed.asked) == (
            "O'Neill's \u2028 job",
            "physics",
            "",
        )
        assert (placed.submitted_at, placed.ended_at) == (T - 60, T + 100)
        assert first.lease.totals == Totals(100, 400, 260, 150, 1.5, 3.9, 7, 2)
        assert (first.roll_up.applied, first.roll_up.refused) == (2, 1)
        assert [one.id for one in store.open_leases()] == [2]
        assert [event.reason for event in store.events(1)] == ["peak of 60 s is 1.1 of 4 cores"] * 3
        assert [one.held_core_s for one in store.summed("user")] == [260]


def test_a_migration_that_is_killed_is_made_whole_the_next_time(tmp_path: Path) -> None:
    """Killed at moments from before its first statement to after its last."""
    path = made(tmp_path / "large.db", 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(MORE)
    whole = path.read_bytes()
    code = "import sys, pathlib; from hotslot.record.store import Store"
    run = [sys.executable, "-c", f"{code}; Store(pathlib.Path(sys.argv[1]))", str(path)]
    started = time.monotonic()
    subprocess.run(run, check=True)
    full_s = time.monotonic() - started
    for place in range(4):
        for left in tmp_path.glob("large.db*"):
            left.unlink()
        path.write_bytes(whole)
        with subprocess.Popen(run) as process:
            time.sleep(full_s * (0.45 + 0.15 * place))
            process.send_signal(signal.SIGKILL)
        with Store(path) as store:
            assert len(store.events(1)) == 3 + 10_000
            (cluster,) = store.summed("cluster")
            assert (cluster.leases, cluster.held_core_s) == (3, 570)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


MORE = """
INSERT INTO events (lease_id, at, worker_id, from_vcpus, to_vcpus, got_vcpus, reason_id, result,
  command_s, took_s)
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)
SELECT 1, 1700001000 + n, (SELECT min(id) FROM words), 4, 2, 2, (SELECT max(id) FROM words),
  'timed out', 0.1, 0.2 FROM n;
"""


def test_a_reader_does_not_migrate(old: Path) -> None:
    with pytest.raises(StoreError, match="start hotslotd to migrate"):
        History(old)
