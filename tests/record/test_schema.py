"""A database is ours, whole, and of the newest version, or it is refused in one sentence."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hotslot.errors import StoreCorrupt, StoreDamaged, StoreError
from hotslot.model import Event, Placement, Sample, Totals
from hotslot.record.batch import Batch, RollUp
from hotslot.record.database import connect
from hotslot.record.history import History
from hotslot.record.migrations import Migration
from hotslot.record.rows import UNRECORDED
from hotslot.record.schema import APPLICATION_ID, NEWEST, migrate, open_for_writing
from hotslot.record.store import Store
from record.recorded import event, lease, seconds

TABLES = {
    *("meta", "words", "leases", "samples", "events"),
    *("decisions", "workers", "host_ledger", "beats"),
    *("owners", "changes", "idle_events", "daily", "recent"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hotslot.db"


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_a_new_file_has_the_newest_version_and_strict_tables(path: Path) -> None:
    Store(path).close()
    assert ask(path, "PRAGMA user_version") == [(NEWEST,)]
    assert ask(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert ask(path, "PRAGMA journal_mode") == [("wal",)]
    tables = ask(path, "SELECT name, strict FROM pragma_table_list WHERE type = 'table'")
    assert {name for name, strict in tables if strict} == TABLES


def test_an_empty_file_of_version_0_is_migrated(path: Path) -> None:
    path.touch()
    Store(path).close()
    assert ask(path, "PRAGMA user_version") == [(NEWEST,)]


def test_opening_again_changes_nothing(path: Path) -> None:
    Store(path).close()
    before = ask(path, "SELECT sql FROM sqlite_schema")
    Store(path).close()
    assert ask(path, "SELECT sql FROM sqlite_schema") == before


def test_every_field_of_the_model_has_its_column(path: Path) -> None:
    Store(path).close()
    leases = {str(row[1]) for row in ask(path, "PRAGMA table_info(lease_log)")}
    wanted = {field.name for kind in (Placement, Totals, RollUp) for field in fields(kind)}
    assert wanted - UNRECORDED <= leases
    assert wanted & leases & UNRECORDED == set()
    samples = {str(row[1]) for row in ask(path, "PRAGMA table_info(sample_log)")}
    assert {field.name for field in fields(Sample)} <= samples
    events = {str(row[1]) for row in ask(path, "PRAGMA table_info(event_log)")}
    assert {field.name for field in fields(Event)} <= events


def test_a_newer_version_is_refused(path: Path) -> None:
    Store(path).close()
    change(path, f"PRAGMA user_version = {NEWEST + 1}")
    with pytest.raises(StoreCorrupt, match=f"version {NEWEST + 1}, this hotslot knows up to"):
        Store(path)
    with pytest.raises(StoreCorrupt, match="install the newer hotslot"):
        History(path)


def test_the_database_of_another_program_is_refused(path: Path) -> None:
    change(path, "CREATE TABLE precious (x)")
    with pytest.raises(StoreCorrupt, match="another program"):
        Store(path)
    assert ask(path, "PRAGMA journal_mode") == [("delete",)]


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_text("host: n1\n" * 1000)
    with pytest.raises(StoreDamaged, match="file is not a database"):
        Store(path)


def test_a_damaged_page_is_found_at_the_start(path: Path) -> None:
    with Store(path) as store:
        samples = tuple(seconds(1, 2000))
        store.append(Batch(leases=(lease(),), samples=samples, events=(event(),)))
    damaged = bytearray(path.read_bytes())
    page_bytes = 4096
    last = len(damaged) // page_bytes - 1
    damaged[(last - 3) * page_bytes : (last - 2) * page_bytes] = b"\x55" * page_bytes
    path.write_bytes(damaged)
    with pytest.raises(StoreDamaged, match="an agent sets it aside"):
        Store(path)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="check that its folder exists"):
        Store(tmp_path / "none" / "hotslot.db")


def test_reading_creates_nothing(path: Path) -> None:
    with pytest.raises(StoreError, match="no agent has recorded anything there yet"):
        History(path)
    assert not path.exists()


def test_reading_an_older_version_says_how_to_migrate(path: Path) -> None:
    path.touch()
    with pytest.raises(StoreError, match="start hotslotd to migrate"):
        History(path)


def test_a_step_that_fails_leaves_the_version_before_it(path: Path) -> None:
    with closing(open_for_writing(path)) as db:
        broken = Migration(NEWEST + 1, ("CREATE TABLE extra (x INT) STRICT", "CREATE nonsense"))
        with pytest.raises(sqlite3.OperationalError):
            migrate(db, (broken,))
    assert ask(path, "PRAGMA user_version") == [(NEWEST,)]
    assert ask(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'") == [(0,)]


def test_a_step_that_another_process_has_made_is_not_made_again(path: Path) -> None:
    step = Migration(NEWEST + 1, ("CREATE TABLE extra (x INT) STRICT",))
    with closing(open_for_writing(path)) as first, closing(connect(path)) as second:
        migrate(first, (step,))
        migrate(second, (step,))


def test_a_path_with_odd_characters_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "50% of a?b#c.db"
    Store(path).close()
    assert path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
@pytest.mark.parametrize("agent_runs", [True, False])
def test_a_user_who_may_not_write_reads_with_and_without_an_agent(agent_runs: bool) -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "hotslot.db")
        with Store(path) as store:
            store.append(Batch(leases=(lease(),)))
            if agent_runs:
                assert read_as_nobody(path) == "[1]"
        assert read_as_nobody(path) == "[1]"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
def test_a_folder_that_may_not_be_entered_is_an_error_in_words() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "hotslot.db")
        Store(path).close()
        assert "cannot be looked at: Permission denied" in read_as_nobody(path)


def read_as_nobody(path: Path) -> str:
    """Return the ids of the open leases as user nobody reads them, or the error."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setuid(65534)
            with History(path) as history:
                os.write(writer, str([one.id for one in history.open_leases()]).encode())
        except StoreError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        answer = told.read()
    os.waitpid(child, 0)
    return answer
