"""The demand of recorded jobs as a trace set, in the form that ``hotslot replay`` reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from hotslot.export import Span
from hotslot.record.history import History
from hotslot.replay.recorded import jobs_from
from hotslot.replay.traces import Jobs

PIECE = 1_000_000
"""Samples in memory at once, besides those of one lease."""


def export_traces(
    history: History, path: Path, span: Span, tell: Callable[[str], None] = lambda _: None
) -> int:
    """Write closed leases as the jobs of a trace set, by their start; return how many.

    One sample a second; a lease without samples (pruned, or too short for one) is left out.
    """
    ids = [
        lease_id
        for (lease_id,) in history.select(
            f"SELECT id FROM leases WHERE closed_ms IS NOT NULL AND {span.condition} "  # noqa: S608
            "ORDER BY opened_ms, id",
            span.values,
        )
    ]
    with TraceSet(path) as traces:
        for lease_id in ids:
            lease, samples = history.lease(lease_id), history.samples(lease_id)
            if lease is not None and samples:
                start = samples[0].at - samples[0].interval_s
                traces.add(jobs_from([(lease.request, samples)]), lease.placement.name, start)
                tell(f"{len(traces):,} of {len(ids):,} jobs")
    return len(traces)


class TraceSet:
    """Writes the two files of a set, job by job; jobs are numbered from 1."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path.mkdir(parents=True, exist_ok=True)
        self._path = path
        schema = [("job", pa.int64()), ("k", pa.int32()), ("cores", pa.float32())]
        self._schema = pa.schema(schema)
        self._writer = pq.ParquetWriter(path / "samples.parquet", self._schema)
        self._jobs: list[dict[str, Any]] = []
        self._waiting: list[tuple[int, Jobs]] = []
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

    def add(self, one: Jobs, name: str, start: float) -> None:
        """Take one job; ``start`` is on any clock, the same for all."""
        if not self._jobs:
            self._begin = start
        self._jobs.append(
            {
                "job": len(self._jobs) + 1,
                "name": name,
                "app": "",
                "cap": int(one.cap[0]),
                "dt": float(one.dt[0]),
                "n": int(one.n[0]),
                "start": start - self._begin,
            }
        )
        self._waiting.append((len(self._jobs), one))
        self._samples += int(one.n[0])
        if self._samples >= PIECE:
            self._write_samples()

    def _write_samples(self) -> None:
        import pyarrow as pa

        if self._waiting:
            counts = [int(one.n[0]) for _, one in self._waiting]
            columns = [
                np.repeat([number for number, _ in self._waiting], counts),
                np.concatenate([np.arange(count, dtype=np.int32) for count in counts]),
                np.concatenate([one.cores for _, one in self._waiting]).astype(np.float32),
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
        pq.write_table(pa.Table.from_pylist(self._jobs, schema=schema), self._path / "jobs.parquet")
