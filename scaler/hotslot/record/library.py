"""sqlite-utils, for commands that look at the record as a database.

The agent does without, which saves it 4 MB.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Hide a module from imports within this block, unless it is imported already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


# It imports numpy where there is one: 17 MB and 0.1 s that no command needs for SQL.
with _hidden("numpy"):
    from sqlite_utils import Database

__all__ = ["Database"]
