"""A report as plain values: columns with units, rows, a line of totals. Pure; forms.py shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

Value = str | int | float | None


class Kind(StrEnum):
    """What a column's values are: its unit, and so how they are shown."""

    NAME = "name"
    """A text that a user or an administrator chose."""
    STATE = "state"
    WORDS = "words"
    """A sentence; folds where it gets narrow."""
    COUNT = "count"
    CORES = "cores"
    CORE_S = "core-seconds"
    """Shown to people as core-hours."""
    SPAN_S = "seconds"
    AT = "time"
    """UTC epoch seconds."""
    SHARE = "share"
    """A fraction; shown to people as a percentage."""

    @property
    def is_text(self) -> bool:
        """Whether values are texts."""
        return self in (Kind.NAME, Kind.STATE, Kind.WORDS)


@dataclass(frozen=True, slots=True)
class Column:
    """``key`` is for programs and says the unit, ``title`` for people. The column with the highest
    ``spare`` is left out first where it gets narrow; one with 0 stays."""

    key: str
    title: str
    kind: Kind
    spare: int = 0


@dataclass(frozen=True, slots=True)
class Sheet:
    """``title`` says what and of which time; ``total`` is a row of its own, '' and None where a
    sum has no meaning. ``notes`` say what the figures leave out."""

    report: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[tuple[Value, ...]]
    total: tuple[Value, ...] | None = None
    notes: tuple[str, ...] = ()
