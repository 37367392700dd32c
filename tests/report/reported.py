"""Builders of jobs as reports take them."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from builders import placement, sample
from hotslot.accounts import Foretold, Holding, Offered, Queued, account
from hotslot.model import (
    CloseReason,
    Decision,
    Event,
    EventResult,
    JobPhase,
    Lease,
    Placement,
    Sample,
    Totals,
)
from hotslot.record.batch import LeaseDecision, LeaseRow, RollUp
from hotslot.record.totals import totals_of
from hotslot.report.efficiency import Job
from hotslot.report.job import JobDetail, PartDetail

START = 1_700_000_000.0
HOSTILE = "[red]x[/red]\x1b[31m\x07\u202e'; <script>"


def part(
    job_id: str = "12",
    *,
    lease_id: int = 1,
    of: Placement | None = None,
    life: list[Sample] | None = None,
    totals: Totals | None = None,
    opened_at: float = START,
    closed_at: float | None = START + 100,
    reason: CloseReason = CloseReason.ENDED,
    roll_up: RollUp | None = None,
    **what: Any,
) -> LeaseRow:
    """A lease of a job of alice's that has ended; ``what`` are fields of its placement."""
    ended = {"phase": JobPhase.ENDED, "outcome": "COMPLETED", "exit_code": "0:0"}
    base = replace(of or placement(job_id), account="physics", partition="n1")
    where = replace(base, **({} if closed_at is None else ended) | what)
    lease = Lease(
        lease_id,
        where,
        opened_at,
        closed_at,
        None if closed_at is None else reason,
        totals or totals_of(life or [], where.cpus),
    )
    return LeaseRow(lease, roll_up or RollUp())


def load_then_wait(start: float = START) -> list[Sample]:
    """A job that is busy for 30 s on 4 vCPUs, then needs one of 2 for 70 s."""
    busy = [sample(start + 1 + i, granted=4, used=3.9) for i in range(30)]
    idle = [sample(start + 31 + i, granted=2, used=1.0, waited=0.01) for i in range(70)]
    return busy + idle


def event(
    after_s: float,
    change: tuple[int, int],
    *,
    result: EventResult = EventResult.APPLIED,
    reason: str = "peak of 20 s is 1.0 of 4 cores",
    detail: str = "",
    online_s: float | None = None,
    start: float = START,
) -> Event:
    """An attempt to change worker w1, some seconds after the job's start."""
    at = start + after_s
    return Event(
        worker="w1",
        lease_id=1,
        at=at,
        from_vcpus=change[0],
        to_vcpus=change[1],
        got_vcpus=change[1] if result is EventResult.APPLIED else change[0],
        reason=reason,
        result=result,
        detail=detail,
        detected_at=at - 1.2,
        command_s=0.4,
        online_s=online_s,
        took_s=0.5 + (online_s or 0.0),
    )


def decision_of(event: Event) -> LeaseDecision:
    """The decision that an event carries out, 0.2 s before it."""
    assert event.detected_at is not None
    decision = Decision(
        event.worker,
        event.at - 0.2,
        event.from_vcpus,
        event.to_vcpus,
        event.reason,
        event.detected_at,
    )
    return LeaseDecision(1, decision)


def one_job() -> JobDetail:
    """A job on one worker, shrunk once after a refusal and grown again."""
    events = (
        event(28.0, (4, 2), result=EventResult.REFUSED, detail="guest: CPU 3 is busy"),
        event(30.0, (4, 2)),
        event(99.0, (2, 4), reason="saturated: wants 2.0 of 2 cores, back to 4", online_s=1.1),
    )
    roll_up = RollUp(applied=2, refused=1, plug_median_s=1.6, plug_max_s=1.6, unplug_median_s=0.5)
    asked = "min=2,burst=no,elastc=no"
    row = part(life=load_then_wait(), submitted_at=START - 75, roll_up=roll_up, asked=asked)
    decisions = tuple(map(decision_of, events[1:]))
    return JobDetail((PartDetail(row, events, load_then_wait(), decisions),))


