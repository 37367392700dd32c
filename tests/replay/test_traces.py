"""Trace sets on disk, and the command that reads them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hotslot.cli import cli
from hotslot.decide.policies import build
from hotslot.errors import ConfigError
from hotslot.replay.cli import parsed
from hotslot.replay.host import gains, on_host
from hotslot.replay.traces import Choose, TraceError, chunks, whole, write
from synthetic_sets import jobs_of

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
    with pytest.raises(TraceError, match="fewer samples"):
        list(chunks(traces))


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
    "text", ["windw", "window:window_s", "window:size=3", "window:window_s=no"]
)
def test_a_policy_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parsed(text)
