"""Reading ads: hostile ones never crash, show control characters or break out of a constraint."""

from __future__ import annotations

import dataclasses
import importlib
import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot.errors import SchedulerError
from hotslot.model import JobPhase, Placement
from hotslot_plugin import condor_ad
from hotslot_plugin.condor_child import Bindings
from hotslot_plugin.condor_job import JOB, LOST_S, CondorJob, job_of, placements
from hotslot_plugin.condor_queue import WAITING_MAX, waiting
from hotslot_plugin.condor_slot import SLOT, Slot, Startd, startd_of

CLAIM = "<10.0.0.5:9618?addrs=10.0.0.5-9618&sock=startd_66>#1795285725#2#..."
RUNNING: dict[str, object] = {
    "ClusterId": 12,
    "ProcId": 0,
    "JobStatus": 2,
    "NumJobMatches": 1,
    "PublicClaimId": CLAIM,
    "RemoteHost": "slot1_1@c1.test",
    "JobCurrentStartDate": 100,
    "JobCurrentStartExecutingDate": 101,
    "RequestCpus": 2,
    "CpusProvisioned": 4,
    "Owner": "alice",
    "Cmd": "/bin/sleep",
    "QDate": 90,
}
SLOT_AD: dict[str, object] = {
    "SlotType": "Dynamic",
    "State": "Claimed",
    "Activity": "Busy",
    "Cpus": 4,
    "GlobalJobId": "ctl.test#12.0#1795285700",
    "PublicClaimId": CLAIM,
}
WHOLE: dict[str, object] = {
    "PartitionableSlot": True,
    "SlotType": "Partitionable",
    "Name": "slot1@c1.test",
    "State": "Unclaimed",
    "Activity": "Idle",
    "Cpus": 4,
    "TotalSlotCpus": 8,
    "HotslotAdmitCpus": 5,
}


def job(**changed: object) -> CondorJob:
    found = job_of("ctl.test", {**RUNNING, **changed})
    assert found is not None
    return found


def startd(*slots: dict[str, object], **changed: object) -> Startd:
    found = startd_of("c1", [{**WHOLE, **changed}, *slots])
    assert found is not None
    return found


def placed(
    this: CondorJob, there: Startd | None, silent_s: float = 0.0
) -> list[tuple[JobPhase, int, str]]:
    found = placements(this, {"c1": there}, {"c1": silent_s})
    return [(p.phase, p.run, p.worker) for p in found]


# --- where a job is -----------------------------------------------------------------------------


def test_a_job_in_its_slot_runs_with_what_the_slot_has() -> None:
    [found] = placements(job(), {"c1": startd(SLOT_AD)}, {})
    assert (found.phase, found.run, found.worker, found.cpus) == (JobPhase.RUNNING, 0, "c1", 4)
    assert (found.user, found.name, found.started_at) == ("alice", "sleep", 100)


def test_a_condor_upgraded_between_two_calls_says_the_same() -> None:
    newer: dict[str, object] = {"ANewerAttribute": [1, "x"], "CondorVersion": "$CondorVersion: 99"}
    assert job(**newer) == job()
    upgraded = startd({**SLOT_AD, **newer}, **newer)
    assert placed(job(**newer), upgraded) == placed(job(), startd(SLOT_AD))


def test_until_it_executes_a_job_is_starting() -> None:
    assert placed(job(JobCurrentStartExecutingDate=99), startd(SLOT_AD)) == [
        (JobPhase.STARTING, 0, "c1")
    ]
    bare = {k: v for k, v in SLOT_AD.items() if k != "GlobalJobId"} | {"Activity": "Idle"}
    assert placed(job(JobCurrentStartExecutingDate=None), startd(bare)) == [
        (JobPhase.STARTING, 0, "c1")
    ]


def test_the_startds_word_counts_when_it_has_no_such_job() -> None:
    assert placed(job(), startd()) == [(JobPhase.ENDED, 0, "c1")]


def test_of_a_silent_startd_the_schedds_word_counts() -> None:
    assert placed(job(), None, 1000.0) == [(JobPhase.RUNNING, 0, "c1")]


