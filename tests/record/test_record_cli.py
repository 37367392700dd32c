"""`hotslot verify`, `prune` and `export` as they are typed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hotslot.cli import cli
from hotslot.record.store import Store
from record.lives import a_life, live


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A configuration with a record of two jobs long ago."""
    (tmp_path / "hotslot.yaml").write_text(CONFIG.format(home=tmp_path))
    with Store(tmp_path / "hotslot.db", host="n1") as store:
        live(store, [a_life("10", 1000.0), a_life("11", 2000.0)])
    return tmp_path


CONFIG = """
driver: {{name: qemu, settings: {{qmp_dir: {home}}}}}
scheduler: [{{name: slurm}}]
workers: [{{name: w1, vm: w1, ceiling: 4}}]
record: {{database: {home}/hotslot.db}}
"""


def run(home: Path, *argv: str) -> Result:
    return CliRunner().invoke(cli, ["-c", str(home / "hotslot.yaml"), *argv])


def test_a_record_that_adds_up_is_exit_0(home: Path) -> None:
    done = run(home, "verify")
    assert done.exit_code == 0, done.output
    assert "0 wrong" in done.output
    found = json.loads(run(home, "verify", "--json").output)
    assert {one["level"] for one in found} == {"ok"}


def test_a_record_that_does_not_is_exit_1_and_says_where(home: Path) -> None:
    with closing(sqlite3.connect(home / "hotslot.db")) as connection:
        connection.execute("UPDATE daily SET held_core_ms = 1")
        connection.commit()
    done = run(home, "verify")
    assert done.exit_code == 1
    assert "held_core_ms 1, the leases add up to 28000" in " ".join(done.output.split())


def test_pruning_says_what_would_go_and_what_went(home: Path) -> None:
    would = run(home, "prune", "--dry-run")
    assert would.output.startswith("10 samples, 2 decisions, 4 events and 2 leases would go")
    gone = json.loads(run(home, "prune", "--keep", "400d", "--samples", "7d", "--json").output)
    assert (gone["leases"], gone["samples"], gone["dry_run"]) == (2, 10, False)
    assert "0 leases are gone" in run(home, "prune").output
    assert run(home, "verify").exit_code == 0


def test_an_age_that_is_none_is_refused(home: Path) -> None:
    done = run(home, "prune", "--keep", "forever")
    assert done.exit_code == 2
    assert "say 30d" in done.output


def test_exports_go_to_files_and_csv_to_stdout(home: Path) -> None:
    assert run(home, "export", "leases", str(home / "l.parquet")).exit_code == 0
    assert (home / "l.parquet").stat().st_size
    done = run(home, "export", "events", "-", "--since", "1970-01-01")
    assert done.stdout.splitlines()[0].startswith("lease_id,at,worker")
    assert len(done.stdout.splitlines()) == 5
    done = run(home, "export", "traces", str(home / "set"), "--json")
    assert json.loads(done.stdout) == {"what": "traces", "written": 2}
    assert (home / "set" / "samples.parquet").exists()


def test_what_cannot_be_exported_is_refused(home: Path) -> None:
    assert run(home, "export", "traces", "-").exit_code == 2
    assert run(home, "export", "leases", "-", "--format", "parquet").exit_code == 2
    done = run(home, "export", "traces", str(home / "none"), "--since", "2020-01-01")
    assert done.exit_code == 1
