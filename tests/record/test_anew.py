"""An agent that finds its record damaged goes on with a new one, and with what is left of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from hotslot.errors import StoreCorrupt, StoreError
from hotslot.record.anew import open_or_begin_anew
from hotslot.record.aside import set_aside
from hotslot.record.batch import Batch, Beat
from hotslot.record.store import Store
from record.recorded import closed, event, lease, seconds, worker_state

PAGE_BYTES = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A record of two leases, one of them open."""
    path = tmp_path / "hotslot.db"
    with Store(path) as store:
        leases = (closed(lease(1)), lease(2))
        samples = (*seconds(1, 400), *seconds(2, 400))
        beats = (Beat(100.0, 150.0),)
        store.append(Batch(leases, samples, (event(1),), (), (worker_state(),), (), beats))
    return path


def damaged_behind(path: Path, page: int) -> None:
    """Overwrite all from this page on."""
    raw = path.read_bytes()
    path.write_bytes(raw[: page * PAGE_BYTES] + b"\x55" * (len(raw) - page * PAGE_BYTES))


def test_a_record_that_is_whole_is_opened_as_it_is(path: Path) -> None:
    store, aside = open_or_begin_anew(path)
    with store:
        assert aside is None
        assert len(store.closed_leases(9)) == 1


def test_open_leases_are_taken_over_as_far_as_they_can_be_read(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pages = path.stat().st_size // PAGE_BYTES
    damaged_behind(path, pages - 4)  # samples, most probably
    before = path.read_bytes()
    store, aside = open_or_begin_anew(path)
    with store:
        assert aside is not None
        assert aside.read_bytes() == before
        assert store.open_leases() == [lease(2)]
        assert store.workers() == [worker_state()]
        assert store.beats() == [Beat(100.0, 150.0)]
        assert store.closed_leases(9) == []
    assert "is damaged" in caplog.text
    assert f"begun anew with 1 open leases; the damaged file is {aside}" in caplog.text


@pytest.mark.parametrize("page", [0, 1, 2])
def test_of_a_record_that_cannot_be_read_nothing_is_taken_over(path: Path, page: int) -> None:
    damaged_behind(path, page)
    store, aside = open_or_begin_anew(path)
    with store:
        assert aside is not None
        assert store.last_lease_id() == 0
        assert store.open_lease(lease(1).placement, 300.0).id == 1


def test_any_page_that_is_damaged_is_survived(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    whole = path.read_bytes()
    for page in range(len(whole) // PAGE_BYTES):
        raw = bytearray(whole)
        raw[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = b"\xa5" * PAGE_BYTES
        path.write_bytes(raw)
        store, _ = open_or_begin_anew(path)
        with store:
            store.append(Batch((lease(3),), tuple(seconds(3, 10))))
        for one in path.parent.iterdir():
            one.unlink()


def test_another_programs_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "hotslot.db"
    with Store(path) as store:
        store._db.execute("PRAGMA application_id = 7")
    with pytest.raises(StoreCorrupt, match="another program"):
        open_or_begin_anew(path)
    assert [one.name for one in tmp_path.iterdir()] == ["hotslot.db"]


def test_a_name_that_is_taken_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "hotslot.db"
    for words in ("first", "second"):
        path.write_text(words)
        Path(f"{path}-wal").write_text(words)
        set_aside(path, 0.0)
    aside = tmp_path / "hotslot.db.damaged-19700101T000000Z"
    assert aside.read_text() == "first"
    assert Path(f"{aside}-2").read_text() == "second"
    assert Path(f"{aside}-2-wal").read_text() == "second"
    assert not path.exists()


def test_what_cannot_be_renamed_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is damaged and cannot be renamed: No such file"):
        set_aside(tmp_path / "hotslot.db", 0.0)