def array_job(tasks: int = 3) -> JobDetail:
    """An array; its last task failed."""
    rows = [
        part(
            str(100 + n),
            lease_id=n,
            array_job_id="100",
            array_task_id=str(n),
            worker=f"w{n}",
            life=load_then_wait(),
            outcome="COMPLETED" if n < tasks else "FAILED",
            exit_code="0:0" if n < tasks else "1:0",
        )
        for n in range(1, tasks + 1)
    ]
    return JobDetail(tuple(PartDetail(row) for row in rows))


def hostile_job() -> JobDetail:
    """A job whose every text wants to do something to the terminal."""
    texts = {"name": HOSTILE, "user": HOSTILE, "account": HOSTILE, "partition": HOSTILE}
    texts |= {"outcome": HOSTILE, "exit_code": HOSTILE, "asked": HOSTILE}
    row = part(life=load_then_wait(), **texts)
    bad = replace(event(3.0, (4, 2)), reason=HOSTILE, detail=HOSTILE, worker=HOSTILE)
    return JobDetail((PartDetail(row, (bad,), load_then_wait()),))


def some_jobs() -> list[Job]:
    """One of each kind: running, array, requeued, two workers, two seconds long, hostile."""
    running = part("30", closed_at=None, opened_at=START + 500, life=load_then_wait(START + 500))
    first_run = part("40", reason=CloseReason.REQUEUED, outcome="", life=load_then_wait())
    second_run = part("40", run=1, opened_at=START + 200, closed_at=START + 300)
    two = [part("50", worker=w, life=load_then_wait()) for w in ("w1", "w2")]
    short = part(
        "60", closed_at=START + 2, life=[sample(START + 1, used=0.5), sample(START + 2, used=0.2)]
    )
    rows = [(running,), array_job().job.parts, (first_run, second_run), tuple(two), (short,)]
    return [Job(parts) for parts in rows] + [hostile_job().job]


IDLE = Holding("n1-w2", 1, 1, used_cores=0.01)


def ledger(
    holdings: list[Holding], *, cores: int = 16, headroom: int = 0, offered: int = 6
) -> dict[str, Any]:
    """A host's account in which Slurm may fill some CPUs, and 2 are kept for who has jobs."""
    return asdict(
        account(
            cores,
            holdings,
            capacity=cores,
            headroom=headroom,
            lending=True,
            forecast=Foretold(2, 60.0, 0.1, 120, 3),
            offers=[Offered("slurm", "n1", offered)],
        )
    )


def job_on(told: dict[str, Any], at: int, **what: Any) -> None:
    """Let a worker of an answer have a job of bob's."""
    told["workers"][at] |= {
        "up": True,
        "scheduler": "slurm",
        "job_name": "solve",
        "user": "bob",
        "opened_at": START - 300,
        "decided_at": START - 40,
        "used_cores": 1.9,
        "waited_cores": 0.0,
        "problem": None,
        "busy": False,
    } | what


