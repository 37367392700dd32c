"""The campaign's judge sees what is wrong: each made-up story breaks one thing."""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import placement
from hotslot.model import CloseReason, Event, EventResult, Finding, Lease, Level, Sample, Totals
from hotslot.record.batch import LedgerMinute
from live.campaign_faults import FAULTS
from live.campaign_judge import judge
from live.campaign_plan import Act, FaultKind, Phase, Plan, PlannedJob, make_plan
from live.campaign_report import explain, fault_rows, figures, summary, table, waits
from live.campaign_story import Injected, JobEnd, NodeEnd, Run, Story, Submitted
from live.soak import kinds_of

T0 = 1_700_000_040.0


def planned(name: str, *, exit_code: int = 0, act: Act = Act.NOTHING, cpus: int = 2) -> PlannedJob:
    return PlannedJob(name, 0.0, "slurm", cpus, (Phase(1, 5.0),), exit_code, act, 1.0)


def end_of(name: str = "a", **changes: object) -> JobEnd:
    job = JobEnd(
        name=name,
        scheduler="slurm",
        job_id="1",
        cpus=2,
        submitted_at=T0,
        first_start=T0 + 5,
        ended_at=T0 + 15,
        state="COMPLETED",
        exit_code=0,
        runs=(Run("w1", T0 + 5, T0 + 15, "COMPLETED"),),
    )
    return replace(job, **changes)  # type: ignore[arg-type]


def lease_of(number: int = 1, job: str = "1", worker: str = "w1", **changes: object) -> Lease:
    placed = replace(placement(job, worker, cpus=2), scheduler="slurm", outcome="COMPLETED")
    lease = Lease(number, placed, T0 + 5, T0 + 15, CloseReason.ENDED, Totals(life_s=10.0))
    return replace(lease, **changes)  # type: ignore[arg-type]


def event(worker: str, at: float, before: int, after: int, took_s: float = 1.0) -> Event:
    return Event(
        worker=worker,
        lease_id=None,
        at=at,
        from_vcpus=before,
        to_vcpus=after,
        got_vcpus=after,
        reason="",
        result=EventResult.APPLIED,
        detail="",
        detected_at=None,
        command_s=0.1,
        online_s=None,
        took_s=took_s,
    )


def samples(vcpus: int) -> tuple[Sample, ...]:
    return tuple(Sample(T0 + 5 + n, 1.0, vcpus, float(vcpus), 1.0, 0.0) for n in range(1, 11))


