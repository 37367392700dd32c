"""What owners write in comments and ads becomes settings, and hostile words become nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot.decide.preferences import CUT, KEYS, Preferences, asked_for
from hotslot_plugin import condor_asked, condor_runs, slurm_asked
from hotslot_plugin.asked import LENGTH_MAX, canonical

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


def in_comment(comment: str) -> str:
    return slurm_asked.asked_in(comment)


def in_ad(**ad: object) -> str:
    return condor_asked.asked_in(ad)


# --- Slurm --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comment", "asked"),
    [
        ("hotslot:min=4,burst=no", "min=4,burst=no"),
        ("run 7; hotslot:elastic=no,min=4 site=x;hotslot:burst=no", "elastic=no,min=4,burst=no"),
        ("HOTSLOT:Min=4", "min=4"),
        ("hotslot:'min=4'", "min=4"),
        ("hotslot:deadline=2026-12-01T12:00+01:00", "deadline=2026-12-01T12:00+01:00"),
        ("hotslot:min", "min"),
        ("hotslot:", "?"),
        ("hotslot:min=4=5", "min=4?5"),
        ("hotslot:min=\x1b[31m4", "min=??31m4"),
        ("hotslot:min=\u202e4", "min=?4"),
        ("", ""),
        ("my job", ""),
        ("nothotslot:min=3", ""),
    ],
)
def test_a_comment_is_read_beside_other_words(comment: str, asked: str) -> None:
    assert in_comment(comment) == asked


def test_a_number_is_never_cut_to_another_one() -> None:
    for length in range(150, 260):
        words = in_comment("hotslot:x=" + "x" * 50 + f",y={'y' * (length - 110)},min=16").split(",")
        assert set(words[2:]) <= {"min=16", CUT}
    begun = "x" * (slurm_asked.LOOKED_AT - len("hotslot:min=1") - 1)
    assert in_comment(f"{begun} hotslot:min=16") == ""


def test_what_was_cut_off_is_said() -> None:
    asked = in_comment("hotslot:" + ",".join(f"min={n}" for n in range(1, 60)))
    assert asked.endswith(f",{CUT}")
    assert len(asked) <= LENGTH_MAX
    held = asked_for(asked, 8, NOW)
    assert held.least == 1
    assert any("settings" in words for words in held.refused)


def test_a_comment_without_end_is_cheap() -> None:
    asked = in_comment("hotslot:" + "min=1," * 100_000)
    assert asked == ",".join(["min=1"] * 33 + [CUT])


# --- HTCondor -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ad", "asked"),
    [
        ({}, ""),
        ({"HotslotMin": 4, "HotslotBurst": False}, "min=4,burst=no"),
        ({"HotslotMin": 4.0, "HotslotElastic": True}, "elastic=yes,min=4"),
        ({"HotslotMin": "4", "HotslotElastic": "No"}, "elastic=No,min=4"),
        ({"HotslotDeadline": "2026-12-01T12:00Z"}, "deadline=2026-12-01T12:00Z"),
        ({"HotslotMin": 4.5}, "min=4.5"),
        ({"HotslotMin": None}, "min=?"),
        ({"HotslotMin": [4]}, "min=?"),
        ({"HotslotMin": {"a": 4}}, "min=?"),
        ({"HotslotMin": 10**5000}, "min=?"),
        ({"HotslotMin": float("inf")}, "min=inf"),
        ({"HotslotMin": ""}, "min"),
        ({"HotslotMin": "4,elastic=no"}, "min=4?elastic?no"),
        ({"HotslotMin": "4\nelastic=no"}, "min=4?elastic?no"),
        ({"HotslotMin": "4" * 4096}, "min=" + "4" * 55 + CUT),
    ],
)
def test_an_ad_is_read_and_a_value_stays_one_value(ad: dict[str, object], asked: str) -> None:
    assert in_ad(**ad) == asked
    assert asked_for(asked, 8, NOW).elastic or ad["HotslotElastic"] == "No"


def test_figures_and_settings_have_different_names() -> None:
    settings = {name.lower() for name in condor_asked.ATTRIBUTES}
    assert settings.isdisjoint(name.lower() for name in condor_runs.RESULTS)
    assert tuple(condor_asked.ATTRIBUTES.values()) == KEYS


def test_both_schedulers_say_the_same_in_the_same_words() -> None:
    ad = in_ad(HotslotElastic=False, HotslotMin=4, HotslotDeadline="2026-12-01T12:00")
    assert ad == in_comment("hotslot:elastic=no,min=4,deadline=2026-12-01T12:00")
    found = asked_for(ad, 8, NOW)
    assert (found.elastic, found.least, found.deadline_at) == (False, 4, NOW + 10 * 86_400)


# --- whatever it is -----------------------------------------------------------------------------

PIECES = st.sampled_from(
    ("hotslot:", "HOTSLOT:", "min=", "elastic=", "burst=", "deadline=", ",", " ", ";", "=", "no",
     "yes", "4", "-1", "99999999999", "2026-12-01T12:00", "\x1b[31m", "\0", "\n", "'", "\u202e",
     CUT)
)  # fmt: skip
HOSTILE = st.lists(PIECES | st.text(max_size=6), max_size=80).map("".join)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | HOSTILE | st.lists(st.integers())


def sound(asked: str) -> None:
    assert len(asked) <= LENGTH_MAX
    assert asked.isprintable()
    assert " " not in asked
    words = asked.split(",") if asked else []
    assert all(0 < len(word) <= 60 and word.count("=") <= 1 for word in words)
    assert asked_for(asked, 8, NOW).least <= 8


@given(HOSTILE | st.text(max_size=400))
def test_any_comment_is_settings_or_nothing(comment: str) -> None:
    sound(in_comment(comment))
    sound(in_comment("hotslot:" + comment))


@given(st.dictionaries(st.sampled_from(sorted(condor_asked.ATTRIBUTES)), VALUES))
def test_any_ad_is_at_most_its_own_settings(ad: dict[str, object]) -> None:
    """A value cannot become another setting: its key is that of its attribute."""
    asked = in_ad(**ad)
    sound(asked)
    keys = [word.partition("=")[0] for word in asked.split(",")] if asked else []
    wanted = [key for name, key in condor_asked.ATTRIBUTES.items() if name in ad]
    assert [key for key in keys if key != CUT] == wanted[: len(keys) - (CUT in keys)]


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.text(max_size=80)), max_size=4))
def test_what_holds_of_settings_is_what_was_written(pairs: list[tuple[str, str]]) -> None:
    """Nothing holds that is not there word for word."""
    found = asked_for(canonical(pairs), 8, NOW)
    if found.least:
        assert any(key == "min" and int(value) >= found.least for key, value in pairs if value)
    if (found.elastic, found.burst) != (Preferences().elastic, Preferences().burst):
        assert any(value.lower() in ("no", "false", "off", "0") for _, value in pairs)
