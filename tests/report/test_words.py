"""Numbers read as a person says them; names do nothing to a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot.report.words import core_hours, duration, few, many, percent, plain, short


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((None, "-"), (0.0, "0 s"), (-3.0, "0 s"), (0.004, "0.00 s"), (0.35, "0.35 s")),
        *((0.994, "0.99 s"), (0.996, "1.0 s"), (4.21, "4.2 s"), (9.96, "10 s"), (42.0, "42 s")),
        *((59.4, "59 s"), (59.6, "1 m 00 s"), (125.0, "2 m 05 s"), (3599.7, "1 h 00 m")),
        *((11_220.0, "3 h 07 m"), (86_399.9, "1 d 00 h"), (187_200.0, "2 d 04 h")),
    ],
)
def test_durations_are_read_as_said(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("core_s", "words"),
    [
        *((0.0, "0"), (8.0, "0.00222"), (0.04, "0.0000111"), (400.0, "0.111"), (3600.0, "1.00")),
        *((44_424.0, "12.3"), (360_000.0, "100"), (4_442_400.0, "1,234")),
    ],
)
def test_core_hours_have_three_digits_that_count(core_s: float, words: str) -> None:
    assert core_hours(core_s) == words


def test_an_unknown_efficiency_is_no_number() -> None:
    assert (percent(None), percent(0.0), percent(0.5769)) == ("-", "0.0 %", "57.7 %")


def test_one_is_not_many() -> None:
    assert (many(1, "core"), many(2, "core"), many(0, "core")) == ("1 core", "2 cores", "0 cores")


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\x9b31m", "\\x9b31m"),
        ("lone \udc80", "lone \\udc80"),
        ("[bold]x[/]", "[bold]x[/]"),
        ("Zürich 計算", "Zürich 計算"),
    ],
)
def test_what_a_terminal_would_act_on_is_made_visible(hostile: str, shown: str) -> None:
    assert plain(hostile) == shown


@given(st.text())
def test_plain_text_is_printable_and_stays_as_it_is(text: str) -> None:
    assert plain(text).isprintable()
    assert plain(plain(text)) == plain(text)


def test_of_many_names_a_few_are_said() -> None:
    assert few([]) == "-"
    assert few(["a"]) == "a"
    assert few(["a", "b"]) == "a and b"
    assert few(["a", "b", "c", "d", "e"]) == "a, b, c and 2 others"
    assert few(["x" * 20, "y\n"], longest=4) == "xxx… and y\\n"


def test_a_long_name_is_cut() -> None:
    assert short("x" * 40, 10) == "xxxxxxxxx…"
    assert short(None) == short("") == "-"
