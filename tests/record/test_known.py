"""Lease ids are given out once, and no run of a job gets two."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import placement
from hotslot.model import Placement
from hotslot.record import known
from hotslot.record.known import KnownLeases
from record.recorded import closed, lease


def submitted(at: float | None) -> Placement:
    return replace(placement(), submitted_at=at)


def test_ids_go_on_from_the_record() -> None:
    leases = KnownLeases([lease(3, of=placement("9"))], last_id=7)
    assert leases.open(placement("10"), 1.0)[0].id == 8
    assert leases.open(placement("11"), 1.0)[0].id == 9


def test_an_open_lease_of_the_record_is_found_again() -> None:
    known_one = lease(3, of=placement())
    assert KnownLeases([known_one], 3).open(placement(), 9.0) == (known_one, False)


def test_a_closed_lease_of_the_record_stays_closed() -> None:
    known_one = closed(lease(3, of=placement()))
    found, is_new = KnownLeases([known_one], 3).open(placement(), 900.0)
    assert not is_new
    assert (found.id, found.closed_at, found.close_reason) == (
        *(known_one.id, known_one.closed_at, known_one.close_reason),
    )


def test_closing_a_lease_late_does_not_hide_a_newer_one_of_its_job_s_id() -> None:
    first = closed(lease(3, of=submitted(1000.0)))
    leases = KnownLeases([first], 3)
    second, _ = leases.open(submitted(5000.0), 6000.0)
    assert leases.close(closed(second, 7000.0))
    assert not leases.close(first)
    assert leases.open(submitted(5000.0), 8000.0)[0].id == second.id


def test_an_older_lease_of_the_same_id_leaves_the_open_one_open() -> None:
    leases = KnownLeases([closed(lease(3, of=submitted(1000.0)))], 3)
    second, _ = leases.open(submitted(5000.0), 6000.0)
    assert not leases.close(closed(lease(3, of=submitted(1000.0))))
    assert leases.open(submitted(5000.0), 6001.0) == (second, False)


def test_closing_twice_is_told_apart() -> None:
    leases = KnownLeases([], 0)
    one, _ = leases.open(placement(), 1.0)
    assert leases.close(closed(one))
    assert not leases.close(closed(one, 900.0))


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        (1000.0, 1000.0, True),
        (1000.0, 1001.0, True),
        (1000.0, 5000.0, False),
        (None, 5000.0, True),
        (1000.0, None, True),
    ],
)
def test_an_id_is_another_job_when_it_was_submitted_later(
    before: float | None, now: float | None, same: bool
) -> None:
    ended = closed(lease(3, of=submitted(before)))
    assert KnownLeases([ended], 3).open(submitted(now), 6000.0)[1] is not same


def test_an_open_lease_is_never_doubled_whatever_was_submitted_when() -> None:
    leases = KnownLeases([lease(3, of=submitted(1000.0))], 3)
    assert leases.open(submitted(5000.0), 6000.0)[0].id == 3


def test_only_so_many_closed_leases_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "REMEMBERED", 2)
    ended = [closed(lease(i, of=placement(str(i)))) for i in (1, 2, 3)]
    leases = KnownLeases([*ended, lease(4, of=placement("4"))], 4)
    assert [leases.open(placement(str(i)), 9.0)[1] for i in (1, 2, 3, 4)] == [
        *(True, False, False, False)
    ]
