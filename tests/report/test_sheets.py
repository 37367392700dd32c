"""Every report in every format as it was last looked at, and what is said when one fails."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from hotslot import report_options, terminal
from hotslot.cli import cli
from hotslot.record.history import History
from hotslot.report_options import JOB_SORTS, SUM_SORTS
from report.week import DAY, HOSTILE, MONDAY, week

Golden = Callable[[str, object], None]
WEEK = ("--since", "2026-11-09", "--until", "2026-11-16")
GROUPS = ("users", "accounts", "partitions", "hosts", "cluster")
DOCUMENT = Path(__file__).parents[2] / "docs" / "reports.md"
FORMS = {"table": "txt", "csv": "csv", "json": "json", "md": "md"}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration with a week's record."""
    home = tmp_path_factory.mktemp("week")
    week(home / "hotslot.db")
    settings = {
        "workers": [{"name": "w1", "ceiling": 8}],
        "driver": {"name": "qemu", "qmp_socket": "/x/{vm}"},
        "scheduler": {"name": "slurm", "source": "scontrol", "command": ["false"]},
        "record": {"database": str(home / "hotslot.db")},
    }
    (home / "hotslot.yaml").write_text(yaml.safe_dump(settings))
    return home / "hotslot.yaml"


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The week has just ended."""
    monkeypatch.setattr(report_options.time, "time", lambda: MONDAY + 7 * DAY)


def run(config: Path, *arguments: str, width: int = 120) -> Result:
    """Run a command as ``hotslot`` does, in a terminal of some width."""
    env = {"COLUMNS": str(width), "LANG": "C.UTF-8"}
    return CliRunner().invoke(cli, ["-c", str(config), *arguments], env=env, prog_name="hotslot")


def told(config: Path, *arguments: str) -> Any:
    """Return what a command says with --json."""
    done = run(config, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("what", [*GROUPS, "jobs"])
def test_reports_look_as_they_did(config: Path, what: str, form: str, golden: Golden) -> None:
    few = ("--limit", "12") if what == "jobs" else ()
    done = run(config, "report", what, *WEEK, *few, "--format", form)
    assert done.exit_code == 0, done.output
    golden(f"report-{what}.{FORMS[form]}", done.stdout.replace("\r\n", "\n"))


@pytest.mark.parametrize("width", [80, 200])
def test_a_report_fits_its_terminal(config: Path, width: int, golden: Golden) -> None:
    done = run(config, "report", "users", *WEEK, width=width)
    assert max(map(len, done.stdout.splitlines())) <= width
    golden(f"report-users-{width}.txt", done.stdout)


@pytest.mark.parametrize("form", FORMS)
def test_advice_looks_as_it_did(config: Path, form: str, golden: Golden) -> None:
    done = run(config, "advise", "--user", "alice", "--format", form)
    golden(f"advise.{FORMS[form]}", done.stdout.replace("\r\n", "\n"))


def test_a_user_is_told_what_to_change(config: Path, golden: Golden) -> None:
    golden("report-user.txt", run(config, "report", "user", "alice", *WEEK).stdout)


def test_help_looks_as_it_did(config: Path, golden: Golden) -> None:
    for words in (["report"], ["report", "users"], ["report", "jobs"], ["report", "user"],
                  ["advise"], ["explain"], ["status"]):  # fmt: skip
        golden(f"help-{'-'.join(words)}.txt", run(config, *words, "--help").stdout)


def test_reports_agree_with_one_another(config: Path) -> None:
    totals = [told(config, "report", what, *WEEK)["total"] for what in GROUPS]
    keys = ("jobs", "requested_core_s", "held_core_s", "used_core_s", "returned_core_s")
    for total in totals[1:]:
        for key in keys:
            assert total[key] == pytest.approx(totals[0][key])
    jobs = told(config, "report", "jobs", *WEEK, "--limit", "1000")["rows"]
    ended = sum(job["held_core_s"] for job in jobs if job["state"] != "running")
    assert ended == pytest.approx(totals[0]["held_core_s"])


def test_a_share_is_never_above_one_for_a_job_on_several_workers(config: Path) -> None:
    (mpi,) = told(config, "report", "jobs", *WEEK, "--user", "dave")["rows"]
    assert mpi["parts"] == 2
    assert mpi["requested_vcpus"] == 8
    assert 0.9 < mpi["efficiency_of_request"] < 1
    array = told(config, "report", "jobs", *WEEK, "--sort", "newest", "--limit", "99")["rows"]
    assert [job["parts"] for job in array if job["job"] == "400"] == [3]


def test_a_job_of_two_seconds_has_a_line(config: Path) -> None:
    jobs = told(config, "report", "jobs", *WEEK, "--limit", "99")["rows"]
    (short,) = [job for job in jobs if job["name"] == "short"]
    assert short["ran_s"] == 2
    assert short["requested_core_s"] == 4


@pytest.mark.parametrize("state", ["completed", "failed", "timeout", "cancelled"])
def test_sums_by_state_are_those_of_its_jobs(config: Path, state: str) -> None:
    total = told(config, "report", "users", *WEEK, "--state", state)["total"]
    jobs = told(config, "report", "jobs", *WEEK, "--state", state, "--limit", "99")["rows"]
    single = [job for job in jobs if job["parts"] == 1]
    assert total["held_core_s"] >= sum(job["held_core_s"] for job in single) - 0.01
    by_class = told(config, "report", "users", *WEEK)["total"]
    key = {"timeout": "timed_out"}.get(state, state)
    assert total["leases"] == by_class[key]


@pytest.mark.parametrize("sort", SUM_SORTS)
def test_sums_are_sorted_by_any_figure(config: Path, sort: str) -> None:
    rows = told(config, "report", "users", *WEEK, "--sort", sort)["rows"]
    assert len(rows) == 4 + len(HOSTILE)
    if sort in ("held", "used"):
        held = [row[f"{sort}_core_s"] for row in rows]
        assert held == sorted(held, reverse=True)
        last = told(config, "report", "users", *WEEK, "--sort", sort, "--lowest-first")["rows"]
        assert last[-1]["user"] == rows[0]["user"]


@pytest.mark.parametrize("sort", JOB_SORTS)
def test_jobs_are_sorted_by_any_figure(config: Path, sort: str) -> None:
    assert run(config, "report", "jobs", *WEEK, "--sort", sort).exit_code == 0


def test_the_limit_leaves_out_lines_and_says_so_but_totals_have_all(config: Path) -> None:
    done = told(config, "report", "users", *WEEK, "--limit", "2")
    assert len(done["rows"]) == 2
    assert "12 more in the totals" in done["notes"][0]
    assert done["total"] == told(config, "report", "users", *WEEK)["total"]
    assert "the first 3, by idle" in run(
        config, "report", "jobs", *WEEK, "--limit", "3", "--sort", "idle").output  # fmt: skip


def test_hosts_and_days_say_what_the_host_was_like(config: Path) -> None:
    assert "of 16 cores on average" in run(config, "report", "cluster", *WEEK).stdout


def test_alone_it_reports_the_days_of_a_week(config: Path) -> None:
    assert "cluster: jobs that ended" in run(config, "report").stdout
    assert json.loads(run(config, "report", "--json").stdout)["report"] == "cluster"


def test_a_file_s_ending_says_its_format(config: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "a.json", "a.md", "a.parquet", "a.txt"):
        done = run(config, "report", "users", *WEEK, "-o", str(tmp_path / name))
        assert (done.exit_code, done.stdout) == (0, "")
    from pyarrow import parquet

    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.num_rows == 4 + len(HOSTILE)
    assert str(table.schema.field("jobs").type) == "int64"
    assert (tmp_path / "a.txt").read_text().startswith("users: jobs that ended")
    assert json.loads((tmp_path / "a.json").read_text())["report"] == "users"


@pytest.mark.parametrize(
    "words", [["jobs"], ["users"], ["cluster", "--state", "failed"], ["user", "alice"]]
)
def test_a_page_is_written_and_its_size_said(
    config: Path, tmp_path: Path, words: list[str]
) -> None:
    done = run(config, "report", *words, *WEEK, "--html", str(tmp_path / "a.html"))
    assert (done.exit_code, done.stdout) == (0, ""), done.output
    assert re.search(r"a\.html: 0\.\d\d MiB in \d+\.\d s", done.stderr)
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")


def test_parquet_of_jobs_has_times(config: Path, tmp_path: Path) -> None:
    done = run(config, "report", "jobs", *WEEK, "-o", str(tmp_path / "jobs.parquet"))
    assert done.exit_code == 0, done.output
    from pyarrow import parquet

    table = parquet.read_table(tmp_path / "jobs.parquet")
    assert str(table.schema.field("opened_at").type) == "timestamp[ms, tz=UTC]"
    assert HOSTILE[0] in table.column("name").to_pylist()


def test_a_spreadsheet_takes_nothing_for_a_formula(config: Path) -> None:
    out = run(config, "report", "jobs", *WEEK, "--limit", "99", "--format", "csv").stdout
    rows = list(csv.reader(io.StringIO(out, newline="")))
    assert {len(row) for row in rows} == {len(rows[0])}
    for row in rows:
        for text in row:
            assert not re.match(r"\s*[=+@-]", text) or re.fullmatch(r"-?[\d.e-]+", text)
    assert any(text.startswith("'=cmd|") for row in rows for text in row)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["report", "users", "--since", "nonsense"], 2, "is no time"),
        (["report", "users", "--since", "1d", "--until", "2d"], 2, "--until is not after"),
        (["report", "users", "--state", "running"], 2, "is no end that sums know"),
        (["report", "users", "--format", "csv", "--json"], 2, "exclude each other"),
        (["report", "users", "--html", "x.html", "--json"], 2, "goes without"),
        (["report", "users", "--sort", "beauty"], 2, "is not one of"),
        (["report", "nobody"], 2, "No such command"),
        (["report", "user", "alice", "--mail", "--json"], 2, "goes without"),
        (["report", "user", "alice", "--mail", "--to", "no address"], 1, "is no mail address"),
        (["advise", "--html", "x.html"], 2, "is for `hotslot report`"),
        (["report", "users", "--user", "nemo"], 1, "no user 'nemo' in the record"),
        (["report", "jobs", "--account", "nemo"], 1, "no account 'nemo' in the record"),
        (["report", "user", "nemo"], 1, "no user 'nemo' in the record"),
        (["advise", "--user", "nemo"], 1, "no user 'nemo' in the record"),
        (["advise", "--user", "alice", "--name", "nemo"], 1, "no job of alice called 'nemo'"),
        (["report", "users", "--since", "2020-01-01", "--until", "2020-02-01"], 0,
         "no jobs ended from 2020-01-01 to 2020-01-31"),
        (["report", "jobs", "--since", "2020-01-01", "--until", "2020-02-01"], 0,
         "no jobs ran between 2020-01-01"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(config: Path, arguments: list[str], code: int, words: str) -> None:
    done = run(config, *arguments)
    assert (done.exit_code, words in done.output) == (code, True), done.output


def test_without_a_database_it_says_what_is_missing(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from hotslot import cli as module

    settings = yaml.safe_load(config.read_text())
    settings["record"]["database"] = str(tmp_path / "none.db")
    (tmp_path / "hotslot.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setattr("sys.argv", ["hotslot", "-c", str(tmp_path / "hotslot.yaml"), "report"])
    with pytest.raises(SystemExit) as left:
        module.main()
    assert left.value.code == 1
    assert "no agent has recorded anything there yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("when", "day"),
    [("now", 7), ("today", 7), ("yesterday", 6), ("Monday", 7), ("sunday", 6), ("tuesday", 1),
     ("7d", 0), ("2026-11-09", 0), ("2026-11-10T12:00", 1.5)],
)  # fmt: skip
def test_times_are_typed_as_people_say_them(when: str, day: float) -> None:
    assert report_options.When().convert(when, None, None) == MONDAY + day * DAY


@pytest.mark.parametrize(("took_s", "shown"), [(0.0, []), (0.3, ["adding up"])])
def test_what_takes_long_shows_that_it_is_at_work(
    monkeypatch: pytest.MonkeyPatch, took_s: float, shown: list[str]
) -> None:
    said: list[str] = []

    @contextmanager
    def progress(first: str, words: str) -> Iterator[Callable[[str], None]]:
        said.append(first)
        yield said.append

    monkeypatch.setattr(terminal, "progress", progress)
    monkeypatch.setattr(terminal, "LONG_S", 0.1)
    with terminal.patience("adding up"):
        threading.Event().wait(took_s)
    assert said == shown


def test_a_part_of_a_name_is_not_known(config: Path) -> None:
    from hotslot.record.reports import Owned
    from hotslot.report.gather import is_known

    settings = yaml.safe_load(config.read_text())
    with History(Path(settings["record"]["database"])) as history:
        assert is_known(history, Owned(user="alice"))
        assert not is_known(history, Owned(user="alic"))


def test_the_document_shows_what_the_commands_say(tmp_path: Path, config: Path) -> None:
    week(tmp_path / "hotslot.db", hostile=False)
    settings = yaml.safe_load(config.read_text())
    settings["record"]["database"] = str(tmp_path / "hotslot.db")
    (tmp_path / "hotslot.yaml").write_text(yaml.safe_dump(settings))
    text = DOCUMENT.read_text()
    shown = re.findall(r"^```\n\$ hotslot ([^|\n]*)\n(.+?)^```", text, re.M | re.S)
    assert len(shown) >= 3
    for command, output in shown:
        said = run(tmp_path / "hotslot.yaml", *command.split()).stdout
        if os.environ.get("UPDATE_GOLDEN"):
            text = text.replace(f"{command}\n{output}", f"{command}\n{stripped(said)}")
            DOCUMENT.write_text(text)
        else:
            assert output == stripped(said), command


def stripped(text: str) -> str:
    """The text without blanks at the ends of its lines."""
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())
