"""What the forecast has learned, kept beside the record, so that a new agent need not begin anew.

It is only learned, never relied on: a file that is missing, torn or foreign is left out, said once.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from hotslot.decide.forecast import Forecast

log = logging.getLogger(__name__)

MOST_BYTES = 4 * 2**20
"""A file longer than this was not written here: 256 families are some 150 KiB."""

DIGITS = 4
"""Decimals that are kept: counts of spans, and parts of them."""


def beside(database: Path) -> Path:
    """Return the file's path, for the record's."""
    return database.with_name(database.name + ".forecast.json")


def recall(forecast: Forecast, path: Path) -> bool:
    """Go on from what an agent before has learned; False when there is nothing to go on from."""
    try:
        with path.open("rb") as file:
            said = file.read(MOST_BYTES + 1)
        remembered = json.loads(said) if len(said) <= MOST_BYTES else None
    except FileNotFoundError:
        return False
    except (OSError, ValueError, RecursionError) as error:
        log.warning("what jobs take back is learned anew: %s: %s", path, error)
        return False
    if not isinstance(remembered, dict):
        log.warning("what jobs take back is learned anew: %s was not written by hotslot", path)
        return False
    forecast.recall(remembered)
    return True


def remember(remembered: Mapping[str, object], path: Path) -> bool:
    """Write down what was learned, whole or not at all; False when that failed, which is logged."""
    words = json.dumps(_short(remembered), separators=(",", ":"))
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(fresh, flags, 0o640), "w") as file:
            file.write(words)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        log.warning("what was learned of jobs is not kept: %s", error)
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        return False
    return True


def _short(value: object) -> object:
    """Round all numbers."""
    if isinstance(value, Mapping):
        return {name: _short(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_short(one) for one in value]
    return round(value, DIGITS) if isinstance(value, float) else value
