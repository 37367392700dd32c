"""Secrets are made blank wherever they are, and what is none stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot.blanked import BLANK, blank_text, blank_tree, secrets_in

SECRET = "hunter2-S3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}",
        f"Password: '{SECRET} and more'",
        f'"api_key": "{SECRET}"',
        f"sacctmgr --token {SECRET} --json",
        f"--password={SECRET}",
        f"DB_PASSWD={SECRET} next",
        f"https://alice:{SECRET}@example.org/x",
        f"postgresql://{SECRET}@db/x",
        f"Authorization: Bearer {SECRET}",
        f"curl -H 'authorization: basic {SECRET}'",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
        f"X-Auth-Token: {SECRET}",
        f"secret:{SECRET}",
    ],
)
def test_what_looks_like_a_secret_is_blank(text: str) -> None:
    assert SECRET not in blank_text(f"before {text} after")
    assert "before" in blank_text(f"before {text} after")
    assert SECRET not in str(blank_tree({"x": [text]}))


@pytest.mark.parametrize(
    "text",
    [
        "peak of 60 s is 2.1 of 8 cores",
        "https://example.org/path?x=1",
        "/run/hotslot/qmp/w1.sock",
        "token_file: /etc/hotslot/token",
        "author: somebody",
        "the password is wanted",
        "job 12@schedd.example.org",
        "2026-11-21T12:00:00+00:00 host hotslotd[12]: w1: 4 -> 2 vCPUs applied in 0.3 s",
    ],
)
def test_what_is_none_stays(text: str) -> None:
    assert blank_text(text) == text


def test_settings_are_blank_by_the_names_of_their_keys() -> None:
    tree = {
        "driver": {"name": "x", "password": SECRET, "command": ["vbox", "--password", SECRET]},
        "scheduler": [{"pool_key": SECRET, "pin_token": 1234567, "tokens": [f"token={SECRET}"]}],
        "agent": {"metrics_token_file": "/etc/t", "metrics_tls_key": "/etc/k", "secret": None},
    }
    blank = blank_tree(tree)
    assert SECRET not in str(blank)
    assert "1234567" not in str(blank)
    assert blank["driver"]["command"] == ["vbox", "--password", BLANK]
    assert blank["agent"] == tree["agent"]
    assert secrets_in(tree) == {SECRET, "1234567"}


@given(st.text(max_size=60), st.text(alphabet="abcXYZ0123456789", min_size=6, max_size=20))
def test_a_known_secret_is_blank_wherever_it_is(text: str, secret: str) -> None:
    shown = blank_text(f"{text}{secret}{text}", [secret])
    assert secret not in shown.replace(BLANK, "")


@given(st.text(max_size=300))
def test_any_text_can_be_looked_through(text: str) -> None:
    assert blank_text(blank_text(text)) is not None


def test_long_hostile_text_takes_no_time() -> None:
    import time

    began = time.monotonic()
    for text in ("a://" * 50_000, "password" * 30_000, "--" * 100_000, "eyJ" * 60_000,
                 "-----BEGIN PRIVATE KEY-----" * 3000, "token=" + "x" * 200_000):  # fmt: skip
        blank_text(text)
    assert time.monotonic() - began < 5
