"""Trace sets on disk, and the command that reads them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from hotslot.cli import cli
from hotslot.decide.policies import build
from hotslot.errors import ConfigError
from hotslot.replay import page
from hotslot.replay.cli import parsed
from hotslot.replay.columns import TraceError
from hotslot.replay.figures import Figures
from hotslot.replay.host import gains, on_host
from hotslot.replay.traces import Choose, chunks, whole
from hotslot.report.table import console
from synthetic_sets import jobs_of, write

KEYS = (
    "policy jobs reclaimed_pct oracle_pct eff_pct slowdown_throttle_pct slowdown_total_pct "
    "slowdown_p99_pct worst_pct events_per_job_hour"
)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Six jobs, of which one is too short for the model."""
    write(tmp_path / "set", jobs_of([[1.0] * 90] * 3 + [[4.0] * 200] * 2 + [[2.0] * 30]))
    return tmp_path / "set"


def test_what_is_written_is_read(traces: Path) -> None:
    jobs = whole(traces, Choose(everything=True))
    assert jobs.n.tolist() == [90, 90, 90, 200, 200, 30]
    assert jobs.cores.sum() == 270 + 1600 + 60


def test_the_model_leaves_short_jobs_out(traces: Path) -> None:
    assert len(whole(traces)) == 5


def test_coarse_sets_are_thinned_to_every_fourth_job_and_its_first_day() -> None:
    cap, dt = np.full(9, 4), np.full(9, 30.0)
    kept, n = Choose().of(cap, dt, np.array([5, 10, 20, 30, 40, 50, 60, 70, 9999]))
    assert kept.tolist() == [1, 5]
    kept, n = Choose().of(cap, dt, np.full(9, 9999))
    assert n.tolist() == [2880] * 3


def test_chunks_are_bounded_and_lose_nothing(traces: Path) -> None:
    parts = list(chunks(traces, Choose(everything=True), most=100))
    assert len(parts) > 2
    assert sum(len(part) for part in parts) == 6
    assert max(len(part.cores) for part in parts) <= 300
    spans = [
        part.cores[f : f + n] for part in parts for f, n in zip(part.first, part.n, strict=True)
    ]
    assert np.concatenate(spans).sum() == 270 + 1600 + 60


def test_too_few_samples_are_an_error_with_the_path(traces: Path) -> None:
    (traces / "samples.parquet").unlink()
    write(traces.parent / "other", jobs_of([[1.0] * 10]))
    (traces.parent / "other" / "samples.parquet").rename(traces / "samples.parquet")
    with pytest.raises(TraceError, match="job 1: fewer samples"):
        list(chunks(traces))


@pytest.mark.parametrize(
    ("ids", "ks", "cores", "words"),
    [
        ([2, 2, 1, 1], [0, 1, 0, 1], [1, 1, 1, 1], "row 0 should be job 1, k 0, and is job 2, k 0"),
        ([1, 1, 2, 2], [0, 2, 0, 1], [1, 1, 1, 1], "should be job 1, k 1, and is job 1, k 2"),
        ([1, 2, 2, 2], [0, 0, 1, 2], [1, 1, 1, 1], "should be job 1, k 1, and is job 2, k 0"),
        ([1, 1, 2, 2, 2], [0, 1, 0, 1, 2], [1] * 5, "job 2 has more samples"),
        ([1, 1, 2, 2, 3], [0, 1, 0, 1, 0], [1] * 5, "job 3 has more samples"),
        ([1, 1, 2], [0, 1, 0], [1] * 3, "ends at job 2: fewer samples"),
        ([1, 1, 2, 2], [0, 1, 0, 1], [1, 1, float("nan"), -1], "2 of cores are .* first in job 2"),
        ([1, 1, 2, 2], [0, 1, 0, 1], [1, float("inf"), 1, 1], "1 of cores is .* first in job 1"),
        ([1, 1, 2, 2], [0, 1, 0, 1], [1, None, 1, 1], "1 of cores is .* first in job 1"),
    ],
)
def test_samples_that_do_not_follow_the_jobs_are_refused(
    tmp_path: Path, ids: list[int], ks: list[int], cores: list[float | None], words: str
) -> None:
    write(tmp_path, jobs_of([[1.0] * 2] * 2))
    table = pa.table({"job": ids, "k": ks, "cores": pa.array(cores, pa.float64())})
    pq.write_table(table, tmp_path / "samples.parquet")
    with pytest.raises(TraceError, match=words):
        list(chunks(tmp_path))


def _changed(path: Path, file: str, change: Callable[[Any], Any]) -> None:
    pq.write_table(change(pq.read_table(path / file)), path / file)


def test_a_job_listed_twice_is_refused(traces: Path) -> None:
    twice = pa.array([1, 2, 3, 4, 2, 6])
    _changed(traces, "jobs.parquet", lambda table: table.set_column(0, "job", twice))
    with pytest.raises(TraceError, match="lists job 2 more than once"):
        list(chunks(traces))


@pytest.mark.parametrize(
    ("file", "column"),
    [("samples.parquet", "cores"), ("samples.parquet", "k"), ("jobs.parquet", "cap")],
)
def test_a_missing_column_is_named(traces: Path, file: str, column: str) -> None:
    _changed(traces, file, lambda table: table.drop_columns([column]))
    with pytest.raises(TraceError, match=f"{file} has no column {column}"):
        list(chunks(traces))


def test_jobs_may_be_named_by_words(traces: Path) -> None:
    for file in ("jobs.parquet", "samples.parquet"):
        _changed(traces, file, lambda t: t.set_column(0, "job", t["job"].cast(pa.string())))
    assert len(whole(traces)) == 5


