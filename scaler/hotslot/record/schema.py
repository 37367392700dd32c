"""Open a database of ours: check that it is one, and bring it to the newest version."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from sqlite3 import Connection

from hotslot.errors import StoreCorrupt, StoreDamaged, StoreError
from hotslot.record.database import BUSY_S, connect, damaged, reported, transaction
from hotslot.record.migrations import MIGRATIONS, Migration

APPLICATION_ID = 0x68736C74
"""SQLite's header field that tells whose file it is: "hslt"."""

NEWEST = MIGRATIONS[-1].version

INCREMENTAL = 2
"""SQLite's number for ``auto_vacuum = INCREMENTAL``."""

CHECK_WHOLE_BELOW_BYTES = 64 * 1024 * 1024
"""Larger databases have only the tables checked that the agent starts from (a second or two for a
million leases)."""

_TABLES_TO_START_FROM = ("meta", "leases", "workers")


def open_for_writing(path: Path, busy_s: float = BUSY_S) -> Connection:
    """Open, check and migrate; create the file if there is none.

    Raises StoreDamaged for a damaged file, StoreCorrupt for a newer version or another program's
    database, StoreError for one that cannot be opened or written now.
    """
    db = connect(path, busy_s=busy_s)
    try:
        with reported(path):
            _check(db, path)
            _check_integrity(db, path)
            if not _has_tables(db):
                db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            _use_wal(db, path)
            db.execute("PRAGMA synchronous = NORMAL")
            migrate(db)
            _let_shrink(db)
            db.execute("PRAGMA foreign_keys = ON")
            # FULL: a power cut loses as little as a kill. One fsync a second, off the loop.
            db.execute("PRAGMA synchronous = FULL")
    except BaseException:
        db.close()
        raise
    return db


def open_for_reading(path: Path, busy_s: float = BUSY_S) -> Connection:
    """Open a database that an agent has made; changes nothing.

    Raises StoreError when there is none or it is of an older version, else as above.
    """
    if not _exists(path):
        raise StoreError(f"{path} does not exist: no agent has recorded anything there yet")
    try:
        return _open_mode(path, "ro", busy_s)
    except StoreCorrupt:
        raise
    except StoreError:
        # Who may not write to the folder cannot make the -shm file that a reader of WAL needs.
        # Without a -wal file there is no writer, and nothing to read but the file itself.
        if _exists(path.with_name(f"{path.name}-wal")):
            raise
        return _open_mode(path, "ro&immutable=1", busy_s)


def open_for_pruning(path: Path, busy_s: float = BUSY_S) -> Connection:
    """Open a database that an agent has made, and may be writing now; raises as for reading."""
    if not _exists(path):
        raise StoreError(f"{path} does not exist: no agent has recorded anything there yet")
    db = _open_mode(path, "rw", busy_s)
    # A power cut may bring back what went last; it goes the next time.
    db.execute("PRAGMA synchronous = NORMAL")
    return db


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise StoreError(f"{path} cannot be looked at: {error.strerror}") from error


def _open_mode(path: Path, mode: str, busy_s: float) -> Connection:
    db = connect(path, mode, busy_s)
    try:
        with reported(path):
            _check_is_newest(db, path)
    except BaseException:
        db.close()
        raise
    return db


def migrate(db: Connection, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Apply the steps that this database lacks, each in a transaction of its own."""
    for migration in migrations:
        if _version(db) < migration.version:
            _apply(db, migration)


def _apply(db: Connection, migration: Migration) -> None:
    with transaction(db):
        if _version(db) >= migration.version:  # another process was faster
            return
        for statement in migration.statements:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {migration.version}")


def _check(db: Connection, path: Path) -> int:
    """Return the version; StoreCorrupt unless the file is ours, or empty, and not newer."""
    version, owner = _version(db), int(_one(db, "PRAGMA application_id"))
    tables = int(_one(db, "SELECT count(*) FROM sqlite_schema"))
    if owner != APPLICATION_ID and (tables or version or owner):
        raise StoreCorrupt(f"{path} is a database of another program: name another path")
    if version > NEWEST:
        raise StoreCorrupt(
            f"{path} has schema version {version}, this hotslot knows up to {NEWEST}: "
            "install the newer hotslot again"
        )
    return version


def _check_is_newest(db: Connection, path: Path) -> None:
    if _check(db, path) < NEWEST:
        raise StoreError(f"{path} is of an older version: start hotslotd to migrate it")


def _check_integrity(db: Connection, path: Path) -> None:
    found = [str(_one(db, check)) for check in _checks(path.stat().st_size)]
    wrong = [answer for answer in found if answer != "ok"]
    if wrong and _version(db):
        raise StoreDamaged(damaged(path, wrong[0]))


def _checks(size_bytes: int) -> list[str]:
    if size_bytes < CHECK_WHOLE_BELOW_BYTES:
        return ["PRAGMA quick_check(1)"]
    return [f"PRAGMA quick_check({table})" for table in _TABLES_TO_START_FROM]


def _has_tables(db: Connection) -> bool:
    return bool(_one(db, "SELECT count(*) FROM sqlite_schema"))


def _let_shrink(db: Connection) -> None:
    """Have a file of an older version give freed pages back bit by bit, from now on.

    That takes a rewrite of the file, whole or not at all. Where there is no room for it the file
    keeps its size, and its free pages are used again.
    """
    if _one(db, "PRAGMA auto_vacuum") != INCREMENTAL:
        with suppress(sqlite3.OperationalError):
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("VACUUM")


def _use_wal(db: Connection, path: Path) -> None:
    mode = _one(db, "PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise StoreError(f"{path}: its file system cannot share memory (WAL): use a local disk")


def _version(db: Connection) -> int:
    return int(_one(db, "PRAGMA user_version"))


def _one(db: Connection, sql: str) -> str | int:
    """Return the one value of the first row."""
    value: str | int = db.execute(sql).fetchone()[0]
    return value
