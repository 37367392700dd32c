"""Take the record elsewhere: leases and events as CSV or Parquet.

Rows are read and written in pieces, so memory does not grow with the record. Times are UTC epoch
seconds, amounts core-seconds, as in the views ``lease_log`` and ``event_log``. Trace sets:
``export_traces``.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from hotslot.out_file import open_out
from hotslot.record.history import History

PIECE = 10_000
"""Rows in memory at once."""

Kind = Literal["leases", "events"]
Form = Literal["csv", "parquet"]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Span:
    """Leases that were open at some moment of [since, until), and their events."""

    since: float | None = None
    until: float | None = None

    @property
    def condition(self) -> str:
        """SQL on ``leases``, with the values of ``values``."""
        return (
            "(:since IS NULL OR closed_ms > :since OR closed_ms IS NULL) "
            "AND (:until IS NULL OR opened_ms < :until)"
        )

    @property
    def values(self) -> dict[str, object]:
        """Both ends in ms."""
        ends = {"since": self.since, "until": self.until}
        return {name: None if end is None else 1000 * end for name, end in ends.items()}


_INTEGERS = {
    *("id", "lease_id", "run", "cpus", "is_first", "from_vcpus", "to_vcpus", "got_vcpus"),
    *("applied", "refused", "timed_out", "failed", "vm_gone", "lost_samples", "thinned"),
}


def export_rows(
    history: History,
    kind: Kind,
    form: Form,
    path: Path | None,
    span: Span,
    tell: Tell = lambda _: None,
) -> int:
    """Write leases or events; return how many. ``path`` None: CSV to standard output."""
    column, view = ("id", "lease_log") if kind == "leases" else ("lease_id", "event_log")
    names = _names(history, view)
    rows = history.select(
        f"SELECT * FROM {view} WHERE {column} IN "  # noqa: S608 (fixed names)
        f"(SELECT id FROM leases WHERE {span.condition}) ORDER BY {column}"
        + (", at" if kind == "events" else ""),
        span.values,
    )
    write = _write_csv if form == "csv" else _write_parquet
    return write(path, names, _told(_pieces(rows), kind, tell))


def _names(history: History, view: str) -> list[str]:
    return [row[1] for row in history.select(f"PRAGMA table_info({view})")]


def _pieces(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    while piece := list(islice(rows, PIECE)):
        yield piece


def _told(
    pieces: Iterator[list[tuple[Any, ...]]], kind: Kind, tell: Tell
) -> Iterator[list[tuple[Any, ...]]]:
    done = 0
    for piece in pieces:
        yield piece
        done += len(piece)
        tell(f"{done:,} {kind}")


def _write_csv(
    path: Path | None, names: Sequence[str], pieces: Iterator[list[tuple[Any, ...]]]
) -> int:
    written = 0
    with ExitStack() as stack:
        file = (
            sys.stdout
            if path is None
            else stack.enter_context(io.TextIOWrapper(open_out(path), encoding="utf-8", newline=""))
        )
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for piece in pieces:
            writer.writerows(piece)
            written += len(piece)
    return written


def _write_parquet(
    path: Path | None, names: Sequence[str], pieces: Iterator[list[tuple[Any, ...]]]
) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    assert path is not None  # noqa: S101 (the command asks for one)
    schema = pa.schema([(name, _type(pa, name)) for name in names])
    written = 0
    with open_out(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for piece in pieces:
            columns = [
                pa.array(column, type=field.type)
                for column, field in zip(zip(*piece, strict=True), schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            written += len(piece)
    return written


def _type(pa: Any, name: str) -> Any:
    if name in _INTEGERS or name.endswith("_ms"):
        return pa.int64()
    numbers = name == "at" or name.endswith(("_at", "_s", "_cores"))
    return pa.float64() if numbers else pa.string()
