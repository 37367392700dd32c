"""A host's account adds up, whatever its workers have."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot.accounts import Foretold, Holding, HostAccount, Loan, Offered, account, queue
from hotslot.decide.arbiter import Claim, shared_out
from hotslot.model import Waiting


def the_example(headroom: int = 1) -> HostAccount:
    """The worked numbers of ``HostAccount``."""
    holdings = [
        Holding("a", 1, 2, "1", request=8, started_at=1),
        Holding("s", 1, 4, "2", request=4, started_at=2),
        Holding("c", 1, 3, "3", request=4, started_at=3, lent=True),
        Holding("i", 1, 1),
    ]
    return account(12, holdings, capacity=12, headroom=headroom)


def test_the_worked_numbers_come_out() -> None:
    told = the_example()
    assert (told.requested_vcpus, told.granted_vcpus) == (16, 10)
    assert (told.returned_vcpus, told.unfilled_vcpus) == (6, 1)
    assert (told.owners_vcpus, told.borrowers_vcpus, told.grown_vcpus) == (6, 3, 0)
    assert (told.idle_vcpus, told.taken_vcpus, told.reserved_vcpus) == (1, 9, 2)
    assert told.loans == (Loan("c", "3", 3, ("a",)),)


def test_cores_that_nobody_owns_are_not_lent_by_anybody() -> None:
    owner = Holding("a", 1, 3, "1", request=6)
    old = Holding("c", 1, 3, "2", request=4, started_at=2, lent=True)
    young = Holding("d", 1, 2, "3", request=4, started_at=3, lent=True)
    told = account(8, [young, owner, old], capacity=8, headroom=0)
    assert [(loan.worker, loan.vcpus) for loan in told.loans] == [("c", 1), ("d", 2)]


def test_a_borrower_beside_owners_that_have_all_of_theirs_is_lent_nothing() -> None:
    owner = Holding("a", 1, 8, "1", request=8)
    floored = Holding("c", 1, 1, "2", request=4, lent=True)
    told = account(8, [owner, floored], capacity=8, headroom=0)
    assert (told.lent_vcpus, told.over_vcpus) == (0, 1)


def test_a_headroom_that_has_been_taken_meanwhile_is_not_told() -> None:
    assert the_example(headroom=9).headroom_vcpus == 3
    assert the_example(headroom=9).reserved_vcpus == 0


@st.composite
def claims(draw: st.DrawFn) -> list[Claim]:
    """Workers of a host, with and without jobs."""
    found = []
    for n in range(draw(st.integers(0, 8))):
        floor = draw(st.integers(1, 3))
        ceiling = draw(st.integers(floor, 12))
        found.append(
            Claim(
                worker=f"w{n}",
                floor=floor,
                ceiling=ceiling,
                held=draw(st.integers(0, 14)),
                wish=draw(st.integers(0, 14)),
                request=draw(st.sampled_from([0, *range(floor, ceiling + 1)])),
                started_at=draw(st.floats(0, 100)),
                burst=draw(st.integers(0, 3)),
            )
        )
    return found


@given(st.integers(1, 24), claims(), st.integers(0, 8))
def test_the_ledger_adds_up(cores: int, workers: list[Claim], keep: int) -> None:
    shared = shared_out(cores, workers, keep=keep)
    holdings = [
        Holding(
            one.worker, one.floor, one.held, "7" if one.request else "", one.request,
            shared.grants[one.worker].lent, one.started_at, 0.5,
        )
        for one in workers
    ]  # fmt: skip
    offers = [Offered("slurm", "g", 2), Offered("htcondor", "h", 1)]
    told = account(
        cores, holdings, capacity=shared.capacity, headroom=shared.headroom, offers=offers
    )
    assert told.granted_vcpus == sum(one.held for one in workers)
    assert told.granted_vcpus == (
        told.owners_vcpus + told.borrowers_vcpus + told.grown_vcpus + told.idle_vcpus
    )
    assert told.requested_vcpus == sum(one.request for one in workers)
    assert told.requested_vcpus == (
        told.owners_vcpus + told.returned_vcpus + told.borrowers_vcpus + told.unfilled_vcpus
    )
    assert told.capacity_vcpus + told.over_vcpus == (
        told.taken_vcpus + told.reserved_vcpus + told.headroom_vcpus
    )
    floors = sum(min(one.held, one.floor) for one in workers if not one.request)
    assert told.taken_vcpus == told.granted_vcpus - floors
    assert told.headroom_vcpus == shared.headroom, "fresh from the arbiter, all of it is free"
    assert min(asdict(told)[key] for key in asdict(told) if key.endswith("_vcpus")) >= 0
    assert told.lent_vcpus == sum(loan.vcpus for loan in told.loans) <= told.borrowers_vcpus
    assert told.lent_vcpus <= told.returned_vcpus
    for loan in told.loans:
        (borrower,) = [one for one in holdings if one.worker == loan.worker]
        assert borrower.lent
        assert 0 < loan.vcpus <= borrower.within
        assert loan.lenders
    assert told.offered_cpus == 3
    assert told.used_cores == pytest.approx(0.5 * len(workers))


@given(st.integers(1, 24), claims())
def test_what_json_carries_is_read_as_it_was(cores: int, workers: list[Claim]) -> None:
    holdings = [Holding(one.worker, one.floor, one.held, "7", one.request) for one in workers]
    ahead = Foretold(2, 60.0, 0.1, 30, 1)
    told = account(cores, holdings, capacity=cores, headroom=1, forecast=ahead,
                   offers=[Offered("s", "g", 2)])  # fmt: skip
    carried = json.loads(json.dumps(asdict(told)))
    assert HostAccount.read({**carried, "news": 1}) == told
    assert HostAccount.read(json.loads(json.dumps(asdict(the_example())))) == the_example()


def test_who_waits_is_told_what_it_lacks_in_the_order_of_the_queues() -> None:
    slurm = [Waiting("1", 2, 10.0), Waiting("2", 4, 5.0)]
    condor = [Waiting("7.0@s", 2, 8.0)]
    told = queue(3, {"slurm": slurm, "htcondor": condor}, {"slurm": [4], "htcondor": [2]})
    assert [one.job for one in told] == ["7.0@s", "1", "2"], "a queue keeps its own order"
    assert [(one.missing_cpus, one.missing_workers) for one in told] == [(0, 0), (1, 0), (5, 1)]


@given(
    st.integers(-4, 16),
    st.lists(st.tuples(st.integers(1, 8), st.integers(1, 3), st.floats(0, 9)), max_size=8),
    st.lists(st.integers(1, 8), max_size=6),
)
def test_a_queue_loses_nobody_and_what_is_missing_is_never_less_behind(
    free: int, jobs: list[tuple[int, int, float]], room: list[int]
) -> None:
    waiting = [
        Waiting(str(n), cpus, since, workers) for n, (cpus, workers, since) in enumerate(jobs)
    ]
    told = queue(free, {"slurm": waiting}, {"slurm": room})
    assert [one.job for one in told] == [one.job_id for one in waiting]
    missing = [one.missing_cpus for one in told]
    assert missing == sorted(missing)
    needed = sum(one.cpus * one.workers for one in waiting)
    assert not told or missing[-1] == max(0, needed - free)
    taken = sum(one.workers - one.missing_workers for one in told)
    assert taken <= len(room)