def test_samples_above_the_request_are_cut_and_said(tmp_path: Path) -> None:
    write(tmp_path, jobs_of([[1.0] * 60 + [9.0] * 10]))
    notes: list[str] = []
    assert whole(tmp_path, note=notes.append).cores.max() == 8
    assert notes == ["10 of 70 samples are above what their job asked for, and were cut"]


def test_jobs_without_a_request_are_said_to_be_left_out(traces: Path) -> None:
    caps = pa.array([8, 0, 8, 8, 8, 8])
    _changed(traces, "jobs.parquet", lambda table: table.set_column(3, "cap", caps))
    notes: list[str] = []
    assert len(whole(traces, note=notes.append)) == 4
    assert notes == ["1 of 6 jobs have cap 0 or n 0, and are left out"]


def test_an_empty_choice_says_what_would_take_more(traces: Path) -> None:
    write(traces, jobs_of([[1.0] * 5]))
    done = CliRunner().invoke(cli, ["replay", str(traces)])
    assert isinstance(done.exception, TraceError)
    assert "--all takes" in str(done.exception)


def test_a_directory_without_traces_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="is no trace set"):
        list(chunks(tmp_path))


def test_json_has_one_object_a_policy_with_all_keys(traces: Path) -> None:
    names = [
        "--policy",
        "hotslot:harm_budget_pct=0.25",
        "--policy",
        "window:window_s=30:margin_pct=5",
    ]
    done = CliRunner().invoke(cli, ["replay", str(traces), *names, "--json"])
    assert done.exit_code == 0, done.output
    first, second = json.loads(done.output)
    assert list(first) == list(second) == KEYS.split()
    assert first["jobs"] == 5


def test_the_table_shows_oracles_and_a_plot(traces: Path, tmp_path: Path) -> None:
    picture = tmp_path / "plot.svg"
    arguments = ["replay", str(traces), "--policy", "window", "--svg", str(picture)]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert "oracle:hold-60s" in done.output
    assert "eff % over slow-down %" in done.output
    assert picture.read_text().startswith("<svg")


def test_a_host_reports_gain_over_static(traces: Path) -> None:
    done = CliRunner().invoke(
        cli, ["replay", str(traces), "--policy", "hotslot", "--host-cores", "16", "--json"]
    )
    assert done.exit_code == 0, done.output
    static, hotslot = json.loads(done.output)
    assert (static["policy"], static["gain_pct"]) == ("static", 0)
    assert hotslot["host_cores"] == 16


def test_hosts_name_their_sets_and_say_which_jobs_are_too_large(
    traces: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    write(other, jobs_of([[1.0] * 90] * 2, cap=4))
    _changed(other, "jobs.parquet", lambda t: t.set_column(3, "cap", pa.array([4, 99])))
    arguments = ["replay", str(traces), str(other), "--policy", "window", "--host-cores", "16"]
    done = CliRunner().invoke(cli, [*arguments, "--json"])
    assert [row["trace"] for row in json.loads(done.stdout)] == [str(traces)] * 2 + [str(other)] * 2
    assert "1 jobs ask for more than 16 cores" in done.stderr
    shown = CliRunner().invoke(cli, arguments).stdout
    assert shown.index(str(traces)) < shown.index(str(other))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host-cores", "16", "--svg", "x.svg"], "leave --host-cores out"),
        (["--svg", "/nowhere/x.svg"], "cannot write /nowhere/x.svg: No such file"),
        (["--cooldown", "nan"], "nan is no number"),
    ],
)
def test_a_command_line_that_cannot_be_is_refused(
    traces: Path, arguments: list[str], words: str
) -> None:
    done = CliRunner().invoke(cli, ["replay", str(traces), *arguments])
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())


@pytest.mark.parametrize("width", [*range(30, 130, 7), 80])
def test_a_narrow_table_never_cuts_a_number(width: int) -> None:
    names = ["hotslot:harm_budget_pct=0.5:patience_s=20", "window"]
    numbers = (123456, 12.34, 50.0, 98.7, 123.456, 234.567, 345.67, 4567.8, 345.6)
    rows = [Figures(name, numbers[0], *numbers[1:]) for name in names]
    text = io.StringIO()
    console(text, width).print(page.table(rows))
    head, _, first, second, *below = text.getvalue().splitlines()
    assert all(len(line.rstrip()) <= width for line in (head, first, second))
    shown = first.split()[1:]
    assert (
        shown
        == ["123,456", "12.34", "98.7", "123.456", "234.567", "345.67", "4567.8", "345.6"][
            : len(shown)
        ]
    )
    assert second.split()[0] == "window"
    assert bool(below) is (len(shown) < 8)


def test_freed_cores_start_the_next_job() -> None:
    jobs = jobs_of([[1.0] * 300] * 8, cap=4)
    rows = gains([on_host(name, parsed(name), jobs, 8) for name in ("static", "hotslot")])
    assert rows[1].gain_pct > 20
    assert rows[1].wait_mean_h < rows[0].wait_mean_h


def test_a_policy_is_named_with_its_parameters() -> None:
    assert parsed("window:window_s=30:margin_pct=5") == build(
        "window", {"window_s": 30, "margin_pct": 5}
    )


@pytest.mark.parametrize(
    "text",
    [
        "window:window_s=3:window_s=4",
        "windw",
        "window:window_s",
        "window:size=3",
        "window:window_s=no",
    ],
)
def test_a_policy_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parsed(text)
