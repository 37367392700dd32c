"""The command line: what a person reads, what a program reads, and what is said when it fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from builders import placement
from hotslot import cli as module
from hotslot.api import command_app, serve_commands
from hotslot.cli import cli
from hotslot.model import CloseReason, JobPhase, Lease, Totals
from hotslot.record.batch import Batch
from hotslot.record.store import Store

README = Path(__file__).parents[1] / "README.md"
STATUS = {
    "host": "host1",
    "at": 1000.0,
    "version": "0.1.0",
    "agent": {
        "started_at": 900.0,
        "cycles": 100,
        "record": {"condition": "ok"},
        "schedulers": [
            {"name": "slurm", "silent_since": None, "compared_at": 990.0, "compared": "-"}
        ],
    },
    "cores": 8,
    "policy": "window",
    "workers": [
        {"worker": "w1", "vm": "w1", "up": True, "granted_vcpus": 2, "job": "12", "user": "alice"}
    ],
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with a configuration and a record of one closed job."""
    config = {
        "workers": [{"name": "w1", "ceiling": 4}],
        "driver": {"name": "qemu", "qmp_socket": str(tmp_path / "{vm}.qmp")},
        "scheduler": {"name": "slurm", "source": "scontrol", "command": ["false"]},
        "agent": {"socket": str(tmp_path / "agent.sock")},
        "record": {"database": str(tmp_path / "hotslot.db")},
    }
    (tmp_path / "hotslot.yaml").write_text(yaml.safe_dump(config))
    store = Store(tmp_path / "hotslot.db")
    ended = placement(phase=JobPhase.ENDED, outcome="COMPLETED")
    totals = Totals(100, 400, 260, 150, 0, 3.9, 0)
    lease = Lease(1, ended, 1000.0, 1100.0, CloseReason.ENDED, totals)
    store.append(Batch(leases=(lease,)))
    store.close()
    return tmp_path


