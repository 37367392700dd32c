"""A campaign's judge knows how the agent's clock was set: records are told in true time."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hotslot.record.batch import LedgerMinute
from live.campaign_clock import in_true_time
from live.campaign_judge import judge
from live.campaign_plan import FaultKind, Plan
from live.campaign_story import Injected, JobEnd, Run, Story
from live.clocked_agent import clock_of
from test_campaign_judge import T0, end_of, good_story, lease_of, planned, samples


def clock_set(began: float, ended: float, step_s: float) -> Injected:
    kind = FaultKind.CLOCK_AHEAD if step_s > 0 else FaultKind.CLOCK_BACK
    return Injected(kind, "", T0 + began, T0 + ended, step_s)


def written(story: Story, ahead: list[float]) -> Story:
    """Return the good story as it is written by an agent ahead by so much at each sample.

    The lease is ahead as its first sample is, its end and what follows as the last one.
    """
    (lease,) = story.leases
    told = [replace(one, at=one.at + by) for one, by in zip(samples(2), ahead, strict=True)]
    assert lease.closed_at is not None
    first, last = ahead[0], ahead[-1]
    moved = replace(lease, opened_at=lease.opened_at + first, closed_at=lease.closed_at + last)
    before, after = story.events
    ledger: dict[int, float] = {}
    for one in told:
        minute = int((one.at - 0.5) // 60) * 60
        ledger[minute] = ledger.get(minute, 0.0) + one.held_cores
    return replace(
        story,
        leases=(moved,),
        samples={1: tuple(told)},
        events=(before, replace(after, at=after.at + last)),
        ledger=tuple(LedgerMinute(at, 60.0, held, 10.0, 6) for at, held in ledger.items()),
    )


@pytest.mark.parametrize("step_s", [45.0, 200.0, 7200.0])
def test_a_lease_that_leapt_ahead_is_told_as_it_was(step_s: float) -> None:
    ahead = [0.0] * 4 + [step_s] * 6
    story = replace(written(good_story(), ahead), faults=(clock_set(9.5, 12.5, step_s),))
    told = in_true_time(story)
    assert told.leases == good_story().leases
    assert told.samples == good_story().samples
    assert told.events == good_story().events
    assert judge(told) == []


@pytest.mark.parametrize("step_s", [-45.0, -7200.0, 600.0])
def test_a_lease_that_was_opened_under_another_clock_is_told_as_it_was(step_s: float) -> None:
    story = replace(written(good_story(), [step_s] * 10), faults=(clock_set(2.0, 40.0, step_s),))
    before, after = story.events
    idle = replace(before, at=T0 + 4 + max(0.0, step_s))  # a worker's clock goes back with a lease
    story = replace(story, events=(idle, after))
    told = in_true_time(story)
    assert told.leases == good_story().leases
    assert told.events == good_story().events
    assert judge(told) == []


def test_a_clock_set_back_is_followed_by_the_next_lease_only() -> None:
    story = replace(written(good_story(), [0.0] * 10), faults=(clock_set(9.5, 12.5, -3600.0),))
    assert in_true_time(story).leases == good_story().leases
    assert judge(in_true_time(story)) == []


def test_leases_that_seem_to_overlap_because_the_clock_was_set_do_not() -> None:
    first = lease_of(1, opened_at=T0 + 5 + 100, closed_at=T0 + 15 + 100)
    second = lease_of(2, "2", opened_at=T0 + 50, closed_at=T0 + 110)
    jobs = (end_of(), second_job())
    story = replace(
        good_story(),
        plan=Plan(1, 60.0, (planned("a"), planned("b")), ()),
        jobs=jobs,
        leases=(first, second),
        samples={},
        events=(),
        ledger=(),
        faults=(clock_set(2.0, 20.0, 100.0),),
    )
    assert "leases are apart" in {one.claim for one in judge(story)}
    assert judge(in_true_time(story)) == []


def second_job() -> JobEnd:
    run = Run("w1", T0 + 50, T0 + 110, "COMPLETED")
    times = {"first_start": T0 + 50, "ended_at": T0 + 110, "runs": (run,)}
    return end_of("b", job_id="2", submitted_at=T0 + 2, **times)


def test_what_no_clock_explains_stays_a_problem() -> None:
    """Twenty seconds too late, and the clock was set by 600."""
    story = replace(written(good_story(), [20.0] * 10), faults=(clock_set(2.0, 40.0, 600.0),))
    assert judge(in_true_time(story)) != []


def test_a_story_of_one_clock_is_told_as_it_is_written() -> None:
    assert in_true_time(good_story()) == good_story()


def test_times_that_go_back_within_a_lease_are_a_problem() -> None:
    again = (*samples(2)[:5], *(replace(one, at=one.at - 2.5) for one in samples(2)[5:]))
    told = judge(replace(good_story(), samples={1: tuple(sorted(again, key=lambda one: one.at))}))
    assert "no lease's time goes back" in {one.claim for one in told}
    ends_early = lease_of(closed_at=T0 + 4)
    told = judge(replace(good_story(), leases=(ends_early,)))
    assert "no lease's time goes back" in {one.claim for one in told}


def test_the_campaigns_agent_has_the_clock_that_the_file_says(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    file.write_text("+0.0")
    clock = clock_of(file, lambda: T0)
    assert clock() == T0
    file.write_text("-7200.5")
    assert clock() == T0 - 7200.5


def test_all_of_the_agent_has_the_time_of_day_from_there() -> None:
    other = re.compile(
        r"datetime\.now|utcnow|time\.time_ns|CLOCK_REALTIME|from time import.*\btime\b"
    )
    hotslot = Path(__file__).parents[1] / "scaler/hotslot"
    for path in hotslot.rglob("*.py"):
        assert path.is_relative_to(hotslot / "report") or not other.search(path.read_text()), path
