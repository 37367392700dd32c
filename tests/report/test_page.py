"""The page as text: small whatever it is about, and honest about what is not on it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from builders import placement, sample
from hotslot.model import Totals
from hotslot.record.batch import Batch, LeaseSample
from hotslot.record.store import Store
from hotslot.report.gather import Asked
from hotslot.report.html.page import MOST_RANKED, page
from hotslot.report.period import Period
from record.recorded import event, lease
from report.reported import load_then_wait
from report.week import DAY, MONDAY, week

WEEK = Period(MONDAY, MONDAY + 7 * DAY)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    week(tmp_path / "hotslot.db")
    return Store(tmp_path / "hotslot.db", host="n1")


def test_it_says_how_many_jobs_it_is_about_and_which_have_a_timeline(store: Store) -> None:
    text = page(store, Asked(WEEK), WEEK.until)
    assert "This page adds up 38 ended jobs" in text
    assert text.count("<article ") <= 2 * MOST_RANKED
    assert "Of everybody" not in text


def test_of_one_user_it_says_so_and_that_the_host_is_everybody_s(store: Store) -> None:
    text = page(store, Asked(WEEK, user="carol"), WEEK.until)
    assert "Only user carol. 2 jobs ended" in text
    assert "Of everybody&#39;s jobs." in text
    assert "bob" not in text


def test_of_a_time_without_jobs_there_is_a_page_too(store: Store) -> None:
    text = page(store, Asked(Period(DAY, 2 * DAY)), WEEK.until)
    for words in ("No jobs ended on 1970-01-02", "No agent ran on this host in that time",
                  "No jobs ran in that time", "No job gave anything back"):  # fmt: skip
        assert words in text


def test_jobs_whose_samples_are_pruned_keep_their_events(tmp_path: Path) -> None:
    with Store(tmp_path / "hotslot.db") as store:
        totals = Totals(100, 400, 260, 150, 0, 3.9, 0)
        ended = lease(1, of=placement("7"), closed_at=200.0, totals=totals)
        store.append(Batch(leases=(ended,), events=(event(1, at=150.0),)))
        text = page(store, Asked(Period(0.0, DAY)), 300.0)
    assert '"data":[[0.0,50.0,100.0],[null,null,null],[4.0,4.0,2.0],[4.0,4.0,4.0]]' in text
    assert "What it used is not kept any more" in text
    assert text.count('class="chart"') == 1
    assert "peak of 60 s is 1.1 of 4 cores" in text


def test_a_page_of_the_worst_kind_is_below_five_megabytes(tmp_path: Path) -> None:
    """The most jobs, parts, points and events that can be on it."""
    life = [replace(one, interval_s=1.0) for one in load_then_wait(100.0)] * 3
    with Store(tmp_path / "hotslot.db") as store:
        number, whole = 0, Batch()
        for job in range(2 * MOST_RANKED):
            for worker in range(4):
                number += 1
                totals = Totals(600, 2400, 1500 + job, 900 - job, 0, 3.9, 0)
                of = placement(str(job), f"w{worker}-{'y' * 60}")
                of = replace(of, name="x" * 4096)
                events = tuple(
                    replace(event(number, at=100.0 + n), reason="ä<&" * 100, detail="z" * 100)
                    for n in range(30)
                )
                samples = tuple(
                    LeaseSample(number, replace(one, at=101.0 + n)) for n, one in enumerate(life)
                )
                ended = lease(number, of=of, closed_at=700.0, totals=totals)
                whole = Batch(
                    leases=(*whole.leases, ended),
                    samples=(*whole.samples, *samples),
                    events=(*whole.events, *events),
                )
        store.append(whole)
        text = page(store, Asked(Period(0.0, DAY)), 900.0)
    assert text.count("<article ") > MOST_RANKED
    assert len(text.encode()) < 5_000_000
    assert "later ones not shown; `hotslot job ID` has all" in text


def test_of_a_job_of_many_parts_those_that_idle_most_are_drawn(tmp_path: Path) -> None:
    with Store(tmp_path / "hotslot.db") as store:
        for task in range(1, 8):
            totals = Totals(100, 400, 300, 40.0 * task, 0, 3.9, 0)
            of = replace(placement(str(40 + task), f"w{task}"), array_job_id="40",
                         array_task_id=str(task))  # fmt: skip
            ended = lease(task, of=of, closed_at=200.0, totals=totals)
            samples = tuple(LeaseSample(task, one) for one in load_then_wait(100.0))
            store.append(Batch(leases=(ended,), samples=samples))
        text = page(store, Asked(Period(0.0, DAY)), 300.0)
    assert "Of its 7 parts, the 4 that held most without using it are below" in text
    assert "On <bdi>w1</bdi>" in text
    assert "On <bdi>w5</bdi>" not in text
    assert text.count('class="chart"') == 4
    assert "Asked for 28 CPUs" in text


@pytest.mark.parametrize("kept", [True, False], ids=["with samples", "without samples"])
def test_a_job_that_changed_all_the_time_stays_small(tmp_path: Path, kept: bool) -> None:
    life = [sample(101.0 + n, granted=2 + 2 * (n % 2), used=1.0) for n in range(3000)]
    changes = tuple(event(1, at=100.5 + n, change=(4, 2)) for n in range(3000))
    with Store(tmp_path / "hotslot.db") as store:
        totals = Totals(3000, 12_000, 9000, 3000, 0, 3.9, 0)
        ended = lease(1, of=placement("7"), closed_at=3100.0, totals=totals)
        samples = tuple(LeaseSample(1, one) for one in life) if kept else ()
        store.append(Batch(leases=(ended,), samples=samples, events=changes))
        text = page(store, Asked(Period(0.0, DAY)), 4000.0)
    (data,) = re.findall(r'id="data">(.*?)</script>', text, re.S)
    times, used, held, asked = json.loads(data)["charts"]["job-1-1"]["data"]
    assert len(times) == len(used) == len(held) == len(asked) <= 2 * 2 * 300
    assert times == sorted(times)
    assert all(2 <= one <= 4 for one in held if one is not None)
