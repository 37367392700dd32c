"""What a job's owner may say, what of it holds, and what hostile words come to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot.decide.preferences import (
    CUT,
    Preferences,
    SitePolicy,
    asked_for,
    sentences,
)
from hotslot.decide.preferences_time import epoch_s

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


ANYTHING = SitePolicy()


def said(asked: str, site: SitePolicy = ANYTHING, request: int = 8) -> Preferences:
    return asked_for(asked, request, NOW, site)


def test_settings_hold() -> None:
    found = said("elastic=no,min=4,burst=no,deadline=2026-12-01T12:00")
    assert not found.elastic
    assert (found.least, found.burst) == (4, False)
    assert found.deadline_at == NOW + 10 * 86_400
    assert found.refused == ()


def test_who_asked_for_nothing_is_sized_like_everybody() -> None:
    assert said("") == Preferences()
    assert list(sentences(said(""))) == []


@pytest.mark.parametrize(
    ("asked", "site", "why"),
    [
        ("elastic=no", SitePolicy(allow_elastic_no=False), "this site sizes every job"),
        ("min=6", SitePolicy(max_min_share=0.5), "50 % of the request of 8"),
        ("min=16", SitePolicy(), "its request is 8"),
        ("min=0", SitePolicy(), "no number of vCPUs"),
        ("min=-1", SitePolicy(), "no number of vCPUs"),
        ("min=4.5", SitePolicy(), "no number of vCPUs"),
        ("min=٤", SitePolicy(), "no number of vCPUs"),
        ("burst=yes", SitePolicy(allow_burst=False), "beyond its request"),
        ("burst=perhaps", SitePolicy(), "neither yes nor no"),
        ("deadline=2026-12-01T12:00", SitePolicy(allow_deadline=False), "do not count"),
        ("deadline=2026-02-30T12:00", SitePolicy(), "is no time"),
        ("deadline=tomorrow", SitePolicy(), "is no time"),
        ("deadline=2026-11-01T12:00", SitePolicy(), "has passed"),
        ("deadline=2031-01-01T00:00", SitePolicy(), "more than 30 days away"),
        ("elastc=no", SitePolicy(), "did you mean elastic?"),
        ("colour=red", SitePolicy(), "known: elastic, min, burst, deadline"),
        ("min=2,min=6", SitePolicy(), "was set before"),
        ("?", SitePolicy(), "is unknown"),
        (f"min=2,{CUT}", SitePolicy(), "more was said than is read"),
        (f"min=444{CUT}", SitePolicy(), "no number of vCPUs"),
    ],
)
def test_what_does_not_hold_is_said(asked: str, site: SitePolicy, why: str) -> None:
    found = said(asked, site)
    assert any(why in words for words in found.refused), found
    assert any(why in words for words in sentences(found))


def test_a_site_bounds_what_is_kept() -> None:
    assert said("min=6", SitePolicy(max_min_share=0.5)).least == 4
    assert said("min=16").least == 8
    assert said("elastic=no").floor(1, 8) == 8
    assert said("min=4").floor(1, 8) == 4
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
    ("min=", "elastic=", "burst=", "deadline=", ",", " ", ";", "=", "no",
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
def test_hostile_settings_come_to_nothing(asked: str, request: int, site: SitePolicy) -> None:
    holds(asked_for(asked, request, NOW, site), request, site)


def test_settings_without_end_are_cheap() -> None:
    found = said("min=1," * 100_000)
    assert len(found.said) == 16
    assert len(found.refused) < 20
