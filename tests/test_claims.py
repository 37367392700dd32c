"""What the arbiter is told of a worker: its job's size and weight, and what its owner asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import placement, sample
from fakes.virtual_time import in_virtual_time
from hotslot.claims import Claims, highest_priorities
from hotslot.decide.preferences import SitePolicy
from hotslot.measure.past import Samples
from hotslot.model import Decision, JobPhase, Lease, Placement
from hotslot.sharing import Sharing
from hotslot.track import Track
from test_loop import World


def job(**fields: object) -> Lease:
    """A job of four CPUs that began at 100."""
    placed: Placement = replace(placement(cpus=4), **fields)  # type: ignore[arg-type]
    return Lease(id=1, placement=placed, opened_at=100.0)


@in_virtual_time
async def _make(made: list[Track]) -> None:
    made.append(World("w1").loop.tracks["w1"])


@pytest.fixture
def track() -> Track:
    """A worker of up to four vCPUs."""
    made: list[Track] = []
    _make(made)
    made[0].settings = replace(made[0].settings, ceiling=8)
    return made[0]


def wish(track: Track, lease: Lease | None, vcpus: int, claims: Claims | None = None) -> Decision:
    wished = Decision("w1", 200.0, track.granted, vcpus, "so it is", 199.0)
    return (claims or Claims()).wish(track, lease, wished)


def busy(track: Track, cores: float, seconds: int, granted: int = 4) -> None:
    track.held.change(0.0, granted)
    track.samples = Samples(sample(100.0 + s, used=cores, granted=granted) for s in range(seconds))


def test_a_job_keeps_what_its_owner_asked_for(track: Track) -> None:
    said = wish(track, job(asked="min=3"), 1)
    assert (said.to_vcpus, said.reason) == (3, "so it is; kept at 3, as its owner asked")
    assert wish(track, job(asked="elastic=no"), 1).to_vcpus == 4
    assert wish(track, job(asked="min=3"), 4).reason == "so it is"
    assert wish(track, job(), 1).to_vcpus == 1


def test_a_suspended_job_keeps_nothing(track: Track) -> None:
    suspended = job(asked="elastic=no", phase=JobPhase.SUSPENDED)
    assert wish(track, suspended, 1).to_vcpus == 1
    assert Claims().of(track, suspended, 200.0, 0.0).floor == 1


def test_the_site_has_the_last_word(track: Track) -> None:
    site = Claims(SitePolicy(allow_elastic_no=False, max_min_share=0.5))
    assert wish(track, job(asked="elastic=no"), 1, site).to_vcpus == 1
    assert wish(track, job(asked="min=4"), 1, site).to_vcpus == 2


def test_a_worker_without_a_job_claims_nothing(track: Track) -> None:
    claim = Claims(growth=1.0).of(track, None, 200.0, 0.0)
    assert (claim.request, claim.burst, claim.weight) == (0, 0, 1.0)


def test_no_job_grows_beyond_its_request_unless_the_site_lets_it(track: Track) -> None:
    busy(track, 4.0, 20)
    assert wish(track, job(), 4).to_vcpus == 4
    grown = wish(track, job(), 4, Claims(growth=0.5))
    assert grown.to_vcpus == 5
    assert "1 more than its request" in grown.reason
    assert Claims(growth=0.5).of(track, job(), 200.0, 0.0).burst == 2


@pytest.mark.parametrize("lease", [job(asked="burst=no"), job()])
def test_who_does_not_want_to_grow_or_may_not_does_not(track: Track, lease: Lease) -> None:
    busy(track, 4.0, 20)
    site = SitePolicy(allow_burst=bool(lease.placement.asked))
    claims = Claims(site, growth=1.0)
    assert wish(track, lease, 4, claims).to_vcpus == 4
    assert claims.of(track, lease, 200.0, 0.0).burst == 0


def test_growth_takes_time_ends_at_its_limit_and_shrinks_with_the_need(track: Track) -> None:
    claims = Claims(growth=0.5)
    busy(track, 4.0, 5)
    assert wish(track, job(), 4, claims).to_vcpus == 4
    busy(track, 6.0, 20, granted=6)
    assert wish(track, job(), 4, claims).to_vcpus == 6
    busy(track, 4.5, 20, granted=6)
    assert wish(track, job(), 4, claims).to_vcpus == 5
    busy(track, 2.0, 20, granted=6)
    assert wish(track, job(), 4, claims).to_vcpus == 4
    assert wish(track, job(), 2, claims).to_vcpus == 2


def test_priority_and_fair_share_weigh(track: Track) -> None:
    claims = Claims()
    first = claims.of(track, job(priority=2000.0, fair_share=0.5), 200.0, 2000.0)
    other = claims.of(track, job(priority=500.0, fair_share=0.25), 200.0, 2000.0)
    assert first.weight == 2.0
    assert other.weight == pytest.approx(2**-0.5 * 2**-0.5)
    assert claims.of(track, job(), 200.0, 0.0).weight == 1.0


def test_a_job_that_will_not_be_done_in_time_weighs_more(track: Track) -> None:
    """Four CPUs for 1000 s, of which 900 are over; it has used 3600 of 3600: 400 are left."""
    track.held.change(0.0, 1)
    late = job(time_limit_s=1000.0, started_at=100.0)
    totals = replace(late.totals, used_core_s=3600.0, life_s=900.0)
    late = replace(late, totals=totals)
    assert Claims().of(track, late, 1000.0, 0.0).weight == 4.0
    due = replace(late, placement=replace(late.placement, deadline_at=1050.0))
    track.held.change(0.0, 4)
    assert Claims().of(track, late, 1000.0, 0.0).weight == 1.0
    assert Claims().of(track, due, 1000.0, 0.0).weight == 2.0
    said = replace(late, placement=replace(late.placement, asked="deadline=1970-01-01T00:17:30Z"))
    assert Claims().of(track, said, 1000.0, 0.0).weight == 2.0


def test_priorities_are_compared_within_a_scheduler() -> None:
    jobs = [
        replace(placement("1"), priority=10.0),
        replace(placement("2"), priority=40.0),
        replace(placement("3"), scheduler="htcondor"),
    ]
    assert highest_priorities(jobs) == {"slurm": 40.0, "htcondor": 0.0}


words = st.text(max_size=30) | st.sampled_from(["min=2", "min=99", "elastic=no", "burst=no,min=3"])


@given(asked=words, request=st.integers(1, 12), vcpus=st.integers(1, 8), growth=st.floats(0, 4))
def test_whatever_is_asked_the_wish_stays_within_the_worker(
    asked: str, request: int, vcpus: int, growth: float
) -> None:
    made: list[Track] = []
    _make(made)
    busy(made[0], 4.0, 15)
    lease = job(asked=asked, cpus=request)
    claims = Claims(growth=growth)
    said = wish(made[0], lease, min(vcpus, 4), claims)
    assert 1 <= said.to_vcpus <= 4
    claim = claims.of(made[0], lease, 200.0, 0.0)
    assert 1 <= claim.floor <= max(1, min(request, 4))


@in_virtual_time
async def test_a_change_of_mind_counts_and_what_is_over_is_forgotten() -> None:
    """Slurm's comment can be changed while the job runs: scontrol update."""
    world = World("w1", sharing=Sharing(4, lends=True))
    world.load = 0.5
    await world.start(cpus=4)
    await world.run(20)
    assert world.granted() == 1
    changed = replace(placement(cpus=4), asked="min=3")
    assert await world.loop.begin(changed)
    await world.run(5)
    assert world.granted() == 3
    lease = world.loop.lease_on("w1")
    assert lease is not None
    await world.loop.finish(lease, [], 2000.0)
    await world.run(5)
    assert world.granted() == 1
    assert world.sharing.claims._preferences == {}