def lending_answer() -> dict[str, Any]:
    """The answer of a host of 12 cores: job 12 lends to job 14, two more wait."""
    told = answer() | {"cores": 12}
    told["workers"][0] |= {
        "granted_vcpus": 2,
        "requested_vcpus": 8,
        "entitled_vcpus": 8,
        "wish_vcpus": 2,
        "target_vcpus": 2,
        "changed_from_vcpus": 8,
        "changed_at": START - 40,
        "busy": False,
    }
    words = "peak of 60 s is 3.9 of 4 cores"
    shared = "its request is 6, on lent cores that owners want back; 3 of 12 vCPUs' share"
    asked = {"requested_vcpus": 6, "entitled_vcpus": 6, "wish_vcpus": 6, "target_vcpus": 3}
    job_on(
        told, 2, job="14", **asked, granted_vcpus=4, decided_vcpus=3, borrows=True,
        decision=f"{words}; {shared}", clawback=shared, clawback_vcpus=1,
        changed_from_vcpus=3, changed_at=START - 90, floor_vcpus=1,
    )  # fmt: skip
    told["workers"].append(told["workers"][1] | {"worker": "n1-w4"})
    whole = {"requested_vcpus": 4, "entitled_vcpus": 4, "wish_vcpus": 4, "target_vcpus": 4}
    job_on(told, 3, job="13", **whole, granted_vcpus=4, decided_vcpus=4,
           decision="saturated: wants 4.0 of 4 cores")  # fmt: skip
    holdings = [
        Holding("n1-w1", 1, 2, "12", 8, started_at=1, used_cores=1.034),
        IDLE,
        Holding("n1-w3", 1, 4, "14", 6, lent=True, started_at=3, used_cores=1.9),
        Holding("n1-w4", 1, 4, "13", 4, started_at=2, used_cores=1.9),
    ]
    told["ledger"] = ledger(holdings, cores=12, offered=0)
    told["offers"]["groups"][0] |= dict.fromkeys(["used_cpus", "limit_cpus", "promised_cpus"], 18)
    waiting = (
        Queued("slurm", "15", 2, 1, START - 65, 2, 0),
        Queued("slurm", "16", 8, 2, START, 18, 1),
    )
    told["offers"]["queue"] = [asdict(one) for one in waiting]
    told["offers"]["waiting_jobs"] = {"slurm": 2}
    return told


def answer() -> dict[str, Any]:
    """The agent's answer to a request for its status."""
    nothing = dict.fromkeys(["job", "job_name", "user", "requested_vcpus", "lease", "opened_at"])
    worker = {
        "vm": "vm",
        "floor_vcpus": 1,
        "ceiling_vcpus": 8,
        "up": True,
        "busy": False,
        "wish_vcpus": None,
        "target_vcpus": None,
        "borrows": False,
    }
    return {
        "host": "n1",
        "at": START,
        "version": "0.1.0",
        "cores": 16,
        "policy": "window",
        "ledger": ledger([Holding("n1-w1", 1, 4, "12", 4, used_cores=1.034), IDLE], headroom=9),
        "offers": {
            "groups": [
                {
                    "scheduler": "slurm",
                    "group": "n1",
                    "used_cpus": 6,
                    "limit_cpus": 12,
                    "promised_cpus": 12,
                }
            ],
            "waiting_jobs": {"slurm": 3},
            "queue": [],
            "problem": None,
        },
        "agent": {
            "started_at": START - 7500,
            "cycles": 7500,
            "record": {
                "condition": "ok",
                "behind_s": 0.4,
                "waiting_records": 12,
                "lost_samples": 0,
                "refused_records": 0,
                "last_error": "",
            },
            "audit": {"waiting": 0, "lost": 0, "last_error": ""},
            "schedulers": [
                {
                    "name": "slurm",
                    "calls": 31,
                    "silent_since": None,
                    "compared_at": START - 12,
                    "compared": "3 jobs on 3 workers, as expected",
                }
            ],
        },
        "workers": [
            worker
            | {
                "worker": "n1-w1",
                "granted_vcpus": 4,
                "used_cores": 1.034,
                "waited_cores": 0.0,
                "job": "12",
                "job_name": "train",
                "user": "alice",
                "requested_vcpus": 4,
                "lease": 1,
                "opened_at": START - 4000,
                "decision": "peak of 60 s is 1.1 of 4 cores, and 25 % to spare make 2",
                "decided_vcpus": 2,
                "decided_at": START - 3,
                "problem": None,
                "busy": True,
            },
            worker
            | nothing
            | {
                "worker": "n1-w2",
                "granted_vcpus": 1,
                "used_cores": 0.01,
                "waited_cores": 0.0,
                "decision": "no job: idle size",
                "decided_vcpus": 1,
                "decided_at": START - 900,
                "problem": None,
            },
            worker
            | nothing
            | {
                "worker": "n1-w3",
                "up": False,
                "granted_vcpus": None,
                "used_cores": None,
                "waited_cores": None,
                "decision": None,
                "decided_vcpus": None,
                "decided_at": None,
                "problem": "VM n1-w3: no process runs it",
            },
        ],
    }
