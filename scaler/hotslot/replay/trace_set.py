"""Writing a trace set, in the form that traces.py reads."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from hotslot.out_file import open_out
from hotslot.replay.columns import Floats

PIECE = 1_000_000
"""Samples in memory at once, besides those of one job."""


class TraceSet:
    """Writes the two files of a set, job by job; jobs are numbered from 1."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path.mkdir(parents=True, exist_ok=True)
        self._path = path
        schema = [("job", pa.int64()), ("k", pa.int32()), ("cores", pa.float32())]
        self._schema = pa.schema(schema)
        self._file = open_out(path / "samples.parquet")
        self._writer = pq.ParquetWriter(self._file, self._schema)
        self._jobs: list[dict[str, Any]] = []
        self._waiting: list[tuple[int, Floats]] = []
        self._samples = 0
        self._begin = 0.0

    def __len__(self) -> int:
        return len(self._jobs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._write_samples()
                self._write_jobs()
        finally:
            self._writer.close()
            self._file.close()

    def add(
        self, cores: Floats, *, cap: int, dt: float, start: float, name: str, app: str = ""
    ) -> None:
        """Take one job: the cores that it used, a sample every ``dt`` seconds, of ``cap`` CPUs.

        ``start`` is on any clock, the same for all; the first job's is the set's 0.
        """
        if not self._jobs:
            self._begin = start
        self._jobs.append(
            {
                "job": len(self._jobs) + 1,
                "name": name,
                "app": app,
                "cap": cap,
                "dt": dt,
                "n": len(cores),
                "start": start - self._begin,
            }
        )
        self._waiting.append((len(self._jobs), cores))
        self._samples += len(cores)
        if self._samples >= PIECE:
            self._write_samples()

    def _write_samples(self) -> None:
        import pyarrow as pa

        if self._waiting:
            counts = [len(cores) for _, cores in self._waiting]
            columns = [
                np.repeat([number for number, _ in self._waiting], counts),
                np.concatenate([np.arange(count, dtype=np.int32) for count in counts]),
                np.concatenate([cores for _, cores in self._waiting]).astype(np.float32),
            ]
            self._writer.write_table(pa.table(columns, schema=self._schema))
        self._waiting, self._samples = [], 0

    def _write_jobs(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema(
            [
                *(("job", pa.int64()), ("name", pa.string()), ("app", pa.string())),
                *(("cap", pa.int64()), ("dt", pa.float64()), ("n", pa.int64())),
                ("start", pa.float64()),
            ]
        )
        with open_out(self._path / "jobs.parquet") as file:
            pq.write_table(pa.Table.from_pylist(self._jobs, schema=schema), file)
