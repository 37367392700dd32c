"""The adapter on a pool in memory: what it asks, in which order, and what silence means."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from builders import placement, run_summary
from fakes.condor_pool import JOB, SLOT, FakePool, whole
from hotslot.errors import SchedulerError, SchedulerUnavailable
from hotslot.model import JobPhase, Level, RunSummary
from hotslot.schedulers import PartlyUnavailable
from hotslot_plugin.condor import HTCondor
from hotslot_plugin.condor_check import STARTD_SETTINGS
from hotslot_plugin.condor_pool import SILENT_AGAIN_S, Pool
from hotslot_plugin.condor_runs import RUNS, TOTALS


class Clock:
    """A clock that stands until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def pool() -> FakePool:
    """One schedd with one job that runs on c1."""
    startds = {"c1": [whole("c1", 6), dict(SLOT)], "c2": [whole("c2")]}
    return FakePool(startds, {"s1": [dict(JOB)]})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def condor(pool: FakePool, clock: Clock) -> HTCondor:
    return HTCondor(Pool(pool, (), 10.0, clock))


def test_a_silent_schedd_hides_no_job_of_another(condor: HTCondor, pool: FakePool) -> None:
    pool.queues["s2"] = []
    pool.down.add("s2")
    with pytest.raises(PartlyUnavailable) as caught:
        condor.placements(["c1", "c2"], ["12.0@s1", "7.0@s2"])
    assert caught.value.unknown == {"7.0@s2"}
    assert [found.job_id for found in caught.value.found] == ["12.0@s1"]


def summary(run: int = 0, held: float = 260, job_id: str = "12.0@s1") -> RunSummary:
    placed = dataclasses.replace(placement(), job_id=job_id, run=run, worker="c1")
    return run_summary(placed, held=held)


# --- who is there -------------------------------------------------------------------------------


def test_a_schedd_that_does_not_answer_is_no_empty_queue(condor: HTCondor, pool: FakePool) -> None:
    pool.down = {"s1"}
    for ask in (
        lambda: condor.placements(["c1"]),
        lambda: condor.placements(["c1"], ["12.0@s1"]),
        lambda: condor.queue(["c1"]),
    ):
        with pytest.raises(SchedulerUnavailable, match="schedd s1"):
            ask()


def test_a_collector_that_does_not_answer_is_no_empty_pool(
    condor: HTCondor, pool: FakePool
) -> None:
    pool.down = {"collector"}
    with pytest.raises(SchedulerUnavailable, match="the collector"):
        condor.conditions(["c1"])


def test_a_dead_schedd_without_a_job_here_does_no_harm(condor: HTCondor, pool: FakePool) -> None:
    pool.queues["s2"] = []
    pool.down = {"s2"}
    assert [p.worker for p in condor.placements(["c1", "c2"])] == ["c1"]


def test_a_collector_that_was_started_anew_makes_nobody_unknown(
    condor: HTCondor, pool: FakePool
) -> None:
    before = condor.placements(["c1"])
    pool.told, pool.collector_age_s = False, 5.0
    assert condor.placements(["c1"]) == before
    with pytest.raises(SchedulerUnavailable, match="started only 5 s ago"):
        condor.placements(["c1"], ["1.0@s9"])


def test_a_job_of_a_schedd_that_nobody_knows_is_nobody(condor: HTCondor) -> None:
    assert condor.placements(["c1"], ["1.0@s9"]) == []


def test_a_pool_without_a_schedd_is_unavailable(condor: HTCondor, pool: FakePool) -> None:
    pool.queues = {}
    with pytest.raises(SchedulerUnavailable, match="knows no schedd"):
        condor.placements(["c1"])


def test_a_schedd_that_is_named_and_missing_is_unavailable(pool: FakePool) -> None:
    condor = HTCondor(Pool(pool, ["s7"]))
    with pytest.raises(SchedulerUnavailable, match="no schedd 's7'"):
        condor.placements(["c1"])


def test_of_a_silent_startd_the_schedds_word_counts(condor: HTCondor, pool: FakePool) -> None:
    pool.down = {"c1"}
    [found] = condor.placements(["c1", "c2"])
    assert (found.worker, found.phase) == ("c1", JobPhase.RUNNING)
    assert [g.name for g in condor.queue(["c1", "c2"]).groups] == ["c2"]
    assert [(c.worker, c.down) for c in condor.conditions(["c1", "c2"])] == [
        ("c1", True),
        ("c2", False),
    ]


