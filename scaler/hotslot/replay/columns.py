"""The two Parquet files of a trace set, column by column; what does not fit together is refused.

Samples are found by their position, so each row's ``job`` and ``k`` are compared with what
``jobs.parquet`` promises for it: a set in another order would give plausible, wrong figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hotslot.errors import HotslotError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Note = Callable[[str], None]
"""Takes a sentence that the user should read: what was cut or left out."""

JOBS, SAMPLES = "jobs.parquet", "samples.parquet"
BATCH = 1 << 20
SLACK_CORES = 1e-6


class TraceError(HotslotError):
    """A trace set cannot be read: say which and why."""

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        super().__init__(f"{path}: {what}")


@dataclass(frozen=True)
class Listed:
    """The jobs of a set as ``jobs.parquet`` lists them, in its order; ``ids`` is Arrow's array."""

    ids: Any
    cap: Ints
    dt: Floats
    n: Ints
    start: Floats
    app: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.cap)


def listed(path: Path) -> Listed:
    """Read and check ``jobs.parquet``; raises TraceError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path / JOBS)
    except (OSError, pa.ArrowException) as error:
        raise TraceError(path, f"is no trace set: {error}") from error
    _has(path, JOBS, table.column_names, ("job", "app", "cap", "dt", "n", "start"))
    for name in ("job", "cap", "dt", "n", "start"):
        if table[name].null_count:
            raise TraceError(path, f"{JOBS} has empty fields in column {name}")
    ids = table["job"].combine_chunks()
    try:
        cap, dt, n, start = (
            np.asarray(table[name].to_numpy(), dtype=np.float64)
            for name in ("cap", "dt", "n", "start")
        )
    except (ValueError, TypeError) as error:
        raise TraceError(path, f"{JOBS} cannot be used: {error}") from error
    app = tuple(str(one or "") for one in table["app"].to_pylist())
    numbers = {"cap": cap >= 0, "dt": dt > 0, "n": n >= 0, "start": start > -np.inf}
    for (name, right), column in zip(numbers.items(), (cap, dt, n, start), strict=True):
        wrong = np.flatnonzero(~(right & np.isfinite(column)))
        if len(wrong):
            at = int(wrong[0])
            raise TraceError(path, f"{JOBS}: job {ids[at]} has {name} {column[at]:g}")
    _each_once(path, ids)
    return Listed(ids, cap.astype(np.int64), dt, n.astype(np.int64), start, app)


def samples(path: Path, jobs: Listed, note: Note) -> Iterator[Floats]:
    """Yield ``cores`` in pieces, cut at what jobs asked for; raises TraceError.

    Reads to the end, so the last piece is asked for before the file is known to be right.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path / SAMPLES) as file:
            _has(path, SAMPLES, file.schema_arrow.names, ("job", "k", "cores"))
            batches = file.iter_batches(columns=["job", "k", "cores"], batch_size=BATCH)
            yield from _checked(path, jobs, batches, note)
    except (OSError, ValueError, TypeError, KeyError, pa.ArrowException) as error:
        raise TraceError(path, f"{SAMPLES} cannot be read: {error}") from error


def _checked(path: Path, jobs: Listed, batches: Iterator[Any], note: Note) -> Iterator[Floats]:
    ends, total = np.cumsum(jobs.n), int(jobs.n.sum())
    row, above = 0, 0
    for batch in batches:
        rows = np.arange(row, row + len(batch))
        of = np.searchsorted(ends, rows[: max(0, total - row)], side="right")
        _in_order(path, jobs, batch, of, rows)
        cores = _floats(batch)
        if not _usable(cores).all():
            raise TraceError(path, _unusable(cores, jobs, of, batches))
        most = jobs.cap[of].astype(np.float64)
        above += int(((cores > most + SLACK_CORES) & (most >= 1)).sum())
        yield np.minimum(cores, most)
        row += len(batch)
    if row < total:
        short = int(np.searchsorted(ends, row, side="right"))
        what = f"ends at job {jobs.ids[short]}: fewer samples than {JOBS} says"
        raise TraceError(path, f"{SAMPLES} {what}")
    if above:
        note(f"{above:,} of {total:,} samples are above what their job asked for, and were cut")


def _in_order(path: Path, jobs: Listed, batch: Any, of: Ints, rows: Ints) -> None:
    """Compare each row's job and k with those that its position stands for."""
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute
    here = batch.slice(0, len(of))
    same = pc.equal(here.column("job").cast(jobs.ids.type), jobs.ids.take(pa.array(of)))
    k = np.asarray(here.column("k").to_numpy(zero_copy_only=False))
    begins = np.cumsum(jobs.n) - jobs.n
    right = same.fill_null(False).to_numpy(zero_copy_only=False) & (
        k == rows[: len(of)] - begins[of]
    )
    if not right.all():
        at = int(np.flatnonzero(~right)[0])
        wanted = f"job {jobs.ids[int(of[at])]}, k {int(rows[at] - begins[of[at]])}"
        found = f"job {batch.column('job')[at]}, k {batch.column('k')[at]}"
        where = f"row {int(rows[at]):,} should be {wanted}, and is {found}"
        raise TraceError(path, f"{SAMPLES} is not in the order of {JOBS}: {where}")
    if len(of) < len(batch):
        what = f"job {batch.column('job')[len(of)]} has more samples than {JOBS} says"
        raise TraceError(path, f"{SAMPLES}: {what}")


def _unusable(cores: Floats, jobs: Listed, of: Ints, rest: Iterator[Any]) -> str:
    wrong = ~_usable(cores)
    count = int(wrong.sum()) + sum(int((~_usable(_floats(batch))).sum()) for batch in rest)
    job = jobs.ids[int(of[int(np.flatnonzero(wrong)[0])])]
    what = "is" if count == 1 else "are"
    return f"{SAMPLES}: {count:,} of cores {what} empty, infinite or negative, first in job {job}"


def _usable(cores: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(cores) & (cores >= 0))


def _floats(batch: Any) -> Floats:
    return np.asarray(batch.column("cores").to_numpy(zero_copy_only=False), dtype=np.float64)


def _has(path: Path, file: str, there: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in there]
    if missing:
        raise TraceError(path, f"{file} has no column {', '.join(missing)}")


def _each_once(path: Path, ids: Any) -> None:
    import pyarrow.compute

    pc: Any = pyarrow.compute
    counts = pc.value_counts(ids)
    often = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(often):
        raise TraceError(path, f"{JOBS} lists job {often[0]['values']} more than once")
