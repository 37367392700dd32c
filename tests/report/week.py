"""A week of a small host, made up: for reports in every format, and for the browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from math import sin
from pathlib import Path

from builders import placement, sample
from hotslot.model import (
    CloseReason,
    Event,
    EventResult,
    JobPhase,
    Lease,
    Placement,
    Sample,
)
from hotslot.record.batch import Batch, LeaseSample, LedgerMinute
from hotslot.record.store import Store
from hotslot.record.totals import totals_of

MONDAY = datetime(2026, 11, 9, tzinfo=UTC).timestamp()
DAY, HOUR = 86_400.0, 3600.0
CORES = 16

HOSTILE = (
    "</script><script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "=cmd|' /C calc'!A0",
    "\u202e\u2066txt.exe\r\nBcc: all@example.org\r\n\r\n",
    "[a](javascript:alert(1)) | **b** `c` <b>d</b>",
    "\x1b[31m\x00\x07 red",
    "'); DROP TABLE leases; --",
    "x" * 4096,
    "<!--" + "é" * 90 + "-->",
    "{{ 7*7 }}{% raw %}${7*7}",
)


def week(path: Path, *, hostile: bool = True) -> None:
    """Write the week into a new database."""
    with Store(path, host="n1") as store:
        for batch in _batches(hostile=hostile):
            store.append(batch)


def _batches(*, hostile: bool) -> Iterator[Batch]:
    number = 0
    for day in range(7):
        for one in _jobs_of(day):
            if one[0].name in HOSTILE and not hostile:
                continue
            number += 1
            yield _run(number, *one)
        yield Batch(ledger=tuple(_minutes(day)))
    yield _running(number + 1)


Run = tuple[Placement, float, float, float]
"""Placement, start in hours of the week, hours, cores that it needs when it is busy."""


def _jobs_of(day: int) -> Iterator[Run]:
    at = 24.0 * day
    for n in range(2):
        number = str(100 + 10 * day + n)
        train = replace(placement(number, "w1", cpus=8), account="physics", partition="long")
        yield train, at + 1 + 5 * n, 3.0, 2.3 + 0.1 * n
    sim = replace(placement(str(200 + day), "w2", cpus=8), user="bob", name="sim", account="bio",
                  partition="long")  # fmt: skip
    yield sim, at + 2, 8.0, 7.6
    if day < 2:
        few = replace(sim, job_id=str(300 + day), user="carol", name="align", cpus=4, worker="w3")
        yield few, at + 9, 2.0, 1.2
    if day == 3:
        for task in range(1, 4):
            yield (
                replace(train, job_id=str(400 + task), array_job_id="400", array_task_id=str(task),
                        name="sweep", worker=f"w{task}", cpus=4),
                at + 14, 1.0, 3.0,
            )  # fmt: skip
    if day == 4:
        two = replace(train, job_id="500", user="dave", name="mpi", account="bio", cpus=4)
        for worker in ("w1", "w2"):
            yield replace(two, worker=worker), at + 15, 2.0, 3.9
        for place, text in enumerate(HOSTILE):
            texts = {"name": text, "user": text, "account": text, "partition": text}
            yield replace(placement(str(600 + place), "w3"), **texts), at + 10 + place / 4, 0.2, 1.5
    if day == 5:
        yield replace(train, job_id="700", name="short", cpus=2), at + 20, 2 / 3600, 1.0


ENDS = ("COMPLETED", "COMPLETED", "COMPLETED", "FAILED", "COMPLETED", "TIMEOUT", "CANCELLED by 7")


def _run(number: int, of: Placement, at_h: float, hours: float, need: float) -> Batch:
    opened_at = MONDAY + HOUR * at_h
    closed_at = opened_at + HOUR * hours
    life = _life(of.cpus, opened_at, HOUR * hours, need)
    end = ENDS[number % len(ENDS)]
    ended = replace(
        of,
        phase=JobPhase.ENDED,
        outcome=end,
        exit_code="0:0" if end == "COMPLETED" else "1:0",
        submitted_at=opened_at - 60 * (int(of.job_id) % 90),
        started_at=opened_at + 1,
        ended_at=closed_at - 1,
    )
    totals = totals_of(life, of.cpus)
    lease = Lease(number, ended, opened_at, closed_at, CloseReason.ENDED, totals)
    return Batch(
        leases=(lease,),
        samples=tuple(LeaseSample(number, one) for one in life),
        events=tuple(_events(number, of, life)),
    )


def _life(cpus: int, start: float, life_s: float, need: float) -> list[Sample]:
    """Busy for a tenth of its time, then what it needs, with waves."""
    step = max(1.0, life_s / 300)
    found, at, count = [], start, max(2, round(life_s / step))
    for n in range(count):
        at = start + life_s * (n + 1) / count
        early = n < count / 10
        used = min(cpus, cpus * 0.95 if early and need > cpus / 2 else need + 0.4 * sin(n / 9))
        granted = cpus if early else min(cpus, int(need + 2.0))
        used = max(0.0, min(used, granted))
        found.append(sample(at, interval_s=life_s / count, granted=granted, used=round(used, 3)))
    return found


def _events(lease: int, of: Placement, life: list[Sample]) -> Iterator[Event]:
    start = life[0].at - life[0].interval_s
    yield _event(lease, of, start + 0.2, (1, of.cpus), f"job {of.job_id} starts; its request")
    before = life[0]
    for one in life[1:]:
        if one.granted_vcpus != before.granted_vcpus:
            change = (before.granted_vcpus, one.granted_vcpus)
            why = f"{change[1]} of {change[0]} cores would have done for 300 s"
            if lease % 3 == 0:
                yield _event(lease, of, before.at - 20, change, why, EventResult.GUEST_SILENT)
            yield _event(lease, of, before.at, change, why)
        before = one


def _event(
    lease: int,
    of: Placement,
    at: float,
    change: tuple[int, int],
    why: str,
    result: EventResult = EventResult.APPLIED,
) -> Event:
    good = result is EventResult.APPLIED
    return Event(
        worker=of.worker,
        lease_id=lease,
        at=round(at, 3),
        from_vcpus=change[0],
        to_vcpus=change[1],
        got_vcpus=change[1] if good else change[0],
        reason=f"{why} {of.name}" if of.name in HOSTILE else why,
        result=result,
        detail="" if good else "no answer within 15 s",
        detected_at=round(at - 1.2, 3),
        command_s=0.4,
        online_s=1.1 if change[1] > change[0] else None,
        took_s=1.5 if good else 15.0,
    )


def _running(number: int) -> Batch:
    opened_at = MONDAY + 7 * DAY - HOUR
    of = replace(placement("800", "w4", cpus=8), name="long run", account="physics",
                 partition="long")  # fmt: skip
    life = _life(8, opened_at, HOUR, 4.0)
    lease = Lease(number, of, opened_at, totals=totals_of(life, 8))
    samples = tuple(LeaseSample(number, one) for one in life)
    return Batch(leases=(lease,), samples=samples, events=tuple(_events(number, of, life)))


def _minutes(day: int) -> Iterator[LedgerMinute]:
    for minute in range(0, 1440):
        if day == 2 and 600 <= minute < 720:  # no agent ran
            continue
        hour = minute / 60
        load = 9 + 5 * sin((hour - 8) / 4) - day / 3
        held, used = 60 * max(1.0, load), 60 * max(0.3, 0.72 * load)
        yield LedgerMinute(
            int(MONDAY + DAY * day) + 60 * minute, 240.0, held, used, CORES, held * 1.35, 60.0
        )
