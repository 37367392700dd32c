"""A user's message: as it was last looked at, whole, and without a way back to us."""

from __future__ import annotations

import email
import email.policy
import re
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from hotslot.record.history import History
from hotslot.report import gather
from hotslot.report.gather import Asked
from hotslot.report.mail import Mail, message
from hotslot.report.period import Period
from hotslot.report.user import UserSummary, suggestions, summary
from report.week import DAY, MONDAY, week

DOCUMENT = Path(__file__).parents[2] / "docs" / "reports.md"
Golden = Callable[[str, object], None]
PERIOD = Period(MONDAY, MONDAY + 7 * DAY)
MAIL = Mail("alice@example.org", "hotslot@example.org", PERIOD.until, "<1@example.org>")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    path = tmp_path_factory.mktemp("mail") / "hotslot.db"
    week(path)
    return History(path)


def told(history: History, user: str) -> UserSummary:
    """What a user is told of the week."""
    asked = Asked(PERIOD, user=user)
    return summary(
        user,
        PERIOD,
        gather.sums(history, asked, "user"),
        gather.jobs(history, asked, "held", 10),
        gather.all_advice(history, user, None, 20, 20),
    )


def read(history: History, user: str) -> EmailMessage:
    """The message as a mail program reads it."""
    letter = email.message_from_bytes(
        message(told(history, user), MAIL), policy=email.policy.default
    )
    assert isinstance(letter, EmailMessage)
    return letter


def test_the_message_looks_as_it_did(history: History, golden: Golden) -> None:
    letter = read(history, "alice")
    parts = {one.get_content_subtype(): one.get_content() for one in letter.iter_parts()}
    heads = "".join(f"{name}: {value}\n" for name, value in letter.items() if "Content" not in name)
    golden("mail.txt", f"{heads}\n{parts['plain']}")
    golden("mail.html", parts["html"])


def test_it_names_at_most_three_things_to_change_the_dearest_first(history: History) -> None:
    said = suggestions(told(history, "alice"))
    assert len(said) == 3
    assert said[0].startswith("Ask for 4 CPUs instead of 8 for train")
    assert "time limit" in said[1]
    assert "failed" in said[2]


def test_who_uses_what_was_asked_for_is_told_so(history: History) -> None:
    (first, *_) = [one for one in suggestions(told(history, "bob")) if "sim" in one]
    assert first == "Keep 8 CPUs for sim: they use what they ask for."


def test_it_loads_nothing_and_asks_for_nothing(history: History) -> None:
    for user in ("alice", "bob", "carol", "dave"):
        html = read(history, user).get_body(("html",))
        assert html is not None
        assert not re.search(r"(src|href|url|background)\s*[=(]|https?:", html.get_content())


def test_a_week_without_jobs_is_said(history: History) -> None:
    nobody = read(history, "nobody").get_body(("plain",))
    assert nobody is not None
    assert "No jobs ended from" in nobody.get_content()


def test_lines_end_as_sendmail_takes_them(history: History) -> None:
    raw = message(told(history, "alice"), MAIL)
    assert b"\r" not in raw
    assert raw.startswith(b"From: hotslot@")


def test_the_documented_script_writes_to_every_user_who_had_jobs(tmp_path: Path) -> None:
    week(tmp_path / "hotslot.db")
    (tmp_path / "hotslot.yaml").write_text(
        "workers: [{name: w1, ceiling: 8}]\ndriver: {name: qemu, qmp_socket: '/x/{vm}'}\n"
        f"scheduler: {{name: slurm}}\nrecord: {{database: {tmp_path / 'hotslot.db'}}}\n"
    )
    (script,) = re.findall(r"^```sh\n(#!.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    script = script.replace("--mail", "--mail --since 2026-11-09").replace(
        "users --json", "users --json --since 2026-11-09"
    )
    for name, does in {
        "hotslot": f'exec {sys.executable} -c "from hotslot.cli import main; main()" "$@"',
        "sendmail": f"exec cat >> {tmp_path}/sent",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOTSLOT_CONFIG": str(tmp_path / "hotslot.yaml")}
    done = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    recipients = re.findall(r"^To: (.*)$", (tmp_path / "sent").read_text(), re.M)
    assert sorted(recipients) == [
        f"{name}@example.org" for name in ("alice", "bob", "carol", "dave")
    ]
