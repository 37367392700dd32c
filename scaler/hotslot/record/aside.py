"""Where a damaged database goes, so that a new one can take its place."""

from __future__ import annotations

import time
from pathlib import Path

from hotslot.errors import StoreError

COMPANIONS = ("-wal", "-shm")
"""SQLite's own files beside a database; what they hold belongs to it."""


def set_aside(path: Path, at: float) -> Path:
    """Rename a database and SQLite's files beside it; return its new name.

    ``at`` is UTC. Worked: hotslot.db becomes hotslot.db.damaged-20261122T012000Z. Nothing is ever
    overwritten. Raises StoreError when it cannot be renamed.
    """
    aside = _free_name(path, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at)))
    try:
        for companion in COMPANIONS:
            beside = path.with_name(path.name + companion)
            if beside.exists():
                beside.rename(aside.with_name(aside.name + companion))
        path.rename(aside)
    except OSError as error:
        raise StoreError(f"{path} is damaged and cannot be renamed: {error.strerror}") from error
    return aside


def _free_name(path: Path, when: str) -> Path:
    name = f"{path.name}.damaged-{when}"
    aside, number = path.with_name(name), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{name}-{number}")
    return aside
