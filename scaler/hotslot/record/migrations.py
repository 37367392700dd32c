"""The schema's history: numbered steps, never edited once released, only added to."""

from __future__ import annotations

from dataclasses import dataclass

from hotslot.record import migration_1, migration_2, migration_3


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: the version it leads to, and its statements, run in one transaction."""

    version: int
    statements: tuple[str, ...]


MIGRATIONS = (
    Migration(1, migration_1.STATEMENTS),
    Migration(2, migration_2.STATEMENTS),
    Migration(3, migration_3.STATEMENTS),
)