def run(home: Path, *arguments: str) -> Result:
    """Run a command as ``hotslot`` does."""
    return CliRunner().invoke(cli, ["-c", str(home / "hotslot.yaml"), *arguments])


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Run main() and return what it says on stderr before it exits, with the exit code."""
    monkeypatch.setattr("sys.argv", ["hotslot", *argv])
    with pytest.raises(SystemExit) as left:
        module.main()
    return f"{left.value.code} {capsys.readouterr().err}"


@pytest.fixture
def agent(home: Path) -> Iterator[None]:
    """An agent that knows one worker, on a real socket."""
    import asyncio

    loop = asyncio.new_event_loop()

    async def look() -> list[dict[str, object]]:
        return []

    app = command_app(lambda: STATUS, look)
    served = loop.run_until_complete(serve_commands(app, home / "agent.sock", None))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(served.close())
    loop.close()


def test_jobs_lists_what_was_asked_held_and_used(home: Path) -> None:
    done = run(home, "jobs", "--since", "1970-01-01")
    assert done.exit_code == 0, done.output
    assert "COMPLETED" in done.output
    (found,) = json.loads(run(home, "jobs", "--since", "1970-01-01", "--json").output)
    assert (found["job"], found["held_core_s"]) == ("12", 260)
    assert found["efficiency_of_holding"] == pytest.approx(150 / 260)


def test_a_job_is_shown_without_an_agent(home: Path) -> None:
    assert "of alice" in run(home, "job", "12").output
    assert json.loads(run(home, "job", "12", "--json").output)["job"] == "12"


def test_status_and_workers_show_what_the_agent_says(home: Path, agent: None) -> None:
    assert "w1" in run(home, "status").output
    assert json.loads(run(home, "status", "--json").output)["host"] == "host1"
    assert "w1" in run(home, "workers").output
    assert json.loads(run(home, "workers", "--json").output)[0]["granted_vcpus"] == 2


def test_explain_says_why_a_job_a_worker_or_the_host_has_what_it_has(
    home: Path, agent: None
) -> None:
    assert "Host host1 has 8 cores" in run(home, "explain").output
    assert "Host host1 has 8 cores" in run(home, "explain", "host1").output
    for about in ("12", "w1"):
        assert "Job 12 of alice" in run(home, "explain", about).output
    told = json.loads(run(home, "explain", "12", "--json").output)
    assert (told["host"], told["explanations"][0]["kind"]) == ("host1", "job")
    assert "has 2" in told["explanations"][0]["sentences"][0]


def test_explain_says_that_a_job_is_over_and_where_to_look(
    home: Path, agent: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STATUS["workers"][0], "job", None)  # type: ignore[index]
    done = run(home, "explain", "12")
    assert done.exit_code == 0
    assert "Job 12 is over: COMPLETED" in done.output
    assert "hotslot job 12" in done.output
    told = json.loads(run(home, "explain", "12", "--json").output)
    assert told["explanations"][0]["kind"] == "over"


def test_explaining_what_nobody_knows_is_exit_1_with_a_hint(
    home: Path, agent: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = said(monkeypatch, capsys, "-c", str(home / "hotslot.yaml"), "explain", "\x1b[31m99\n")
    assert words.startswith("1 hotslot: nothing here is called '\\x1b[31m99\\n'; `hotslot status`")
    words = said(monkeypatch, capsys, "-c", str(home / "hotslot.yaml"), "explain", "x" * 4096)
    assert len(words) < 300


def test_check_names_what_is_wrong_and_what_to_do(home: Path) -> None:
    done = run(home, "check", "--json")
    assert done.exit_code == 1
    levels = {one["subject"]: one["level"] for one in json.loads(done.output)}
    assert levels["agent.listen"] == "warn"
    assert "wrong" in levels.values()
    shown = run(home, "check").output
    assert "→" in shown
    assert "wrong," in shown


def test_check_names_every_problem_of_a_parts_settings_on_one_line(home: Path) -> None:
    path = home / "hotslot.yaml"
    text = path.read_text()
    path.write_text(text.replace("name: qemu", "name: qemu\n  qmp_sockt: /x", 1))
    found = json.loads(run(home, "check", "--json").output)
    (driver,) = [one for one in found if one["subject"] == "driver qemu"]
    assert driver["found"].startswith("driver: ")
    assert "did you mean 'qmp_socket'?" in driver["found"]
    assert "\n" not in driver["found"]


def test_an_agent_that_does_not_run_is_exit_3(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("status", "explain"):
        words = said(monkeypatch, capsys, "-c", str(home / "hotslot.yaml"), command)
        assert words.startswith("3 hotslot: no agent answers at")
        assert "systemctl start hotslotd" in words


def test_a_wrong_configuration_is_exit_2_with_every_problem(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "hotslot.yaml").write_text("wrkers: []\npolicy: {nam: x}\n")
    words = said(monkeypatch, capsys, "-c", str(home / "hotslot.yaml"), "status")
    assert words.startswith("2 hotslot:")
    assert "did you mean 'workers'?" in words
    assert "policy.name" in words


def test_an_unknown_job_is_exit_1(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = said(monkeypatch, capsys, "-c", str(home / "hotslot.yaml"), "job", "99")
    assert words == "1 hotslot: no job '99' in the record; `hotslot jobs` lists what there is\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["jobs", "--since", "yesterday"], "is no time; say 30m"),
        (["jobs", "--limit", "0"], "1<=x<=100000"),
        (["job"], "Missing argument 'ID'"),
        (["joobs"], "No such command 'joobs'"),
        (["status", "--every", "0"], "0.5<=x<=3600"),
        (["explain", "12", "13"], "unexpected extra argument"),
    ],
)
def test_misuse_is_exit_2_and_says_how(home: Path, arguments: list[str], words: str) -> None:
    done = run(home, *arguments)
    assert done.exit_code == 2
    assert words in done.output


def test_every_command_has_examples_json_and_a_line_in_the_readme() -> None:
    text = README.read_text()
    for name, command in cli.commands.items():
        assert "Examples:" in (command.help or ""), name
        assert any(parameter.name == "json_" for parameter in command.params), name
        assert f"`hotslot {name}" in text, f"README does not tell of {name}"


def test_a_file_that_cannot_be_read_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = said(monkeypatch, capsys, "assess", "--slurm", "/proc/self/mem")
    assert "Input/output error" in words
    assert "Traceback" not in words
