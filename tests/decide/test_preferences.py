"""What a job's owner may say, what of it holds, and what hostile words come to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot.decide.preferences import (
    Preferences,
    SitePolicy,
    from_attributes,
    from_comment,
    sentences,
)
from hotslot.decide.preferences_time import epoch_s

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


ANYTHING = SitePolicy()


def said(comment: str, site: SitePolicy = ANYTHING, request: int = 8) -> Preferences:
    return from_comment(comment, request, NOW, site)


def test_a_comment_is_read_beside_other_words() -> None:
    found = said("run 7; hotslot:elastic=no,min=4,burst=no,deadline=2026-12-01T12:00 site=x")
    assert not found.elastic
    assert (found.least, found.burst) == (4, False)
    assert found.deadline_at == NOW + 10 * 86_400
    assert found.refused == ()


@pytest.mark.parametrize("comment", ["", "my job", "nothotslot:min=3", "see hotslot: docs"])
def test_what_is_not_for_us_says_nothing(comment: str) -> None:
    found = said(comment)
    assert (found.elastic, found.least, found.burst, found.deadline_at) == (True, 0, True, None)


def test_class_ads_say_the_same() -> None:
    ads: dict[str, object] = {
        "HotslotElastic": False,
        "hotslotmin": 4,
        "HotslotBurst": "no",
        "HotslotDeadline": "2026-12-01T12:00Z",
        "Owner": "alice",
    }
    found = from_attributes(ads, 8, NOW)
    assert (found.elastic, found.least, found.burst) == (False, 4, False)
    assert found.deadline_at == NOW + 10 * 86_400
    assert found.refused == ()


def test_a_slip_in_a_name_is_said_and_other_names_are_left_alone() -> None:
    (words,) = from_attributes({"HotslotElastc": False}, 8, NOW).refused
    assert "did you mean elastic?" in words
    names = ("Runs", "Events", "PeakCpus", "AdmitCpus", "RequestedCpus", "HeldCoreSeconds")
    ours: dict[str, object] = dict.fromkeys([f"Hotslot{name}" for name in names], 1)
    assert from_attributes({**ours, "Hotel": "x"}, 8, NOW).refused == ()


@pytest.mark.parametrize(
    ("comment", "site", "why"),
    [
        ("hotslot:elastic=no", SitePolicy(allow_elastic_no=False), "this site sizes every job"),
        ("hotslot:min=6", SitePolicy(max_min_share=0.5), "50 % of the request of 8"),
        ("hotslot:min=16", SitePolicy(), "its request is 8"),
        ("hotslot:min=0", SitePolicy(), "no number of vCPUs"),
        ("hotslot:min=-1", SitePolicy(), "no number of vCPUs"),
        ("hotslot:min=4.5", SitePolicy(), "no number of vCPUs"),
        ("hotslot:min=٤", SitePolicy(), "no number of vCPUs"),
        ("hotslot:burst=yes", SitePolicy(allow_burst=False), "beyond its request"),
        ("hotslot:burst=perhaps", SitePolicy(), "neither yes nor no"),
        ("hotslot:deadline=2026-12-01T12:00", SitePolicy(allow_deadline=False), "do not count"),
        ("hotslot:deadline=2026-02-30T12:00", SitePolicy(), "is no time"),
        ("hotslot:deadline=tomorrow", SitePolicy(), "is no time"),
        ("hotslot:deadline=2026-11-01T12:00", SitePolicy(), "has passed"),
        ("hotslot:deadline=2031-01-01T00:00", SitePolicy(), "more than 30 days away"),
        ("hotslot:elastc=no", SitePolicy(), "did you mean elastic?"),
        ("hotslot:colour=red", SitePolicy(), "known: elastic, min, burst, deadline"),
        ("hotslot:min=2,min=6", SitePolicy(), "was set before"),
        ("hotslot:", SitePolicy(), "is unknown"),
    ],
)
def test_what_does_not_hold_is_said(comment: str, site: SitePolicy, why: str) -> None:
    found = said(comment, site)
    assert any(why in words for words in found.refused), found
    assert any(why in words for words in sentences(found))


def test_a_site_bounds_what_is_kept() -> None:
    assert said("hotslot:min=6", SitePolicy(max_min_share=0.5)).least == 4
    assert said("hotslot:min=16").least == 8
    assert said("hotslot:elastic=no").floor(1, 8) == 8
    assert said("hotslot:min=4").floor(1, 8) == 4
    assert said("").floor(2, 8) == 2


def test_times_are_the_sites_unless_a_zone_is_named() -> None:
    assert epoch_s("1970-01-01T01:00", 3600) == 0
    assert epoch_s("1970-01-01T01:00Z", 3600) == 3600
    assert epoch_s("1970-01-01T01:00:30-02:30") == 3600 + 9000 + 30
    assert epoch_s("2000-02-29T00:00") == datetime(2000, 2, 29, tzinfo=UTC).timestamp()
    assert epoch_s("2100-02-29T00:00") is None


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2400, 1, 1)))
def test_times_are_those_of_the_calendar(when: datetime) -> None:
    text = when.strftime("%Y-%m-%dT%H:%M:%S").zfill(19)
    assert epoch_s(text) == when.replace(microsecond=0, tzinfo=UTC).timestamp()


PIECES = st.sampled_from(
    ("hotslot:", "HOTSLOT:", "min=", "elastic=", "burst=", "deadline=", ",", " ", ";", "=", "no",
     "yes", "4", "-1", "99999999999", "2026-12-01T12:00", "\x1b[31m", "\0", "\n", "'", "\u202e")
)  # fmt: skip
HOSTILE = st.lists(PIECES | st.text(max_size=6), max_size=60).map("".join)
SITES = st.builds(
    SitePolicy, st.booleans(), st.floats(0, 1), st.booleans(), st.booleans(), st.floats(0, 1e7)
)


def holds(found: Preferences, request: int, site: SitePolicy) -> None:
    assert 0 <= found.least <= request
    assert found.least <= max(1, request * site.max_min_share)
    assert found.elastic or site.allow_elastic_no
    assert found.deadline_at is None or NOW < found.deadline_at <= NOW + site.most_ahead_s
    assert 1 <= found.floor(1, request) <= request
    words = [*found.said, *found.refused, *sentences(found)]
    assert all(one.isprintable() and len(one) < 200 for one in words)
    assert len(words) < 100


@given(HOSTILE | st.text(max_size=400), st.integers(1, 512), SITES)
def test_hostile_comments_come_to_nothing(comment: str, request: int, site: SitePolicy) -> None:
    holds(from_comment(comment, request, NOW, site), request, site)
    holds(from_comment("hotslot:" + comment, request, NOW, site), request, site)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | HOSTILE | st.lists(st.integers())
NAMES = st.sampled_from(("HotslotMin", "HOTSLOTELASTIC", "HotslotBurst", "HotslotDeadline"))


@given(st.dictionaries(NAMES | st.text(max_size=30), VALUES), st.integers(1, 512), SITES)
def test_hostile_class_ads_come_to_nothing(
    ads: dict[str, object], request: int, site: SitePolicy
) -> None:
    holds(from_attributes(ads, request, NOW, site), request, site)


def test_a_comment_without_end_is_cheap() -> None:
    found = said("hotslot:" + "min=1," * 100_000)
    assert len(found.said) == 16
    assert len(found.refused) < 20
