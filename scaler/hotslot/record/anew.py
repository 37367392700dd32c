"""The record at an agent's start: opened, or begun anew when the file is damaged."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from hotslot.errors import StoreDamaged
from hotslot.record.aside import set_aside
from hotslot.record.batch import Batch
from hotslot.record.history import History
from hotslot.record.store import Store

log = logging.getLogger(__name__)


def open_or_begin_anew(path: Path, host: str = "") -> tuple[Store, Path | None]:
    """Open the record; of a damaged one, set it aside and return its new name too.

    The new one begins with what can still be read of open leases and of workers: a job goes on
    with its lease, or with a new one from the first comparison with its scheduler.
    """
    try:
        return Store(path, host=host), None
    except StoreDamaged as error:
        log.error("record: %s", error)  # noqa: TRY400 (the sentence says it all)
    left = _left_in(path)
    aside = set_aside(path, time.time())
    store = Store(path, host=host)
    store.append_what_fits(left)
    log.error(
        "record: begun anew with %d open leases; the damaged file is %s", len(left.leases), aside
    )
    return store, aside


def _left_in(path: Path) -> Batch:
    """Return what an agent goes on from, as far as a damaged file still tells it."""
    try:
        with History(path) as history:
            return Batch(
                leases=tuple(history.open_leases()),
                workers=tuple(history.workers()),
                beats=tuple(history.beats()),
            )
    except Exception as error:  # noqa: BLE001 (what is damaged may read as anything)
        log.warning("record: nothing can be read of open leases any more: %s", error)
        return Batch()
