"""`hotslot verify` finds nothing in a record that is right, and names what is wrong in others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotslot.model import Level
from hotslot.record.history import History
from hotslot.record.store import Store
from hotslot.verify import verify
from record.lives import DAY, Life, a_life, live


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hotslot.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store(path) as store:
        live(
            store,
            [
                a_life("10", 1000.0),
                a_life("11", DAY - 2.0, outcome="FAILED"),
                a_life("12", 2.0 * DAY),
                Life(a_life("13", 3.0 * DAY).of, 3.0 * DAY, reason=None),
            ],
        )
        yield store


def wrong(path: Path) -> dict[str, str]:
    with History(path) as history:
        return {one.subject: one.found for one in verify(history) if one.level is Level.WRONG}


def test_a_record_that_is_right_is_found_right(store: Store, path: Path) -> None:
    assert wrong(path) == {}
    store.thin_samples(1, points=3)
    assert wrong(path) == {}


def test_what_is_looked_at_is_told(store: Store, path: Path) -> None:
    told: list[str] = []
    with History(path) as history:
        found = verify(history, told.append)
    assert "roll-ups" in told
    assert [one.subject for one in found][:3] == [
        *("file", "references", "held by leases and ledger"),
    ]


@pytest.mark.parametrize(
    ("damage", "subject", "words"),
    [
        ("UPDATE host_ledger SET held_core_s = held_core_s + 3", "held by leases and ledger", "%"),
        (
            "UPDATE host_ledger SET held_core_s = held_core_s + 3 WHERE minute_at < 86340",
            "held by samples and ledger, each day",
            "1970-01-01",
        ),
        ("DELETE FROM samples WHERE lease_id = 3", "totals and samples", "lease 3: held"),
        ("DELETE FROM events WHERE lease_id = 2", "events", "lease 2: counted 2 events"),
        (
            "DELETE FROM events WHERE lease_id = 2 AND after_ms < 1000",
            "events",
            "lease 2: counted 2 events, there are 1",
        ),
        ("UPDATE daily SET used_core_ms = 1 WHERE day = 2", "roll-ups and leases", "1970-01-03"),
        ("DELETE FROM daily WHERE day = 0", "roll-ups and leases", "leases 0, the leases add"),
        ("PRAGMA foreign_keys = OFF; DELETE FROM leases WHERE id = 4", "references", "samples"),
    ],
)
def test_what_differs_is_named(
    store: Store, path: Path, damage: str, subject: str, words: str
) -> None:
    store._db.executescript(damage)
    found = wrong(path)
    assert words in found[subject]


def test_a_lease_across_midnight_is_split(store: Store, path: Path) -> None:
    with History(path) as history:
        (finding,) = [one for one in verify(history) if one.subject.endswith("each day")]
    assert finding.found.startswith("4 days agree")
