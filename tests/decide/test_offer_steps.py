"""No core is promised twice, whatever the schedulers do between two looks."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hotslot.decide.offers import PATIENCE_S, Share, step, targets
from hotslot.model import Waiting

World = tuple[int, list[Share], dict[str, list[Waiting]], float]
"""Cores, groups, who waits, and when it is."""

SLURM, C1, C2 = ("slurm", "host1"), ("htcondor", "c1"), ("htcondor", "c2")


def share(
    key: tuple[str, str], *, used: int = 0, stands: int = 0, room: tuple[int, ...] = (4,)
) -> Share:
    return Share(key, used, max(used, stands), room)


def job(cpus: int, since: float = 0.0, workers: int = 1) -> Waiting:
    return Waiting("1", cpus, since, workers)


def test_the_example_of_the_docs() -> None:
    shares = [share(SLURM, used=4, stands=8, room=(4,)), share(C1)]
    want = targets(8, shares, {"htcondor": [job(2)]}, now=10)
    assert want == {SLURM: 6, C1: 2}
    assert step(8, shares, want) == {SLURM: 6}
    lowered = [replace(shares[0], stands=6), shares[1]]
    assert step(8, lowered, want) == {C1: 2}


def test_without_anybody_waiting_the_schedulers_share_by_whole_workers() -> None:
    shares = [share(SLURM, room=(4, 4)), share(C1), share(C2)]
    assert targets(8, shares, {}, now=0) == {SLURM: 4, C1: 4, C2: 0}


def test_what_nobody_waits_for_stays_where_it_is() -> None:
    shares = [share(SLURM, stands=8, room=(4, 4)), share(C1), share(C2)]
    want = targets(8, shares, {}, now=0)
    assert want == {SLURM: 8, C1: 0, C2: 0}
    assert step(8, shares, want) == {}


def test_who_came_first_gets_cores_first() -> None:
    shares = [share(SLURM, room=(4,)), share(C1)]
    waiting = {"slurm": [job(4, since=2)], "htcondor": [job(3, since=1)]}
    assert targets(4, shares, waiting, now=10) == {SLURM: 1, C1: 3}


def test_a_small_job_may_overtake_a_large_one_for_a_while() -> None:
    shares = [share(SLURM, used=3, stands=3, room=(4,)), share(C1)]
    waiting = {"slurm": [job(4, since=0)], "htcondor": [job(1, since=1)]}
    assert targets(4, shares, waiting, now=10)[C1] == 1
    assert targets(4, shares, waiting, now=PATIENCE_S + 1)[C1] == 0


def test_a_job_that_no_worker_can_take_blocks_nobody() -> None:
    shares = [share(SLURM, room=(2,)), share(C1)]
    waiting = {"slurm": [job(4, since=0), job(2, since=0, workers=2)], "htcondor": [job(4)]}
    assert targets(4, shares, waiting, now=9999) == {SLURM: 0, C1: 4}


def test_jobs_of_one_queue_each_get_a_worker() -> None:
    shares = [share(C1), share(C2)]
    assert targets(8, shares, {"htcondor": [job(1), job(1), job(1)]}, now=0) == {C1: 1, C2: 1}
    assert targets(2, shares, {"htcondor": [job(1), job(1), job(1)]}, now=0) == {C1: 1, C2: 1}


def test_a_host_that_has_promised_too_much_promises_no_more() -> None:
    shares = [share(SLURM, used=6, stands=6, room=(4,)), share(C1, used=4, room=())]
    want = targets(8, shares, {"slurm": [job(1)]}, now=0)
    assert want == {SLURM: 6, C1: 4}
    assert step(8, shares, want) == {}


@st.composite
def worlds(draw: st.DrawFn) -> World:
    keys = draw(
        st.lists(
            st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2", "3"])), unique=True
        )
    )
    small = st.integers(0, 12)
    shares = [
        share(key, used=draw(small), stands=draw(small), room=tuple(draw(st.lists(small))))
        for key in keys
    ]
    jobs = st.lists(st.builds(job, st.integers(1, 9), st.floats(0, 1000), st.integers(1, 3)))
    return draw(st.integers(1, 32)), shares, {n: draw(jobs) for n in "ab"}, draw(st.floats(0, 2000))


@given(worlds())
def test_targets_hold_what_runs_and_never_promise_more_than_there_is(world: World) -> None:
    cores, shares, waiting, now = world
    want = targets(cores, shares, waiting, now)
    used = sum(s.used for s in shares)
    assert want.keys() == {s.key for s in shares}
    assert sum(want.values()) <= max(cores, used)
    for s in shares:
        assert s.used <= want[s.key] <= s.used + sum(s.room)


@given(worlds(), st.lists(st.integers(0, 99)))
def test_whatever_becomes_of_a_step_no_core_is_promised_twice(
    world: World, picks: list[int]
) -> None:
    """Each change may be carried out, not yet, or not at all; jobs may start up to each limit."""
    cores, shares, waiting, now = world
    before = sum(s.stands for s in shares)
    for pick in [*picks, 7, 7]:
        changes = step(cores, shares, targets(cores, shares, waiting, now))
        stands = {s.key: max(s.stands, changes.get(s.key, 0)) for s in shares}
        assert sum(stands.values()) <= max(cores, before)
        shares = [
            replace(s, stands=max(s.used, changes.get(s.key, s.stands)))
            if (pick + n) % 3
            else replace(s, stands=stands[s.key])
            for n, s in enumerate(shares)
        ]
        before = max(cores, sum(s.stands for s in shares))


def test_what_is_left_over_is_given_once() -> None:
    one = share(SLURM, room=(1, 6))
    for _ in range(3):
        want = targets(7, [one], {"slurm": [job(2)]}, now=0)
        assert want == {SLURM: 3}
        one = replace(one, stands=3)


def test_lent_cores_are_for_who_waits() -> None:
    shares = [share(SLURM, used=4, stands=4, room=(4,)), share(C1)]
    assert targets(4, shares, {}, now=0, lent=2) == {SLURM: 4, C1: 0}
    want = targets(4, shares, {"htcondor": [job(2)]}, now=0, lent=2)
    assert want == {SLURM: 4, C1: 2}
    assert step(6, shares, want) == {C1: 2}


@given(worlds())
def test_steps_come_to_rest_at_the_targets(world: World) -> None:
    cores, shares, waiting, now = world
    for _ in range(4):
        changes = step(cores, shares, targets(cores, shares, waiting, now))
        shares = [replace(s, stands=max(s.used, changes.get(s.key, s.stands))) for s in shares]
    assert step(cores, shares, targets(cores, shares, waiting, now)) == {}