def test_a_silent_startd_under_a_lost_starter_has_lost_the_job_after_a_while() -> None:
    lost = job(JobDisconnectedDate=150)
    assert placed(lost, None, LOST_S - 1) == [(JobPhase.RUNNING, 0, "c1")]
    assert placed(lost, None, LOST_S) == [(JobPhase.ENDED, 0, "c1")]
    assert placed(job(JobDisconnectedDate=50), None, 1000.0) == [(JobPhase.RUNNING, 0, "c1")]


def test_a_slot_of_an_earlier_claim_is_an_earlier_run() -> None:
    """Vacated here and started elsewhere, between two questions."""
    moved = job(NumJobMatches=2, PublicClaimId="<x>#1#9#...", RemoteHost="slot1_1@far.test")
    assert placed(moved, startd(SLOT_AD)) == [
        (JobPhase.ENDING, 0, "c1"),
        (JobPhase.RUNNING, 1, "far.test"),
    ]
    here, far = placements(moved, {"c1": startd(SLOT_AD)}, {})
    assert (here.outcome, here.before) == ("EVICTED", "")
    assert (far.outcome, far.before) == ("", "EVICTED")


@pytest.mark.parametrize(("status", "outcome"), [(1, "EVICTED"), (3, "REMOVED"), (5, "HELD")])
def test_a_job_whose_slot_is_not_free_yet_is_ending(status: int, outcome: str) -> None:
    leaving = {**SLOT_AD, "State": "Preempting", "Activity": "Vacating", "PublicClaimId": None}
    over = job(JobStatus=status, RemoteHost=None)
    [found] = placements(over, {"c1": startd(leaving)}, {})
    assert (found.phase, found.run, found.outcome) == (JobPhase.ENDING, 0, outcome)


def test_a_job_that_sends_its_output_is_ending() -> None:
    assert placed(job(JobStatus=6), startd(SLOT_AD)) == [(JobPhase.ENDING, 0, "c1")]


def test_a_suspended_slot_is_a_suspended_job() -> None:
    assert placed(job(), startd({**SLOT_AD, "Activity": "Suspended"})) == [
        (JobPhase.SUSPENDED, 0, "c1")
    ]


@pytest.mark.parametrize(("status", "matches"), [(1, 0), (1, 3), (5, 1)])
def test_a_job_that_waits_has_the_run_to_come(status: int, matches: int) -> None:
    waits = job(JobStatus=status, NumJobMatches=matches, RemoteHost=None)
    assert placed(waits, startd()) == [(JobPhase.PENDING, matches, "")]
    [found] = placements(waits, {"c1": startd()}, {})
    assert found.before == ({1: "EVICTED", 5: "HELD"}[status] if matches else "")


def test_a_job_that_never_ran_and_was_removed_was_nowhere() -> None:
    assert placed(job(JobStatus=3, NumJobMatches=0, RemoteHost=None), startd()) == []


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"ExitCode": 3, "ExitBySignal": False}, "3:0"),
        ({"ExitBySignal": True, "ExitSignal": 9}, "0:9"),
    ],
)
def test_a_job_that_ended_says_how(facts: dict[str, object], code: str) -> None:
    ended = {"JobStatus": 4, "RemoteHost": None, "LastRemoteHost": "slot1_1@c1.test"}
    over = job(CompletionDate=200, **ended, **facts)
    [found] = placements(over, {"c1": startd()}, {})
    assert (found.phase, found.worker, found.outcome) == (JobPhase.ENDED, "c1", "COMPLETED")
    assert (found.exit_code, found.ended_at) == (code, 200)


def test_an_accounting_group_is_told_without_its_user() -> None:
    [found] = placements(job(AccountingGroup="physics.top.alice"), {"c1": startd(SLOT_AD)}, {})
    assert found.account == "physics.top"


def test_jobs_of_a_cluster_of_several_are_tasks() -> None:
    [found] = placements(job(TotalSubmitProcs=20, ProcId=7), {}, {})
    assert (found.array_job_id, found.array_task_id) == ("12@ctl.test", "7")