def good_story() -> Story:
    """One job of 2 CPUs, that ran for 10 s on w1 and had them."""
    return Story(
        plan=Plan(1, 60.0, (planned("a"),), ()),
        cores=6,
        began=T0,
        ended=T0 + 60,
        submitted=(Submitted(planned("a"), "1", T0, T0),),
        jobs=(end_of(),),
        leases=(lease_of(),),
        samples={1: samples(2)},
        events=(event("w1", T0 + 4, 1, 2, 0.5), event("w1", T0 + 15.5, 2, 1)),
        ledger=(LedgerMinute(int(T0 // 60 * 60), 60.0, 20.0, 10.0, 6),),
        findings=(Finding("file", Level.OK, "whole"),),
        nodes=(NodeEnd("w1", "idle", "none"),),
    )


def claims(story: Story) -> set[str]:
    return {problem.claim for problem in judge(story)}


def killed(kind: FaultKind, worker: str = "", at: float = 8.0) -> Injected:
    return Injected(kind, worker, T0 + at, T0 + at + 1)


def test_a_good_story_has_no_problems() -> None:
    assert judge(good_story()) == []


def test_a_job_that_fails_unplanned_is_a_problem() -> None:
    story = replace(good_story(), jobs=(end_of(state="FAILED", exit_code=1),))
    assert "jobs end as planned" in claims(story)


def test_a_job_that_was_to_fail_and_does_not_is_a_problem() -> None:
    plan = Plan(1, 60.0, (planned("a", exit_code=3),), ())
    assert "jobs end as planned" in claims(replace(good_story(), plan=plan))


@pytest.mark.parametrize(
    ("kind", "worker", "excused"),
    [
        (FaultKind.VM_KILLED, "w1", True),
        (FaultKind.VM_KILLED, "w2", False),
        (FaultKind.SLURMD_KILLED, "w1", True),
        (FaultKind.SLURMCTLD_KILLED, "", True),
        (FaultKind.AGENT_KILLED, "", False),
        (FaultKind.SCHEDD_KILLED, "", False),
        (FaultKind.VM_HANGS, "w1", False),
    ],
)
def test_only_a_fault_that_ends_jobs_by_nature_there_and_then_excuses(
    kind: FaultKind, worker: str, excused: bool
) -> None:
    failed = end_of(state="NODE_FAIL", exit_code=1)
    story = replace(good_story(), jobs=(failed,), faults=(killed(kind, worker),))
    assert ("jobs end as planned" not in claims(story)) is excused
    [row] = fault_rows(story, judge(story))
    assert row.jobs_ended == int(excused)


def test_a_fault_long_before_excuses_nothing() -> None:
    failed = end_of(state="FAILED", exit_code=1)
    long_ago = killed(FaultKind.VM_KILLED, "w1", at=-300.0)
    story = replace(good_story(), jobs=(failed,), faults=(long_ago,))
    assert "jobs end as planned" in claims(story)


def test_a_cancelled_job_is_no_problem_only_if_that_was_planned() -> None:
    lease = lease_of(placement=replace(lease_of().placement, outcome="CANCELLED by 0"))
    story = replace(good_story(), jobs=(end_of(state="CANCELLED"),), leases=(lease,))
    assert claims(story) == {"jobs end as planned"}
    plan = Plan(1, 60.0, (planned("a", act=Act.CANCEL),), ())
    assert claims(replace(story, plan=plan)) == set()


def test_a_job_that_is_in_no_accounting_vanished() -> None:
    story = replace(good_story(), jobs=(), leases=(), samples={}, ledger=(), events=())
    assert claims(story) == {"no job vanishes"}
    unsaved = killed(FaultKind.SLURMCTLD_KILLED, at=2.0)
    assert claims(replace(story, faults=(unsaved,))) == set()


def test_a_job_that_is_still_queued_is_a_problem() -> None:
    assert "no job vanishes" in claims(replace(good_story(), jobs=(end_of(state=""),)))


def test_a_job_held_by_the_system_is_a_problem() -> None:
    assert claims(replace(good_story(), jobs=(end_of(held_by_system=1),))) == {"no job is held"}


def test_a_run_without_a_lease_is_a_problem() -> None:
    story = replace(good_story(), leases=(), samples={}, ledger=())
    assert "one lease a run" in claims(story)


@pytest.mark.parametrize(
    ("seconds", "starts", "fair"), [(6, 1, True), (20, 1, False), (6, 2, False)]
)
def test_a_job_that_was_removed_while_it_was_started_needs_no_lease(
    seconds: float, starts: int, fair: bool
) -> None:
    times: dict[str, object] = {"first_start": T0, "ended_at": T0 + seconds, "starts": starts}
    job = end_of(scheduler="htcondor", state="CANCELLED", runs=(), **times)
    story = replace(good_story(), jobs=(job,), leases=(), samples={}, ledger=())
    assert ("one lease a run" not in claims(story)) == fair


def test_a_run_with_two_leases_is_a_problem() -> None:
    again = lease_of(2, opened_at=T0 + 16, closed_at=T0 + 17)
    assert "one lease a run" in claims(replace(good_story(), leases=(lease_of(), again)))


def test_an_open_lease_is_a_problem() -> None:
    assert "no lease is left open" in claims(
        replace(good_story(), leases=(lease_of(closed_at=None),))
    )


def test_leases_that_share_a_moment_are_a_problem() -> None:
    other = lease_of(2, "2", opened_at=T0 + 14, closed_at=T0 + 17)
    assert "leases are apart" in claims(replace(good_story(), leases=(lease_of(), other)))


def test_a_lease_that_tells_another_end_is_a_problem() -> None:
    wrong = lease_of(placement=replace(lease_of().placement, outcome="TIMEOUT"))
    assert claims(replace(good_story(), leases=(wrong,))) == {"leases know the end"}


def test_what_verify_finds_is_a_problem() -> None:
    wrong = Finding("events", Level.WRONG, "lease 1: counted 2 events, there is 1")
    assert claims(replace(good_story(), findings=(wrong,))) == {"the record adds up"}


def test_the_last_second_of_a_killed_vm_may_be_in_the_ledger_alone_but_no_more() -> None:
    wrong = Finding("held by leases and ledger", Level.WRONG, "12 % apart")
    minute = good_story().ledger[0]
    killed_vm = (killed(FaultKind.VM_KILLED, "w2"),)
    lease = lease_of(totals=Totals(life_s=10.0, held_core_s=20.0))
    story = replace(good_story(), findings=(wrong,), leases=(lease,))
    assert claims(replace(story, faults=killed_vm)) == set()
    assert "the record adds up" in claims(story)
    far = replace(story, ledger=(replace(minute, held_core_s=35.0),), faults=killed_vm)
    assert claims(far) == {"the record adds up", "held + idle = granted"}


def test_a_sample_of_a_size_that_no_event_made_is_a_problem() -> None:
    odd = (*samples(2)[:4], replace(samples(2)[4], held_cores=3.0), *samples(2)[5:])
    story = replace(good_story(), samples={1: odd})
    assert claims(story) == {"held + idle = granted"}
    [problem] = judge(story)
    assert problem.at == T0 + 10
    without = replace(story, faults=(killed(FaultKind.AGENT_KILLED, at=9.0),))
    assert claims(without) == set()


def test_a_minute_that_does_not_balance_is_a_problem() -> None:
    minute = replace(good_story().ledger[0], held_core_s=23.0)
    assert claims(replace(good_story(), ledger=(minute,))) == {"held + idle = granted"}


def test_more_vcpus_than_cores_are_a_problem_but_floors_are_not() -> None:
    jobs = (end_of(), end_of("b", job_id="2", runs=(Run("w2", T0 + 5, T0 + 15, "COMPLETED"),)))
    story = replace(
        good_story(),
        plan=Plan(1, 60.0, (planned("a"), planned("b")), ()),
        jobs=jobs,
        leases=(lease_of(), lease_of(2, "2", "w2")),
        samples={1: samples(2), 2: samples(2)},
        events=(event("w1", T0 + 4, 1, 2), event("w2", T0 + 4, 1, 2)),
        ledger=(replace(good_story().ledger[0], held_core_s=40.0),),
    )
    assert claims(replace(story, cores=4)) == set()
    assert claims(replace(story, cores=3)) == {"granted within the cores"}
    floors = replace(
        story,
        samples={1: samples(1), 2: samples(1)},
        events=(),
        ledger=(replace(good_story().ledger[0], held_core_s=20.0),),
    )
    assert claims(replace(floors, cores=1)) == set()


def test_an_event_that_takes_too_long_is_a_problem_unless_the_agent_was_stopped() -> None:
    slow = event("w1", T0 + 16, 1, 1, took_s=17.0)
    story = replace(good_story(), events=(*good_story().events, slow))
    assert claims(story) == {"events end within 15 s"}
    stopped = Injected(FaultKind.AGENT_HANGS, "", T0 + 20, T0 + 26)
    assert claims(replace(story, faults=(stopped,))) == set()


def test_a_drained_node_is_a_problem() -> None:
    node = NodeEnd("w1", "drained", "Prolog error")
    [problem] = judge(replace(good_story(), nodes=(node,)))
    assert "Prolog error" in problem.words


def test_a_job_that_is_overtaken_for_long_starves() -> None:
    late = end_of(first_start=T0 + 200, ended_at=T0 + 201, runs=(), state="CANCELLED")
    later = end_of("b", job_id="2", submitted_at=T0 + 1, first_start=T0 + 20)
    plan = Plan(1, 60.0, tuple(planned(n, act=Act.CANCEL) for n in "ab"), ())
    leases = (lease_of(1), lease_of(2, "2"))
    story = replace(good_story(), plan=plan, jobs=(late, later), leases=leases[1:], samples={})
    assert "nobody starves" in claims(story)
    smaller = replace(later, cpus=1)
    assert "nobody starves" not in claims(replace(story, jobs=(late, smaller)))
    held = replace(plan, jobs=tuple(replace(job, act=Act.HOLD) for job in plan.jobs))
    assert "nobody starves" not in claims(replace(story, plan=held))


def test_a_job_that_is_first_for_too_long_starves() -> None:
    late = end_of(submitted_at=T0 - 700)
    assert claims(replace(good_story(), jobs=(late,))) == {"nobody starves"}


def test_what_is_left_in_the_end_is_a_problem() -> None:
    assert claims(replace(good_story(), left=("not empty",))) == {"all ends"}


def test_a_problem_is_told_with_its_seed_and_what_happened_around_it() -> None:
    story = replace(
        good_story(),
        jobs=(end_of(state="FAILED", exit_code=1),),
        faults=(killed(FaultKind.AGENT_KILLED),),
    )
    problems = judge(story)
    told = explain(story, problems)
    assert "make soak SEED=1 MINUTES=1" in told
    assert "FAULT agent killed" in told
    assert "lease 1 of 1 on w1 opened: 2 CPUs" in told
    [row] = fault_rows(story, problems)
    assert (row.injected, row.survived, row.lost) == (1, 0, 1)
    assert "1 lost" in summary(story, problems)
    assert "agent killed" in table(story, problems)
    assert figures(story, problems)["problems"][0]["claim"] == "jobs end as planned"


def test_waits_are_those_until_the_first_start() -> None:
    jobs = tuple(end_of(str(n), first_start=T0 + n) for n in range(1, 101))
    told = waits(replace(good_story(), jobs=jobs))["slurm"]
    assert (told.jobs, told.median_s, told.p95_s, told.max_s) == (100, 50.5, 96.0, 100.0)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.floats(60, 1800))
def test_a_plan_is_its_seeds_alone_and_uses_every_kind_in_turn(seed: int, seconds: float) -> None:
    plan = make_plan(seed, seconds, ["w1", "w2"], ["c1", "c2"])
    assert plan == make_plan(seed, seconds, ["w1", "w2"], ["c1", "c2"])
    assert [job.at_s for job in plan.jobs] == sorted(job.at_s for job in plan.jobs)
    assert len({job.name for job in plan.jobs}) == len(plan.jobs)
    assert all(0 < fault.at_s < seconds for fault in plan.faults)
    first = [fault.kind for fault in plan.faults[: len(FaultKind)]]
    assert len(set(first)) == len(first), "no kind comes again before all have come"
    assert plan != make_plan(seed + 1, seconds, ["w1", "w2"], ["c1", "c2"])


def test_a_plan_of_some_kinds_has_no_other() -> None:
    kinds = (FaultKind.CLOCK_AHEAD, FaultKind.CLOCK_BACK)
    plan = make_plan(1, 600, ["w1"], ["c1"], kinds)
    assert {fault.kind for fault in plan.faults} == set(kinds)
    assert plan.jobs == make_plan(1, 600, ["w1"], ["c1"]).jobs
    steps = [fault.step_s for fault in plan.faults]
    assert all(45 <= abs(step_s) <= 7200 for step_s in steps)
    assert all((f.step_s > 0) == (f.kind is FaultKind.CLOCK_AHEAD) for f in plan.faults)
    told = explain(replace(good_story(), plan=plan), [])
    assert told.endswith('KINDS="clock set ahead,clock set back"')


def test_kinds_are_named_as_they_are_told() -> None:
    assert kinds_of("VM killed, schedd killed") == (FaultKind.VM_KILLED, FaultKind.SCHEDD_KILLED)
    with pytest.raises(ArgumentTypeError, match="'rain' is not a valid FaultKind; there are"):
        kinds_of("VM killed,rain")


def test_a_vm_that_ended_by_itself_excuses_its_jobs_and_has_a_row_of_its_own() -> None:
    failed = end_of(state="NODE_FAIL", exit_code=1)
    ended = replace(killed(FaultKind.VM_KILLED, "w1"), by_itself=True)
    story = replace(good_story(), jobs=(failed,), faults=(ended,))
    assert "jobs end as planned" not in claims(story)
    [row] = fault_rows(story, judge(story))
    assert (row.kind, row.injected, row.jobs_ended) == ("VM killed: by itself", 1, 1)


def test_every_kind_of_fault_can_be_injected() -> None:
    assert FAULTS.keys() == set(FaultKind)
