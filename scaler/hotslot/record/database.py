"""One SQLite connection, and its errors in our words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection

from hotslot.errors import StoreDamaged, StoreError

BUSY_S = 5.0
"""How long a statement waits for another process's lock before it fails."""


class RowRefused(StoreError):
    """A record breaks the schema and never will be written: put it aside, go on."""


_CORRUPT = {"SQLITE_CORRUPT", "SQLITE_NOTADB"}
_SENTENCES = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_BUSY": "it is locked by another process",
    "SQLITE_LOCKED": "it is locked by another process",
    "SQLITE_READONLY": "it cannot be written: check the permissions of the file and its folder",
    "SQLITE_CANTOPEN": "it cannot be opened: check that its folder exists, and its permissions",
    "SQLITE_IOERR": "the disk failed to read or write",
}


def connect(path: Path, mode: str = "rwc", busy_s: float = BUSY_S) -> Connection:
    """Open a connection that commits only when told to; StoreError when it cannot.

    ``mode`` is SQLite's URI parameter: ``rwc`` creates the file, ``ro`` only reads. The
    connection may be handed from one thread to another, and used by one at a time.
    """
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with reported(path):
        return sqlite3.connect(
            uri, uri=True, timeout=busy_s, isolation_level=None, check_same_thread=False
        )


def damaged(path: Path, how: str) -> str:
    """Return the sentence on a damaged database, and what to do about it."""
    return f"{path} is damaged ({how}): an agent sets it aside and begins a new one"


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turn what SQLite raises into StoreError, StoreDamaged or RowRefused, in one sentence."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError) as error:
        raise RowRefused(f"{path}: a record does not fit the schema: {error}") from error
    except (OverflowError, UnicodeError) as error:
        raise RowRefused(f"{path}: a record does not fit the schema: {error}") from error
    except sqlite3.Error as error:
        code = _primary_code(error)
        if code in _CORRUPT:
            raise StoreDamaged(damaged(path, str(error))) from error
        raise StoreError(f"{path}: {_SENTENCES.get(code, str(error))}") from error


def _primary_code(error: sqlite3.Error) -> str:
    """Return SQLITE_IOERR for SQLITE_IOERR_WRITE and so on; '' when SQLite gave no code."""
    name: str = getattr(error, "sqlite_errorname", "")
    return "_".join(name.split("_")[:2])


@contextmanager
def transaction(db: Connection) -> Iterator[None]:
    """Write all of the block or nothing; takes the write lock first, so it never upgrades one."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def savepoint(db: Connection) -> Iterator[None]:
    """Within a transaction, write all of the block or nothing of it."""
    db.execute("SAVEPOINT piece")
    try:
        yield
    except BaseException:
        if db.in_transaction:  # a full disk ends the whole transaction
            db.execute("ROLLBACK TO piece")
        raise
    finally:
        if db.in_transaction:
            db.execute("RELEASE piece")