def test_both_figures_of_a_group_are_of_one_ad() -> None:
    group = startd(SLOT_AD).group()
    assert (group.used, group.limit, group.gated, group.workers) == (4, 5, True, ("c1",))


def test_a_worker_whose_gate_says_nothing_admits_nothing() -> None:
    assert startd(HotslotAdmitCpus=None).group().limit == 0


# --- who waits ----------------------------------------------------------------------------------


def idle(cluster: int, since: int, owner: str = "alice", prio: int = 0, cpus: int = 1) -> Any:
    names = ("ClusterId", "ProcId", "Owner", "JobPrio", "EnteredCurrentStatus", "RequestCpus")
    return dict(zip(names, (cluster, 0, owner, prio, since, cpus), strict=True))


def test_who_came_first_is_first_and_priorities_count_inside_a_user() -> None:
    ads = [
        idle(1, 10, "alice"),
        idle(2, 20, "bob", prio=99),
        idle(3, 30, "alice", prio=5),
        idle(4, 40, "alice", cpus=9),
    ]
    assert [job.job_id for job in waiting({"s": ads}, 8)] == ["3.0@s", "2.0@s", "1.0@s"]


def test_at_most_a_hundred_wait() -> None:
    assert len(waiting({"s": [idle(n, n) for n in range(300)]}, 8)) == WAITING_MAX


# --- names and constraints ----------------------------------------------------------------------


@given(st.text())
def test_what_is_a_name_cannot_break_a_constraint(name: str) -> None:
    try:
        names = condor_ad.named([name])
    except SchedulerError:
        return
    assert re.fullmatch(
        r'regexp\("\^\([A-Za-z0-9._\[\]()*?-]+\)\$", Machine, "i"\)', condor_ad.machines(names)
    )


@given(st.from_regex(condor_ad.JOB_ID, fullmatch=True))
def test_a_job_id_becomes_numbers(job_id: str) -> None:
    constraint = condor_ad.these_jobs([job_id.partition("@")[0]])
    assert re.fullmatch(r"\(ClusterId == [0-9]+ && ProcId == [0-9]+\)", constraint)


@pytest.mark.parametrize(
    ("machine", "worker", "same"),
    [
        ("c1.test", "c1", True),
        ("C1.Test", "c1.test", True),
        ("c10.test", "c1", False),
        ("c1.test.org", "c1.test", False),
        ("c1", "c1", True),
    ],
)
def test_a_worker_is_called_by_its_whole_name_or_its_first_label(
    machine: str, worker: str, same: bool
) -> None:
    assert condor_ad.is_called(machine, worker) is same
    pattern = condor_ad.machines([worker]).split('"')[1]
    assert bool(re.search(pattern, machine, re.IGNORECASE)) is same


def test_a_global_job_id_names_job_and_schedd() -> None:
    assert condor_ad.job_id_of("ctl.test#12.0#1795254337") == "12.0@ctl.test"
    for odd in ("", "a#b", "a b#1.0#1", "a#1#1", "#1.0#1", "a\n#1.0#1"):
        assert condor_ad.job_id_of(odd) == ""


# --- hostile ads --------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=400)
    | st.sampled_from([2, 4, "Dynamic", "Claimed", True, CLAIM, "slot1_1@c1.test\n"]),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
ADS = st.dictionaries(st.sampled_from(JOB), VALUES)
SLOTS = st.dictionaries(st.sampled_from(SLOT), VALUES)


@given(ADS, st.lists(SLOTS, max_size=2))
def test_hostile_ads_never_crash_and_show_no_control_characters(
    ad: dict[str, object], slots: list[dict[str, object]]
) -> None:
    there = startd_of("c1", [WHOLE, *slots, {**SLOT_AD, **(slots[0] if slots else {})}])
    for facts in (ad, {**RUNNING, **ad}):
        found = job_of("ctl.test", facts)
        if found is not None:
            for one in placements(found, {"c1": there}, {"c1": 5.0}):
                check_shown(one)
    if there is not None:
        assert there.group().used >= 0
        assert there.condition().reason.isprintable()
    assert len(waiting({"s": [ad, {**RUNNING, **ad}]}, 8)) <= 2