def test_a_lost_job_on_a_dead_startd_is_over_after_half_a_minute(
    condor: HTCondor, pool: FakePool, clock: Clock
) -> None:
    pool.down = {"c1"}
    pool.queues["s1"][0]["JobDisconnectedDate"] = 150
    assert len(condor.placements(["c1"])) == 1
    clock.now += 30
    assert condor.placements(["c1"]) == []
    [found] = condor.placements(["c1"], ["12.0@s1"])
    assert (found.phase, found.worker, found.outcome) == (JobPhase.ENDED, "c1", "EVICTED")


def test_a_silent_startd_is_asked_last_and_not_all_the_time(
    condor: HTCondor, pool: FakePool, clock: Clock
) -> None:
    pool.down = {"c1"}
    condor.conditions(["c1", "c2"])
    pool.asked.clear()
    condor.conditions(["c1", "c2"])
    assert [q["at"] for q in pool.asked if q["ask"] == "startd"] == ["c2"]
    clock.now += SILENT_AGAIN_S
    pool.asked.clear()
    condor.conditions(["c1", "c2"])
    assert [q["at"] for q in pool.asked if q["ask"] == "startd"] == ["c2", "c1"]


def test_two_machines_of_one_name_are_refused(condor: HTCondor, pool: FakePool) -> None:
    pool.startds = {"c1.a": [whole("c1.a")], "c1.b": [whole("c1.b")]}
    with pytest.raises(SchedulerError, match=r"two machines are called c1: c1\.a and c1\.b"):
        condor.placements(["c1"])


def test_a_history_that_cannot_be_read_keeps_no_job_alive(condor: HTCondor, pool: FakePool) -> None:
    pool.queues["s1"] = []
    ask = pool.ask

    def refused(question: Any, timeout_s: float | None = None) -> dict[str, object]:
        if question["ask"] == "history":
            return {"error": "HTCondorException: no history"}
        return ask(question, timeout_s)

    pool.ask = refused  # type: ignore[method-assign]
    assert condor.placements(["c1"], ["12.0@s1"]) == []


# --- who may start ------------------------------------------------------------------------------


def test_a_risen_limit_kicks_the_schedds_with_waiting_jobs_twice(
    condor: HTCondor, pool: FakePool
) -> None:
    pool.queues["s1"].append({**JOB, "ClusterId": 13, "JobStatus": 1, "RemoteHost": None})
    condor.queue(["c1", "c2"])
    condor.queue(["c1", "c2"])
    assert pool.count("reschedule") == 2
    condor.queue(["c1", "c2"])
    assert pool.count("reschedule") == 2
    pool.startds["c2"][0]["HotslotAdmitCpus"] = 6
    condor.queue(["c1", "c2"])
    assert pool.count("reschedule") == 3


def test_nobody_is_kicked_where_nobody_waits(condor: HTCondor, pool: FakePool) -> None:
    pool.queues["s1"] = []
    condor.queue(["c1"])
    condor.offer({"c1": 4})
    assert pool.count("reschedule") == 0


# --- figures ------------------------------------------------------------------------------------


def test_figures_are_written_once(condor: HTCondor, pool: FakePool) -> None:
    condor.write_back([summary()])
    ad = pool.queues["s1"][0]
    assert [ad[name] for name in TOTALS] == [4, 260, 150, 3.9, 2]
    assert len(ad[RUNS]) == 1
    condor.write_back([summary()])
    assert pool.count("edit") == 1


def test_what_another_agent_overwrote_is_written_again(condor: HTCondor, pool: FakePool) -> None:
    ad = pool.queues["s1"][0]
    other = {"Run": 5, "Worker": "x", "Requested": 2, "Held": 1.0, "Used": 1.0, "Peak": 1.0}
    entry = {**other, "Events": 0, "Over": True}
    ask = pool.ask
    seen: list[int] = []

    def racing(question: Any, timeout_s: float | None = None) -> dict[str, object]:
        answer = ask(question, timeout_s)
        if question["ask"] == "edit" and not seen:
            seen.append(1)
            ad[RUNS] = [entry]
        return answer

    pool.ask = racing  # type: ignore[method-assign]
    condor.write_back([summary()])
    assert [run["Worker"] for run in ad[RUNS]] == ["c1", "x"]
    assert ad["HotslotHeldCoreSeconds"] == 261


