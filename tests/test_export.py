"""What is exported is what is recorded, and a trace set is read back as it was."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hotslot.export import Form, Kind, Span, export_rows
from hotslot.export_traces import export_traces
from hotslot.record.store import Store
from hotslot.replay.recorded import jobs_from
from hotslot.replay.traces import Choose, whole
from record.lives import Life, a_life, live


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "hotslot.db", host="n1") as store:
        hostile = replace(a_life("12", 3000.0).of, name='a,"b\n=1+1')
        live(
            store,
            [
                Life(a_life("10", 1000.0).of, 1000.0, (4,) * 90, used=1.5),
                Life(a_life("11", 2000.0).of, 2000.0, (4, 4, 2, 2) * 20, used=3.0),
                Life(hostile, 3000.0, (2,) * 70, used=0.5),
                Life(a_life("13", 4000.0).of, 4000.0, reason=None),
            ],
        )
        yield store


def read(path: Path, form: Form) -> list[dict[str, str]]:
    if form == "parquet":
        return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize(("kind", "rows"), [("leases", 4), ("events", 8)])
def test_rows_are_those_of_the_record(
    store: Store, tmp_path: Path, form: Form, kind: Kind, rows: int
) -> None:
    path = tmp_path / f"out.{form}"
    assert export_rows(store, kind, form, path, Span()) == rows
    found = read(path, form)
    assert len(found) == rows
    if kind == "leases":
        assert [row["name"] for row in found] == ["train", "train", 'a,"b\n=1+1', "train"]
        assert [float(row["used_core_s"]) for row in found[:1]] == [135.0]
        assert found[3]["closed_at"] in (None, "")
    else:
        assert {row["reason"] for row in found} == {"peak of 60 s is 1.1 of 4 cores"}
        assert float(found[0]["at"]) == 1000.5


def test_a_span_takes_leases_that_were_open_in_it(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    assert export_rows(store, "leases", "parquet", path, Span(1050.0, 2500.0)) == 2
    assert export_rows(store, "leases", "parquet", path, Span(9e9)) == 1, "the open one"
    assert export_rows(store, "events", "parquet", path, Span(None, 10.0)) == 0
    assert pq.read_table(path).column_names[0] == "lease_id"


def test_a_trace_set_is_read_back(store: Store, tmp_path: Path) -> None:
    told: list[str] = []
    assert export_traces(store, tmp_path / "set", Span(), told.append) == 3
    jobs = whole(tmp_path / "set", Choose(everything=True))
    wanted = jobs_from([(4, store.samples(lease)) for lease in (1, 2, 3)])
    assert jobs.n.tolist() == wanted.n.tolist() == [90, 80, 70]
    assert jobs.cap.tolist() == wanted.cap.tolist()
    assert jobs.cores.tolist() == pytest.approx(wanted.cores.tolist())
    assert jobs.start.tolist() == [0.0, 1000.0, 2000.0]
    assert pq.read_table(tmp_path / "set" / "jobs.parquet")["name"].to_pylist()[2] == 'a,"b\n=1+1'
    assert told[-1] == "3 of 3 jobs"


def test_many_jobs_are_written_piece_by_piece(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotslot.replay.trace_set.PIECE", 100)
    monkeypatch.setattr("hotslot.export.PIECE", 2)
    export_traces(store, tmp_path / "set", Span())
    assert len(whole(tmp_path / "set", Choose(everything=True))) == 3
    assert export_rows(store, "events", "parquet", tmp_path / "e.parquet", Span()) == 8
    assert pq.read_table(tmp_path / "e.parquet").num_rows == 8


def test_nothing_to_export_makes_an_empty_set(tmp_path: Path) -> None:
    with Store(tmp_path / "empty.db") as store:
        assert export_traces(store, tmp_path / "set", Span()) == 0
        assert export_rows(store, "leases", "csv", tmp_path / "l.csv", Span()) == 0
