"""What is collected for a report of a fault: in time, for one reader, without secrets."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from builders import placement
from hotslot.cli import cli
from hotslot.doctor.archive import collect, write
from hotslot.doctor.asking import NotCollected, said, within
from hotslot.doctor.parts import Part
from hotslot.doctor.pseudonyms import Pseudonyms
from hotslot.errors import HotslotError
from hotslot.model import JobPhase, Lease
from hotslot.record.batch import Batch
from hotslot.record.store import Store
from record.recorded import decision, event
from test_cli import agent, home  # noqa: F401 (fixtures)

SECRETS = {
    "password": "Pl4nted-password-1",
    "flag": "Pl4nted-flag-2",
    "url": "Pl4nted-url-3",
    "token": "Pl4nted-token-4-0123456789",
    "environment": "Pl4nted-environment-5",
    "job": "Pl4nted-job-6",
    "comment": "Pl4nted-comment-7",
}


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["-c", str(folder / "hotslot.yaml"), "doctor", *arguments])


def members(path: Path) -> dict[str, str]:
    with tarfile.open(path) as tar:
        return {
            Path(one.name).name: (tar.extractfile(one) or io.BytesIO()).read().decode()
            for one in tar.getmembers()
        }


@pytest.fixture
def planted(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """A host with secrets wherever people put them."""
    monkeypatch.setenv("DB_PASSWORD", SECRETS["environment"])
    monkeypatch.setattr("hotslot.doctor.parts.JOURNAL_LINES", 5)
    token = home / "token"
    token.write_text(SECRETS["token"])
    token.chmod(0o600)
    config = yaml.safe_load((home / "hotslot.yaml").read_text())
    config["driver"] |= {"password": SECRETS["password"]}
    config["scheduler"]["command"] = [
        "false", "--token", SECRETS["flag"], f"https://me:{SECRETS['url']}@x.org/"]  # fmt: skip
    config["agent"] |= {"metrics_listen": "127.0.0.1:1", "metrics_token_file": str(token)}
    text = yaml.safe_dump(config) + f"# old password {SECRETS['comment']}\n"
    (home / "hotslot.yaml").write_text(text)
    with Store(home / "hotslot.db") as store:
        names = [
            f"run --token={SECRETS['job']}",
            f"with {SECRETS['environment']} and {SECRETS['token']} {SECRETS['password']}",
        ]
        for number, name in enumerate(names, 5):
            placed = replace(placement(str(number), phase=JobPhase.ENDED), name=name, run=number)
            store.append(Batch(leases=(Lease(number, placed, 1000.0 + number),)))
        store.append(
            Batch(events=(event(5, at=1010.0),), decisions=(decision(1009.0, lease_id=5),))
        )
    return home


def test_no_planted_secret_is_in_the_archive_and_the_rest_is(planted: Path) -> None:
    target = planted / "report.tar.gz"
    done = run(planted, "-o", str(target))
    assert done.exit_code == 0, done.output
    found = members(target)
    for name, secret in SECRETS.items():
        for file, text in found.items():
            assert secret not in text, f"{name} is in {file}"
        assert secret not in done.output
    with tarfile.open(target) as tar:
        for one in tar.getmembers():
            assert (one.mode, one.uname, one.gname, one.uid) == (0o600, "", "", 0)
    for file in ("versions", "config", "system", "check", "record", "events", "decisions"):
        assert f"{file}.json" in found
    assert found["integrity.txt"] == "ok"
    config = json.loads(found["config.json"])
    assert config["is"]["driver"]["password"] == "***"
    assert config["is"]["workers"] == [{"name": "w1", "ceiling": 4}]
    runs = json.loads(found["runs.json"])
    assert {one["user"] for one in runs} == {"alice"}
    assert json.loads(found["events.json"])[0]["worker"] == "w1"
    assert json.loads(found["check.json"])[0]["subject"]
    assert json.loads(found["system.json"])["cores"]["logical"] == os.cpu_count()
    manifest = {one["file"]: one for one in json.loads(found["manifest.json"])["parts"]}
    assert "no agent answers" in manifest["status.json"]["problem"], "what failed is named"


def test_its_owner_alone_can_read_it_and_nothing_is_written_over(planted: Path) -> None:
    target = planted / "report.tar.gz"
    old = os.umask(0)
    try:
        assert run(planted, "-o", str(target)).exit_code == 0
    finally:
        os.umask(old)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with pytest.raises(HotslotError, match="File exists"):
        write(target, [], {})
    victim = planted / "victim"
    victim.write_text("as it was")
    link = planted / "link.tar.gz"
    link.symlink_to(victim)
    with pytest.raises(HotslotError, match="cannot be made"):
        write(link, [], {})
    (planted / "dangling.tar.gz").symlink_to(planted / "elsewhere")
    with pytest.raises(HotslotError):
        write(planted / "dangling.tar.gz", [], {})
    assert victim.read_text() == "as it was"
    assert not (planted / "elsewhere").exists()


def test_anonymous_has_no_user_account_or_job_name(planted: Path, agent: None) -> None:  # noqa: F811
    with Store(planted / "hotslot.db") as store:
        placed = replace(
            placement("9", phase=JobPhase.ENDED), user="carol", account="physics", run=9,
            name="carol's zeppelin, part 2",
        )  # fmt: skip
        store.append(Batch(leases=(Lease(9, placed, 2000.0),)))
    texts = []
    for name in ("one.tar.gz", "two.tar.gz"):
        assert run(planted, "--anonymous", "-o", str(planted / name)).exit_code == 0
        found = members(planted / name)
        for file, text in found.items():
            for hidden in ("alice", "carol", "physics", "zeppelin"):
                assert hidden not in text, f"{hidden} is in {file}"
        texts.append(json.loads(found["runs.json"]))
    assert texts[0] == texts[1], "the same names each time"
    last = texts[0][-1]
    assert last["user"].startswith("user-")
    assert last["account"].startswith("account-")
    assert last["job_name"].startswith("job-")
    assert json.loads(found["status.json"])["workers"][0]["user"] == texts[0][0]["user"]


def test_what_it_would_collect_is_listed_and_nothing_is_made(planted: Path) -> None:
    before = sorted(planted.iterdir())
    listed = json.loads(run(planted, "--list", "--json").output)
    assert {"config.json", "journal.txt", "audit.json"} <= {one["file"] for one in listed}
    assert all(0 < one["limit_s"] <= 100 for one in listed)
    assert "journal.txt" in run(planted, "--list").output
    assert sorted(planted.iterdir()) == before


def test_a_configuration_that_cannot_be_used_is_a_part_of_the_report(home: Path) -> None:  # noqa: F811
    (home / "hotslot.yaml").write_text(f"driver: {{password: {SECRETS['password']}, nam: x}}\n")
    target = home / "report.tar.gz"
    done = run(home, "--json", "-o", str(target))
    assert done.exit_code == 0, done.output
    found = members(target)
    assert "driver.name" in found["config.json"]
    (home / "hotslot.yaml").write_text(f"a: [\npassword: {SECRETS['password']}\n")
    other = home / "other.tar.gz"
    assert run(home, "-o", str(other)).exit_code == 0
    for text in [*found.values(), *members(other).values()]:
        assert SECRETS["password"] not in text
    assert "is not YAML" in members(other)["manifest.json"]


def part(name: str, collect: Any, limit_s: float = 5.0) -> Part:
    return Part(name, name, limit_s, collect)


def test_a_part_that_fails_or_hangs_costs_the_others_nothing() -> None:
    def fails() -> str:
        raise ValueError("password=Pl4nted")

    began = time.monotonic()
    found = collect(
        [part("a", lambda: "text"), part("b", fails), part("c", lambda: time.sleep(30), 0.1),
         part("d", lambda: {"x": 1})], [],
    )  # fmt: skip
    assert time.monotonic() - began < 5
    assert [one.problem for one in found] == [
        "", "ValueError: password=***", "not done within 0.1 s", ""]  # fmt: skip
    assert [one.text for one in found] == ["text", "", "", '{\n "x": 1\n}']


def test_programs_have_time_limits_and_end_with_their_children() -> None:
    began = time.monotonic()
    with pytest.raises(NotCollected, match=r"not done within 0\.2 s"):
        said(["sh", "-c", "sleep 30 & sleep 30"], 0.2)
    assert time.monotonic() - began < 3
    assert said(["sh", "-c", "echo x; exit 3"], 5) == "x\n\n(exit code 3)\n"
    with pytest.raises(NotCollected, match="there is no no-such-program"):
        said(["no-such-program"], 5)
    with pytest.raises(NotCollected, match="KeyError"):
        within(1, lambda: {}["x"])


def test_pseudonyms_need_the_hosts_key() -> None:
    one, other = Pseudonyms(b"one"), Pseudonyms(b"other")
    assert one.name("user", "alice") == Pseudonyms(b"one").name("user", "alice")
    assert one.name("user", "alice") != other.name("user", "alice")
    assert one.name("user", "alice") != one.name("account", "alice").replace("account", "user")
    assert one.name("user", "root") == "root"


def test_names_are_replaced_in_text_as_words() -> None:
    names = Pseudonyms(b"k")
    names.learn({"user": "ann", "x": [{"who": "root (uid 0), logged in as bob (uid 7)"}]})
    hidden = names.hide({"why": "ann's banner of bob@host in /home/ann", "user": "ann"})
    assert hidden["why"].startswith(f"{hidden['user']}'s banner of user-")
    assert "bob" not in hidden["why"]
    assert hidden["why"].endswith(f"/home/{hidden['user']}")