def test_figures_wait_for_nobody_who_looks(pool: FakePool) -> None:
    """A worker that hangs keeps whoever looks at it for seconds; a job that ends waits for less."""
    looks, goes_on = threading.Event(), threading.Event()
    other = FakePool(pool.startds, pool.queues)
    ask = pool.ask

    def hanging(question: Any, timeout_s: float | None = None) -> dict[str, object]:
        if question["ask"] == "startd":
            looks.set()
            assert goes_on.wait(30)
        return ask(question, timeout_s)

    pool.ask = hanging  # type: ignore[method-assign]
    condor = HTCondor(Pool(pool), Pool(other))
    with ThreadPoolExecutor(1) as executor:
        looking = executor.submit(condor.placements, ["c1"])
        assert looks.wait(30)
        condor.write_back([summary()])
        assert not looking.done()
        goes_on.set()
        assert [found.job_id for found in looking.result(30)] == ["12.0@s1"]
    assert pool.queues["s1"][0]["HotslotHeldCoreSeconds"] == 260


def test_an_edit_that_has_no_effect_is_told(condor: HTCondor, pool: FakePool) -> None:
    pool.edits_count = False
    with pytest.raises(SchedulerError, match=r"figures of 12\.0.*QUEUE_SUPER_USERS"):
        condor.write_back([summary()])


def test_a_job_that_leaves_while_it_is_written_is_passed_over(
    condor: HTCondor, pool: FakePool
) -> None:
    pool.edits_count = False
    pool.before_edit = pool.queues["s1"].clear
    condor.write_back([summary(), summary(job_id="99.0@s1"), summary(job_id="1.0@gone")])


@pytest.mark.parametrize("job_id", ["12", "12.0", "12.0@", '12.0@s1" || true'])
def test_figures_of_what_is_no_job_are_refused(condor: HTCondor, job_id: str) -> None:
    with pytest.raises(SchedulerError, match="not the id of an HTCondor job"):
        condor.write_back([summary(job_id=job_id)])


# --- check --------------------------------------------------------------------------------------

GOOD_STARTD = {
    "NUM_CPUS": "8",
    "START": "(true) && (isInteger(MY.HotslotAdmitCpus))",
    "STARTER_JOB_HOOK_KEYWORD": "HOTSLOT",
    "HOTSLOT_HOOK_PREPARE_JOB": "/usr/lib/hotslot/condor-prepare-job",
    "HOTSLOT_HOOK_JOB_EXIT": "/usr/lib/hotslot/condor-job-exit",
    "CLAIM_WORKLIFE": "0",
    "CLAIM_PARTITIONABLE_LEFTOVERS": "False",
    "ASSIGN_CPU_AFFINITY": "false",
    "ALLOW_WRITE": "condor@test root@test",
    "ALLOW_DAEMON": "condor@test",
    "ALLOW_ADMINISTRATOR": "condor@test root@test",
}
GOOD_SCHEDD = {
    "QUEUE_SUPER_USERS": "root, condor, hotslot@test",
    "PROTECTED_JOB_ATTRS": " ".join((RUNS, *TOTALS)),
    "JOB_TRANSFORM_NAMES": "Hotslot",
    "UID_DOMAIN": "test",
}


def problems(condor: HTCondor) -> list[tuple[str, Level]]:
    found = condor.check(["c1"], 60.0)
    assert all(f.remedy for f in found if f.level is not Level.OK)
    return [(f.subject, f.level) for f in found if f.level is not Level.OK]