def check_shown(one: Placement) -> None:
    for value in dataclasses.asdict(one).values():
        if isinstance(value, str):
            assert value.isprintable()
            assert len(value) <= 400
    assert one.cpus >= 1
    assert one.run >= 0
    assert condor_ad.JOB_ID.fullmatch(one.job_id)


# --- what the bindings' process makes of values -------------------------------------------------


@pytest.fixture(scope="module")
def bindings() -> Bindings:
    pytest.importorskip("htcondor2")
    return Bindings()


@pytest.mark.parametrize(
    ("expression", "plain"),
    [
        ("5", 5),
        ("-5", -5),
        ("5.5", 5.5),
        ("true", True),
        ('"text"', "text"),
        ("undefined", None),
        ("error", None),
        ("1/0", None),
        ("1.0/0", None),
        ("ifThenElse(Literal > 10, 3, 1)", 3),
        ("Other", None),
        ('absTime("2020-01-01T00:00:00Z")', 1577836800.0),
        (
            '{ 1, strcat("a", "b"), undefined, [ a = 1; b = time() ] }',
            [1, None, None, {"a": 1, "b": None}],
        ),
    ],
)
def test_values_are_literals_or_evaluated_or_nothing(
    bindings: Bindings, expression: str, plain: object
) -> None:
    ad = bindings.classad.ClassAd(f'[ X = {expression}; Literal = 12; Other = strcat("a", "b") ]')
    found = bindings.plain_ad(ad, ["Literal", "Other", "X", "Missing"])
    assert found["X"] == plain
    assert "Missing" not in found


def test_attributes_that_double_each_other_are_not_evaluated(bindings: Bindings) -> None:
    chain = "".join(f"A{n} = strcat(A{n + 1}, A{n + 1}); " for n in range(60))
    ad = bindings.classad.ClassAd(f'[ {chain} A60 = "x" ]')
    found = bindings.plain_ad(ad, [f"A{n}" for n in range(61)])
    assert found["A60"] == "x"
    assert {value for name, value in found.items() if name != "A60"} <= {None, "xx"}


def test_long_and_deep_values_are_cut(bindings: Bindings) -> None:
    deep: object = 1
    for _ in range(50):
        deep = [deep]
    classad = importlib.import_module("classad2")
    ad = classad.ClassAd({"Text": "x" * 100_000, "List": list(range(5000)), "Deep": deep})
    found = bindings.plain_ad(ad, ["Text", "List", "Deep"])
    assert len(str(found["Text"])) == 4096
    assert isinstance(found["List"], list)
    assert len(found["List"]) == 200
    assert str(found["Deep"]).count("[") < 10


def test_a_slot_has_its_job_by_the_global_job_id() -> None:
    assert startd(SLOT_AD).slots == (
        Slot("12.0@ctl.test", "#1795285725#2#...", "Claimed", "Busy", 4),
    )


def test_a_job_is_vacated_with_its_time_to_end(bindings: Bindings) -> None:
    """And the schedd's counts come back as numbers."""
    done: list[tuple[object, str]] = []

    class Schedd:
        def __init__(self, at: object) -> None:
            self.at = at

        def act(self, action: object, where: str) -> object:
            done.append((action, where))
            return bindings.classad.ClassAd({"TotalSuccess": 1, "TotalNotFound": 0, "x": "y"})

    htcondor = SimpleNamespace(Schedd=Schedd, JobAction=bindings.htcondor.JobAction)
    told = Bindings()
    told.htcondor = htcondor
    where = "(ClusterId == 12 && ProcId == 0) && NumJobMatches == 1"
    found = told.vacate({"at": "<10.0.0.1:9618>", "where": where})
    assert found == {"TotalSuccess": 1, "TotalNotFound": 0}
    assert done == [(bindings.htcondor.JobAction.Vacate, where)]


def test_the_bindings_can_be_asked_for_accounting_ads(bindings: Bindings) -> None:
    assert bindings.htcondor.AdTypes.Accounting is not None
