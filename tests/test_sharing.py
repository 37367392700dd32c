"""What jobs do not use is lent, and comes back: the loop and the arbiter, in virtual time."""

from __future__ import annotations

from builders import placement
from fakes.virtual_time import in_virtual_time
from hotslot.decide.arbiter import Lending
from hotslot.decide.forecast import Forecast, Foresight
from hotslot.sharing import STEADY_S, Sharing
from test_loop import World

HORIZON_S = 5


def host(*, cores: int = 4, risk: float = 1.0, lends: bool = True, **lending: bool) -> World:
    """Two workers of four vCPUs on a host of four cores."""
    sharing = Sharing(
        cores,
        lending=Lending(**lending),
        forecast=Forecast(Foresight(horizon_s=HORIZON_S, risk=risk)),
        lends=lends,
    )
    return World("w1", "w2", sharing=sharing)


async def lending(world: World) -> World:
    """Let a job of four use one core, until what it does not use can be lent."""
    await world.loop.look_at_all()
    world.loads = {"w1": 0.9, "w2": 0.0}
    await world.run(HORIZON_S + 2)
    assert await world.loop.begin(placement("1", "w1", cpus=4))
    await world.run(30)
    return world


async def borrowing(world: World) -> World:
    """Let a second job run on what the first one lends."""
    await lending(world)
    world.loads["w2"] = 2.0
    assert await world.loop.begin(placement("2", "w2", cpus=2))
    await world.run(10)
    assert (world.granted("w1"), world.granted("w2")) == (2, 2)
    return world


@in_virtual_time
async def test_what_a_job_does_not_use_can_be_lent() -> None:
    world = await lending(host())
    assert world.granted("w1") == 2
    assert (world.sharing.promise, world.sharing.lent) == (6, 2)


@in_virtual_time
async def test_a_site_that_lends_nothing_promises_its_cores() -> None:
    world = await lending(host(lends=False))
    assert world.granted("w1") == 2
    assert world.sharing.lent == 0


@in_virtual_time
async def test_with_no_risk_taken_nothing_is_lent_that_could_be_wanted_back() -> None:
    world = await lending(host(risk=0.0))
    assert world.sharing.lent == 0


@in_virtual_time
async def test_nothing_is_lent_before_jobs_were_watched_for_a_while() -> None:
    world = host()
    await world.loop.look_at_all()
    world.load = 0.5
    assert await world.loop.begin(placement("1", "w1", cpus=2))
    lent = []
    for _ in range(HORIZON_S + 8):
        await world.run(1)
        lent.append(world.sharing.promise - 4)
    assert not any(lent[:HORIZON_S])
    await world.run(20)
    assert world.sharing.lent == 1


@in_virtual_time
async def test_what_comes_free_for_a_moment_only_is_not_lent() -> None:
    world = await lending(host())
    world.loads["w1"] = 4.0
    await world.run(3)
    assert world.sharing.lent == 0
    told = []
    world.sharing.on_room = lambda: told.append(True)
    world.loads["w1"] = 0.9
    free = 0
    for _ in range(40):
        await world.run(1)
        free = free + 1 if world.granted("w1") == 2 else 0
        assert world.sharing.lent == 0 or free >= STEADY_S
    assert world.sharing.lent == 2
    assert told


@in_virtual_time
async def test_an_owner_has_its_due_at_once_and_the_borrower_its_floor() -> None:
    world = await borrowing(host())
    world.loads["w1"] = 4.0
    await world.run(5)
    assert (world.granted("w1"), world.granted("w2")) == (3, 1)
    reasons = [event.reason for batch in world.recorder.batches for event in batch.events]
    assert any("on lent cores that owners want back" in reason for reason in reasons)


@in_virtual_time
async def test_a_borrower_owns_when_the_owner_has_ended() -> None:
    world = await borrowing(host())
    world.loads["w1"] = 4.0
    await world.run(5)
    lease = world.loop.lease_on("w1")
    assert lease is not None
    await world.loop.finish(lease, [], 1000.0)
    await world.run(5)
    assert world.granted("w2") == 2


@in_virtual_time
async def test_grants_never_add_up_to_more_than_the_cores() -> None:
    world = await borrowing(host())
    for load in (4.0, 0.2, 4.0, 1.5, 4.0):
        world.loads["w1"] = load
        for _ in range(15):
            await world.run(1)
            assert world.granted("w1") + world.granted("w2") <= 4
