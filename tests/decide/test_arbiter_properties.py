"""What holds in every world: random workers, wishes, weights and holdings."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from hotslot.decide.arbiter import Claim, Lending, shared_out


@st.composite
def claims_of(draw: st.DrawFn, most: int = 10) -> list[Claim]:
    """Some workers, a part of them without a job."""
    return [draw(claim_of(f"w{at}")) for at in range(draw(st.integers(1, most)))]


@st.composite
def claim_of(draw: st.DrawFn, name: str) -> Claim:
    ceiling = draw(st.integers(1, 32))
    floor = draw(st.integers(1, min(3, ceiling)))
    request = draw(st.sampled_from((0, 1, 2, 4, 8, 16, 32)))
    return Claim(
        name,
        floor,
        ceiling,
        held=draw(st.integers(0, ceiling)),
        wish=draw(st.integers(1, 40)) if request else floor,
        request=request,
        weight=draw(st.sampled_from((0.25, 0.5, 1.0, 1.0, 1.7, 4.0))),
        started_at=float(draw(st.integers(0, 20))),
        burst=draw(st.sampled_from((0, 0, 4))),
        may_requeue=draw(st.booleans()),
    )


LENDING = st.builds(
    Lending,
    overcommit=st.sampled_from((1.0, 1.25, 2.0)),
    lent_part=st.sampled_from((0.0, 0.25, 1.0)),
    requeue=st.booleans(),
)
CORES = st.integers(1, 256)
IDLE = st.sampled_from((0.0, 3.7, 40.0))


def most_of(claim: Claim) -> int:
    return max(claim.floor, min(claim.ceiling, claim.request + claim.burst))


@given(CORES, claims_of(), LENDING, IDLE, st.integers(0, 40))
def test_grants_stay_within_cores_and_between_floor_and_ceiling(
    cores: int, claims: list[Claim], lending: Lending, idle: float, offered: int
) -> None:
    answer = shared_out(cores, claims, lending, offered=offered, idle=idle)
    jobs = [claim for claim in claims if claim.request]
    floors = sum(claim.floor for claim in jobs)
    assert answer.capacity <= cores * lending.overcommit
    assert sum(answer.grants[c.worker].target for c in jobs) <= max(answer.capacity, floors)
    for claim in claims:
        grant = answer.grants[claim.worker]
        assert claim.floor <= grant.target <= most_of(claim)
        assert grant.target <= max(claim.floor, claim.wish)


@given(CORES, claims_of(), LENDING, IDLE)
def test_nobody_is_short_of_its_request_while_another_has_more_than_its_own(
    cores: int, claims: list[Claim], lending: Lending, idle: float
) -> None:
    grants = shared_out(cores, claims, lending, idle=idle).grants
    short = [c for c in claims if c.request and grants[c.worker].target < c.due]
    grown = [c for c in claims if grants[c.worker].target > max(c.floor, c.request)]
    assert not (short and grown)


@given(CORES, claims_of(), LENDING, IDLE)
def test_nothing_idles_while_somebody_is_short(
    cores: int, claims: list[Claim], lending: Lending, idle: float
) -> None:
    answer = shared_out(cores, claims, lending, idle=idle)
    grants = answer.grants
    if any(c.request and grants[c.worker].target < c.due for c in claims):
        total = sum(grants[c.worker].target for c in claims if c.request)
        assert total >= answer.capacity
        assert answer.headroom == 0


@given(CORES, claims_of(), LENDING)
def test_with_owners_first_no_owner_is_short_while_a_borrower_has_more_than_its_floor(
    cores: int, claims: list[Claim], lending: Lending
) -> None:
    lending = replace(lending, lent_part=0.0)
    grants = shared_out(cores, claims, lending).grants
    jobs = [c for c in claims if c.request]
    short = any(grants[c.worker].target < c.due for c in jobs if not grants[c.worker].lent)
    lent = any(grants[c.worker].target > c.floor for c in jobs if grants[c.worker].lent)
    assert not (short and lent)


@given(CORES, claims_of(), LENDING)
def test_the_oldest_jobs_own_what_fits_together(
    cores: int, claims: list[Claim], lending: Lending
) -> None:
    grants = shared_out(cores, claims, lending).grants
    jobs = sorted(
        (c for c in claims if c.request), key=lambda c: (c.started_at, c.worker)
    )  # fmt: skip
    flags = [grants[c.worker].lent for c in jobs]
    assert flags == sorted(flags), "owners are a run of the oldest"
    owners = [c for c in jobs if not grants[c.worker].lent]
    asked = sum(min(c.request, c.ceiling) for c in owners)
    assert asked <= cores or len(owners) == 1


@given(CORES, claims_of(), LENDING, st.integers(1, 16), st.integers(2, 16))
def test_equal_weights_and_wishes_get_equal_grants(
    cores: int, claims: list[Claim], lending: Lending, request: int, twins: int
) -> None:
    one = Claim("", 1, 32, 1, request, request, 1.0, 5.0)
    same = [replace(one, worker=f"twin{at}", held=at % 3) for at in range(twins)]
    grants = shared_out(cores, [*claims, *same], replace(lending, lent_part=1.0)).grants
    got = [grants[c.worker].target for c in same]
    assert max(got) - min(got) <= 1


@given(CORES, claims_of(), LENDING, IDLE)
def test_what_is_held_never_adds_up_to_more_while_grants_come_about(
    cores: int, claims: list[Claim], lending: Lending, idle: float
) -> None:
    answer = shared_out(cores, claims, lending, idle=idle)
    held = sum(max(c.held, c.floor) - c.uncounted for c in claims)
    growing = sum(max(c.held, answer.grants[c.worker].now) - c.uncounted for c in claims)
    assert growing <= max(held, answer.capacity)


@given(CORES, claims_of(), LENDING, IDLE, st.lists(st.booleans(), min_size=10, max_size=10))
def test_it_settles_and_then_nothing_moves(
    cores: int, claims: list[Claim], lending: Lending, idle: float, obeys: list[bool]
) -> None:
    """Also if some workers do not shrink for a while."""
    for turn in range(4):
        answer = shared_out(cores, claims, lending, idle=idle)
        claims = [
            replace(c, held=answer.grants[c.worker].now) if obeys[at] or turn else c
            for at, c in enumerate(claims)
        ]
    again = shared_out(cores, claims, lending, idle=idle)
    for claim in claims:
        grant = again.grants[claim.worker]
        assert grant.now == grant.target == claim.held
    assert again.clawback == ()


@given(CORES, claims_of(), LENDING, st.lists(st.integers(1, 16), max_size=12))
def test_the_offer_never_promises_a_core_twice(
    cores: int, claims: list[Claim], lending: Lending, queue: list[int]
) -> None:
    """Whoever starts within the headroom can have its request at once, and no one else's reserve
    is touched; what is left is offered once."""
    claims = [replace(c, held=max(c.held, c.floor)) for c in claims]
    before = shared_out(cores, claims, lending)
    left = before.headroom
    begun = 0
    for at, cpus in enumerate(queue):
        if cpus > left:
            break
        left -= cpus
        begun += 1
        claims.append(Claim(f"new{at}", 1, 32, cpus, cpus, cpus, 1.0, 100.0 + at))
    after = shared_out(cores, claims, lending)
    if begun:
        assert sum(c.held - c.uncounted for c in claims) <= after.capacity
        assert all(after.grants[f"new{at}"].target == queue[at] for at in range(begun))
    assert after.headroom <= max(0, left)


@given(CORES, claims_of(), LENDING, IDLE)
def test_every_answer_repeats_itself_and_says_why(
    cores: int, claims: list[Claim], lending: Lending, idle: float
) -> None:
    answer = shared_out(cores, claims, lending, idle=idle)
    assert answer == shared_out(cores, claims, lending, idle=idle)
    for claim in claims:
        grant = answer.grants[claim.worker]
        if grant.target < max(claim.floor, min(claim.wish, claim.ceiling)):
            assert "request" in grant.reason
        if grant.now < grant.target:
            assert "given up" in grant.reason
    for step in answer.clawback:
        assert step.to_vcpus < step.from_vcpus
        assert step.reason


@settings(max_examples=30)
@given(CORES, claims_of(), LENDING)
def test_the_order_in_which_workers_are_listed_hardly_matters(
    cores: int, claims: list[Claim], lending: Lending
) -> None:
    there = shared_out(cores, claims, lending).grants
    back = shared_out(cores, claims[::-1], lending).grants
    assert all(abs(there[name].target - back[name].target) <= 1 for name in there)


def random_claim(dice: Random, name: str) -> Claim:
    ceiling = dice.choice((4, 8, 16, 32))
    request = dice.choice((0, 1, 2, 4, 8, 16, 32))
    wish = dice.randint(1, 40) if request else 1
    return Claim(
        name, 1, ceiling, dice.randint(0, ceiling), wish, request,
        weight=dice.choice((0.25, 1.0, 1.0, 1.3, 4.0)),
        started_at=dice.random(),
        burst=dice.choice((0, 0, 8)),
    )  # fmt: skip


def test_a_thousand_worlds_of_64_workers() -> None:
    for seed in range(1000):
        dice = Random(seed)
        claims = [random_claim(dice, f"w{at}") for at in range(64)]
        cores = dice.randint(64, 900)
        lending = Lending(lent_part=dice.choice((0.0, 0.25, 1.0)))
        answer = shared_out(cores, claims, lending)
        target = {name: grant.target for name, grant in answer.grants.items()}
        total = sum(target[c.worker] for c in claims if c.request)
        assert total <= max(cores, sum(c.floor for c in claims if c.request))
        assert all(target[c.worker] >= c.floor for c in claims)
        short = [c for c in claims if c.request and target[c.worker] < c.due]
        assert not (short and any(target[c.worker] > max(c.floor, c.request) for c in claims))
        assert not short or total == cores
        reserved = sum(max(target[c.worker], c.held) - c.uncounted for c in claims)
        assert answer.headroom <= max(0, cores - reserved)