def test_a_pool_set_up_as_documented_has_nothing_wrong(condor: HTCondor, pool: FakePool) -> None:
    assert GOOD_STARTD.keys() == set(STARTD_SETTINGS)
    pool.settings = {"c1": GOOD_STARTD, "s1": GOOD_SCHEDD}
    assert problems(condor) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("START", "true"),
        ("STARTER_JOB_HOOK_KEYWORD", ""),
        ("HOTSLOT_HOOK_PREPARE_JOB", "Not defined"),
        ("CLAIM_WORKLIFE", "1200"),
        ("ALLOW_WRITE", "*"),
        ("ALLOW_WRITE", "condor@test, *@test"),
        ("ASSIGN_CPU_AFFINITY", "True"),
    ],
)
def test_a_setting_of_a_worker_that_hurts_is_found(
    condor: HTCondor, pool: FakePool, name: str, value: str
) -> None:
    pool.settings = {"c1": {**GOOD_STARTD, name: value}, "s1": GOOD_SCHEDD}
    assert problems(condor) == [(f"worker c1 {name}", Level.WRONG)]


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("QUEUE_SUPER_USERS", "root, condor, hotslot", Level.WRONG),
        ("PROTECTED_JOB_ATTRS", RUNS, Level.WRONG),
        ("JOB_TRANSFORM_NAMES", "Other", Level.WARN),
    ],
)
def test_a_setting_of_a_schedd_that_hurts_is_found(
    condor: HTCondor, pool: FakePool, name: str, value: str, level: Level
) -> None:
    pool.settings = {"c1": GOOD_STARTD, "s1": {**GOOD_SCHEDD, name: value}}
    assert problems(condor) == [(f"schedd s1 {name}", level)]


def test_an_agent_that_a_schedd_does_not_know_is_found(condor: HTCondor, pool: FakePool) -> None:
    """23.9.6 refuses every edit of a queue super user of whom it has no record."""
    pool.settings = {"c1": GOOD_STARTD, "s1": GOOD_SCHEDD}
    pool.known = False
    assert problems(condor) == [("schedd s1 user record", Level.WRONG)]


def test_a_worker_that_is_not_there_is_found(condor: HTCondor, pool: FakePool) -> None:
    pool.settings = {"s1": GOOD_SCHEDD}
    pool.down = {"c1"}
    assert problems(condor) == [("worker c1", Level.WRONG)]


# --- requeueing ---------------------------------------------------------------------------------


def test_a_run_leaves_its_worker_and_the_schedd_compares_the_run(
    condor: HTCondor, pool: FakePool
) -> None:
    [one] = condor.placements(["c1"])
    condor.requeue(one)
    [vacated] = [question for question in pool.asked if question["ask"] == "vacate"]
    assert vacated["where"] == "((ClusterId == 12 && ProcId == 0)) && NumJobMatches == 1"
    [now] = condor.placements(["c1"], ["12.0@s1"])
    assert (now.phase, now.run, now.before) == (JobPhase.PENDING, 1, "EVICTED")
    condor.requeue(one)
    assert pool.count("vacate") == 1


@pytest.mark.parametrize("changed", [{"run": 1}, {"worker": "c2"}, {"job_id": "13.0@s1"}])
def test_what_is_not_that_run_is_left_alone(
    condor: HTCondor, pool: FakePool, changed: dict[str, Any]
) -> None:
    [one] = condor.placements(["c1"])
    condor.requeue(dataclasses.replace(one, **changed))
    assert pool.count("vacate") == 0


def test_a_job_of_another_universe_may_not_be_requeued(condor: HTCondor, pool: FakePool) -> None:
    pool.queues["s1"][0]["JobUniverse"] = 7
    [one] = condor.placements(["c1"])
    assert not one.may_requeue
    with pytest.raises(SchedulerError, match="may not be requeued"):
        condor.requeue(one)
    assert pool.count("vacate") == 0


def test_a_schedd_that_does_not_let_the_agent_vacate_is_told(
    condor: HTCondor, pool: FakePool
) -> None:
    pool.vacates = False
    [one] = condor.placements(["c1"])
    with pytest.raises(SchedulerError, match=r"12\.0 \(TotalPermissionDenied 1\): is the agent in"):
        condor.requeue(one)


def test_a_silent_schedd_has_nothing_put_back(condor: HTCondor, pool: FakePool) -> None:
    [one] = condor.placements(["c1"])
    pool.down = {"s1"}
    with pytest.raises(SchedulerUnavailable, match="schedd s1"):
        condor.requeue(one)
