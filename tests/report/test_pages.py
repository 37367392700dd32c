"""Each command's output as it was last looked at, at two widths; hostile names do nothing."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from builders import sample
from hotslot.record.batch import RollUp
from hotslot.report.explain import explain, explain_page
from hotslot.report.job import JobDetail, PartDetail
from hotslot.report.plot import Timeline
from hotslot.report.status import Status, status_page, workers_table
from hotslot.report.table import console
from hotslot.report.text import MOST_EVENTS, MOST_PARTS, MOST_PLOTS, job_page, jobs_table
from report.reported import (
    HOSTILE,
    START,
    answer,
    array_job,
    event,
    hostile_job,
    lending_answer,
    load_then_wait,
    one_job,
    part,
    some_jobs,
)

NOW = START + 600
Golden = Callable[[str, object], None]


def piped(page: RenderableType, width: int) -> str:
    """What a pipe gets."""
    stream = StringIO()
    console(stream, width).print(page)
    return stream.getvalue()


def on_terminal(page: RenderableType, width: int = 80) -> str:
    """What a terminal with colours gets."""
    stream = StringIO()
    Console(
        file=stream, width=width, force_terminal=True, color_system="standard", markup=False
    ).print(page)
    return stream.getvalue()


def explained(about: str) -> RenderableType:
    """What ``hotslot explain`` shows of the host that lends."""
    return explain_page(explain(Status.of(lending_answer()), about))


PAGES: dict[str, Callable[[], RenderableType]] = {
    "status": lambda: status_page(Status.of(answer())),
    "lending": lambda: status_page(Status.of(lending_answer())),
    "explain-host": lambda: explained(""),
    "explain-owner": lambda: explained("12"),
    "explain-borrower": lambda: explained("14"),
    "explain-waiting": lambda: explained("15"),
    "explain-worker": lambda: explained("n1-w2"),
    "workers": lambda: workers_table(Status.of(answer())),
    "jobs": lambda: jobs_table(some_jobs(), NOW),
    "job": lambda: job_page(one_job(), NOW),
    "array": lambda: job_page(array_job(), NOW),
    "hostile": lambda: job_page(hostile_job(), NOW),
}


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("page", PAGES)
def test_pages_look_as_they_did(page: str, width: int, golden: Golden) -> None:
    golden(f"{page}-{width}.txt", piped(PAGES[page](), width))


@pytest.mark.parametrize("width", [24, 40, 60, 80, 100, 140, 300])
@pytest.mark.parametrize("page", PAGES)
def test_no_line_is_wider_than_the_terminal(page: str, width: int) -> None:
    lines = piped(PAGES[page](), width).splitlines()
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("page", PAGES)
def test_a_pipe_gets_no_colour_and_no_control_character(page: str) -> None:
    assert piped(PAGES[page](), 100).replace("\n", "").isprintable()


@pytest.mark.parametrize("page", PAGES)
def test_a_terminal_gets_no_escape_but_our_colours(page: str) -> None:
    shown = on_terminal(PAGES[page]())
    assert "\x1b[" in shown
    left = re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\n", "")
    assert left.isprintable()


def test_markup_in_a_name_is_shown_and_not_obeyed() -> None:
    shown = on_terminal(job_page(hostile_job(), NOW), width=200)
    assert r"[red]x[/red]\x1b[31m\x07\u202e'; <script>" in shown


def test_a_hostile_worker_is_harmless_in_the_status_too() -> None:
    told = answer()
    told["workers"][0] |= dict.fromkeys(["worker", "job", "job_name", "user", "decision"], HOSTILE)
    told["agent"]["record"] |= {"condition": "failing", "last_error": HOSTILE}
    told["agent"]["schedulers"][0]["compared"] = HOSTILE
    status = Status.of(told)
    assert piped(status_page(status), 90).replace("\n", "").isprintable()
    assert piped(workers_table(status), 90).replace("\n", "").isprintable()


def test_the_status_says_what_is_wrong(golden: Golden) -> None:
    told = answer()
    told["agent"]["record"] = {
        "condition": "failing",
        "behind_s": 125.0,
        "waiting_records": 2000,
        "lost_samples": 7,
        "refused_records": 1,
        "last_error": "hotslot.db: the disk is full",
        "set_aside": "/var/lib/hotslot/hotslot.db.damaged-20261122T012000Z",
    }
    told["agent"]["schedulers"][0]["silent_since"] = START - 65
    told["agent"]["audit"] = {"waiting": 31, "lost": 2, "last_error": "No space left on device"}
    golden("status-wrong.txt", piped(status_page(Status.of(told)), 80))


def test_a_status_of_another_version_is_read_as_far_as_it_is_known() -> None:
    told = answer()
    told["news"] = told["workers"][0]["news"] = told["agent"]["record"]["news"] = 1
    del told["workers"][0]["ceiling_vcpus"]
    assert Status.of(told).workers[0].granted_vcpus == 4


@pytest.mark.parametrize("told", [{}, {"agent": None}, {**answer(), "workers": [3]}])
def test_what_is_no_status_is_refused(told: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a status"):
        Status.of(told)


def test_nothing_to_show_is_said_in_words() -> None:
    assert piped(jobs_table([], NOW), 80) == "no jobs\n"
    told = answer() | {"workers": []}
    assert "no workers are configured" in piped(workers_table(Status.of(told)), 80)
    assert "no changes of its vCPUs" in piped(job_page(JobDetail((PartDetail(part()),)), NOW), 80)


def test_a_job_of_many_parts_and_events_stays_readable() -> None:
    many_events = tuple(event(i, (4, 2)) for i in range(MOST_EVENTS + 5))
    shown = piped(job_page(JobDetail((PartDetail(part(), many_events),)), NOW), 120)
    assert "5 earlier events not shown" in shown
    shown = piped(job_page(array_job(MOST_PARTS + 3), NOW), 120)
    assert "3 earlier parts not shown" in shown
    assert "for a timeline name one of them" in shown


def test_each_part_of_a_small_job_has_its_timeline() -> None:
    parts = [PartDetail(part(lease_id=n), (), load_then_wait()) for n in range(MOST_PLOTS)]
    assert piped(job_page(JobDetail(tuple(parts)), NOW), 80).count("* used") == MOST_PLOTS


def test_a_timeline_is_drawn_with_colours_on_a_terminal_and_in_ascii_else() -> None:
    line = Timeline(load_then_wait(), 4, "cores")
    assert piped(line, 80).isascii()
    assert "\x1b[" in on_terminal(line)


def test_a_timeline_of_a_two_second_job_is_drawn(golden: Golden) -> None:
    life = [sample(START + 1, used=0.5), sample(START + 2, used=3.0)]
    golden("timeline-2s.txt", piped(Timeline(life, 4, "cores"), 60))


def test_a_timeline_of_a_week_in_seconds_is_drawn_in_time() -> None:
    week = [sample(float(at), granted=1 + at // 9000 % 8, used=0.5) for at in range(100_000)]
    assert "1 d 03 h" in piped(Timeline(week, 4), 80)


def test_without_plotext_the_rest_of_the_page_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotext", None)
    shown = piped(job_page(one_job(), NOW), 80)
    assert "no timeline, plotext does not load" in shown
    assert "back to 4" in shown


def test_what_is_lost_is_said() -> None:
    detail = JobDetail((PartDetail(part(roll_up=RollUp(lost_samples=3))),))
    assert "3 samples lost" in piped(job_page(detail, NOW), 80)


def test_what_was_asked_is_said_once_for_all_parts_of_a_job() -> None:
    parts = [part("1", worker=f"w{n}", asked="min=2") for n in range(3)]
    said = piped(job_page(JobDetail(tuple(PartDetail(one) for one in parts)), NOW), 80)
    assert said.count("keeps 2 vCPUs at least, as its owner asked") == 1
    silent = piped(job_page(JobDetail((PartDetail(part("1")),)), NOW), 80)
    assert "asked\n" not in silent


@pytest.mark.parametrize(("zone", "holds"), [("UTC", True), ("UTC-14", False)])
def test_a_deadline_without_a_zone_is_in_this_machines_time(
    zone: str, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job began at 22:13:20 in Greenwich, when it was the next day's noon on Kiritimati."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    one = part("1", asked="deadline=2023-11-15T04:00")
    said = piped(job_page(JobDetail((PartDetail(one),)), NOW), 80)
    assert ("has a deadline" in said, "has passed" in said) == (holds, not holds)
