"""One host's cores among its workers: the order, the shares, two steps, claw-back."""

from __future__ import annotations

import pytest

from hotslot.decide.arbiter import Arbitration, Claim, Lending, shared_out

BY_WEIGHT = Lending(lent_part=1.0)


def job(
    worker: str,
    request: int,
    wish: int | None = None,
    held: int | None = None,
    at: float = 0.0,
    *,
    floor: int = 1,
    weight: float = 1.0,
    burst: int = 0,
    may_requeue: bool = False,
) -> Claim:
    wish = request if wish is None else wish
    held = wish if held is None else held
    return Claim(
        worker, floor, 64, held, wish, request, weight, at, burst, may_requeue
    )  # fmt: skip


def targets(answer: Arbitration) -> dict[str, int]:
    return {worker: grant.target for worker, grant in answer.grants.items()}


def now(answer: Arbitration) -> dict[str, int]:
    return {worker: grant.now for worker, grant in answer.grants.items()}


def test_who_fits_gets_its_wish_and_the_policys_words() -> None:
    answer = shared_out(16, [job("a", 8, 3, 8), job("b", 8, 8, 8, at=1)])
    assert targets(answer) == {"a": 3, "b": 8}
    assert [grant.reason for grant in answer.grants.values()] == ["", ""]
    assert answer.clawback == ()


def test_an_owner_that_returns_gets_its_request_before_borrowers() -> None:
    answer = shared_out(4, [job("a", 4, 4, 2, at=0), job("b", 2, 2, 2, at=1)])
    assert targets(answer) == {"a": 3, "b": 1}, "the floor of b is all that it keeps"
    assert answer.grants["b"].lent
    assert not answer.grants["a"].lent


def test_shares_go_by_weight_where_the_site_says_so() -> None:
    claims = [job("a", 4, 4, 2, at=0), job("b", 4, 4, 2, at=1)]
    assert targets(shared_out(4, claims, BY_WEIGHT)) == {"a": 2, "b": 2}
    answer = shared_out(4, claims, Lending(lent_part=1 / 3))
    assert targets(answer) == {"a": 3, "b": 1}


def test_the_reason_names_request_share_and_weight() -> None:
    claims = [job("a", 8, weight=1.0), job("b", 16, at=1, weight=2.0)]
    answer = shared_out(16, claims, BY_WEIGHT)
    assert answer.grants["a"].target == 5
    assert answer.grants["a"].reason == "its request is 8; 5 of 16 vCPUs' share, weight 1 of 3"


def test_who_grows_waits_for_what_others_give_up() -> None:
    answer = shared_out(8, [job("a", 8, 8, 3), job("b", 4, 4, 4, at=1)])
    assert targets(answer) == {"a": 7, "b": 1}
    assert now(answer) == {"a": 4, "b": 1}
    assert answer.grants["a"].reason.endswith("4 until others have given up theirs")


def test_owners_grow_before_borrowers_with_what_is_free() -> None:
    answer = shared_out(12, [job("a", 8, 8, 4), job("s", 4, 1, 4, at=1), job("c", 4, 4, 1, at=2)])
    assert targets(answer) == {"a": 8, "s": 1, "c": 3}
    assert now(answer) == {"a": 7, "s": 1, "c": 1}


def test_growth_beyond_requests_leaves_what_is_offered_and_goes_first() -> None:
    grown = job("a", 4, 8, 8, burst=4)
    assert targets(shared_out(8, [grown])) == {"a": 8}
    assert targets(shared_out(8, [grown], offered=3)) == {"a": 5}
    answer = shared_out(8, [grown, job("b", 4, 4, 1, at=1)])
    assert targets(answer) == {"a": 4, "b": 4}
    (step,) = answer.clawback
    assert (step.worker, step.from_vcpus, step.to_vcpus) == ("a", 8, 4)
    assert "beyond its request of 4" in step.reason


def test_clawback_takes_growth_first_then_the_youngest_borrower() -> None:
    claims = [
        job("a", 8, 8, 1, at=0),
        job("b", 4, 8, 5, at=1, burst=4),
        job("c", 4, 4, 3, at=2),
        job("d", 4, 4, 3, at=3),
    ]
    answer = shared_out(12, claims)
    assert [(step.worker, step.to_vcpus) for step in answer.clawback] == [
        ("b", 4),
        ("d", 1),
        ("c", 1),
    ]


def test_what_others_may_want_back_is_not_lent() -> None:
    claims = [job("a", 8, 2, 2), job("b", 4, 4, 4, at=1)]
    assert shared_out(16, claims).headroom == 16 - 2 - 4
    answer = shared_out(16, claims, keep=3)
    assert answer.headroom == 16 - 5 - 4
    assert answer.promise == 12 + 7
    half = shared_out(16, claims, Lending(start_part=0.5), keep=3)
    assert half.promise == 12 + 14
    most = shared_out(16, claims, keep=30)
    assert most.headroom == 16 - 8 - 4, "a job never takes back more than its request"


def test_what_is_still_held_is_not_lent() -> None:
    assert shared_out(8, [job("a", 8, 2, 8)]).headroom == 0


def test_nothing_is_offered_while_a_borrower_wants_its_request() -> None:
    answer = shared_out(8, [job("a", 8, 4, 4), job("b", 8, 8, 3, at=1)])
    assert answer.headroom == 0
    assert answer.promise == 16


def test_a_borrower_owns_as_soon_as_older_jobs_have_ended() -> None:
    answer = shared_out(8, [job("b", 8, 8, 3, at=1)])
    assert not answer.grants["b"].lent
    assert targets(answer) == {"b": 8}


def test_the_youngest_that_allows_it_is_named_for_requeueing_while_an_owner_is_short() -> None:
    claims = [
        job("a", 4, 4, 2, at=0),
        job("b", 2, 2, 1, at=1, may_requeue=True),
        job("c", 2, 2, 1, at=2),
    ]
    assert shared_out(4, claims).requeue == ""
    assert shared_out(4, claims, Lending(requeue=True)).requeue == "b"
    happy = [job("a", 4, 2, 2, at=0), *claims[1:]]
    assert shared_out(4, happy, Lending(requeue=True)).requeue == ""


def test_vcpus_beyond_the_cores_are_those_that_idle_within_grants() -> None:
    claims = [job("a", 8, 8, 8), job("b", 8, 8, 2, at=1)]
    lending = Lending(overcommit=1.5)
    assert shared_out(8, claims, lending).capacity == 8
    assert shared_out(8, claims, lending, idle=2.6).capacity == 10
    assert shared_out(8, claims, lending, idle=20).capacity == 12
    assert shared_out(8, claims, Lending(), idle=20).capacity == 8


def test_workers_without_a_job_have_their_floors_and_cost_no_core() -> None:
    idle = Claim("z", 1, 8, 1, 1)
    answer = shared_out(8, [idle, job("a", 8, 8, 3)])
    assert targets(answer) == now(answer) == {"z": 1, "a": 8}
    assert shared_out(4, [idle, job("a", 4, 2, 2)]).headroom == 2


def test_what_an_ended_job_has_left_plugged_is_free_when_it_is_unplugged() -> None:
    left = Claim("z", 1, 8, 6, 1)
    answer = shared_out(8, [left, job("a", 8, 8, 2)])
    assert targets(answer) == {"z": 1, "a": 8}
    assert now(answer) == {"z": 1, "a": 3}
    assert shared_out(8, [left, job("a", 4, 2, 2)]).headroom == 1


def test_impossible_rules_are_refused() -> None:
    with pytest.raises(ValueError, match=r"overcommit is 0\.5"):
        Lending(overcommit=0.5)
