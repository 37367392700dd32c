"""``hotslot explain`` finds what is meant, says what is so, and obeys no name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from builders import placement
from hotslot.model import CloseReason, Lease
from hotslot.report.called import waits_as
from hotslot.report.explain import as_json, explain, explain_page, over
from hotslot.report.status import Status, status_page
from report.reported import HOSTILE, START, answer, lending_answer
from report.test_pages import on_terminal, piped

DOCUMENT = Path(__file__).parents[2] / "docs" / "arbiter.md"
LONG = "[red]" + "x\x1b[2J\r\n" * 512
names = st.sampled_from([HOSTILE, LONG, "a\nb", ""]) | st.text(max_size=60)


def words(told: dict[str, Any], about: str = "") -> str:
    """All that is said, in one line."""
    return " ".join(line for one in explain(Status.of(told), about) for line in one.sentences)


@pytest.mark.parametrize(
    ("about", "found"),
    [
        ("", ["n1"]),
        ("n1", ["n1"]),
        ("n1-w1", ["12"]),
        ("n1-w2", ["n1-w2"]),
        ("12", ["12"]),
        ("15", ["15"]),
        ("1", []),
        ("12@", []),
        ("12_3", []),
        ("x" * 4096, []),
    ],
)
def test_a_name_finds_what_is_called_so(about: str, found: list[str]) -> None:
    assert [one.about for one in explain(Status.of(lending_answer()), about)] == found


@pytest.mark.parametrize("about", ["100", "100_3", "103"])
def test_a_task_of_an_array_is_found_as_hotslot_job_finds_it(about: str) -> None:
    told = lending_answer()
    told["workers"][0] |= {"job": "103", "array_job": "100", "array_task": "3"}
    assert [one.worker for one in explain(Status.of(told), about)] == ["n1-w1"]


@pytest.mark.parametrize("about", ["12", "12.0", "12.0@schedd"])
def test_a_job_of_a_schedd_is_found_without_its_name(about: str) -> None:
    told = lending_answer()
    told["workers"][0] |= {"job": "12.0@schedd"}
    told["workers"][2] |= {"job": "121.0@schedd"}
    assert [one.about for one in explain(Status.of(told), about)] == ["12.0@schedd"]


def test_an_array_that_runs_and_waits_is_told_of_both() -> None:
    told = lending_answer()
    told["workers"][0] |= {"job": "13", "array_job": "12", "array_task": "0"}
    told["offers"]["queue"] = [told["offers"]["queue"][0] | {"job": "12_[1-3]"}] * 3
    found = explain(Status.of(told), "12")
    assert [one.kind for one in found] == ["job", "waiting"]
    assert "3 of its tasks wait" in " ".join(found[1].sentences)


@pytest.mark.parametrize(
    ("about", "so"),
    [("12", True), ("12_1", True), ("12_5", True), ("12_3", False), ("1", False),
     ("12_", True), ("12_9999999999", False), ("12_x", False), ("12_[0-2,5%1]", True)],
)  # fmt: skip
def test_a_waiting_array_is_called_by_its_tasks(about: str, so: bool) -> None:
    assert waits_as("12_[0-2,5%1]", about) is so


def test_an_owner_is_told_whom_it_serves_and_a_borrower_who_lends() -> None:
    told = lending_answer()
    assert "What it gave back serves job 14 (n1-w3): 4 vCPUs." in words(told, "12")
    assert "are lent by job 12 (n1-w1), which uses 1.03 of the 8" in words(told, "14")
    assert "keeps at least 1 vCPU" in words(told, "14")
    assert "1 vCPU is being taken back from it." in words(told, "14")
    told["ledger"]["loans"][0]["lenders"] = ["n1-w1", "n1-w4"]
    assert "the jobs on n1-w1 and n1-w4" in words(told, "14")
    told["ledger"]["loans"] = []
    assert "Nobody else wants the cores" in words(told, "14")


def test_what_a_job_has_is_said_as_it_is() -> None:
    told = lending_answer()
    assert "asked for 4 CPUs, has them all and uses" in words(told, "13")
    told["workers"][3]["granted_vcpus"] = 6
    assert "has 6, 2 more" in words(told, "13")
    told["workers"][3] |= {"requested_vcpus": 64, "granted_vcpus": 4}
    assert "asked for 64 CPUs (its worker is built for 4 of them), has them all" in words(
        told, "13"
    )


def test_a_change_from_before_the_job_is_not_its_own() -> None:
    told = lending_answer()
    assert "6 vCPUs were given back 40 s ago." in words(told, "12")
    told["workers"][0]["opened_at"] = START - 10
    assert "given back" not in words(told, "12").replace("What it gave back", "")


def test_what_a_borrower_lost_was_taken_back() -> None:
    told = lending_answer()
    told["workers"][2] |= {"changed_from_vcpus": 5, "changed_at": START - 3}
    assert "1 vCPU was taken back 3.0 s ago." in words(told, "14")
    told["workers"][2]["target_vcpus"] = 6
    assert "1 vCPU was given back 3.0 s ago." in words(told, "14")


def test_what_its_owner_asked_is_said_and_what_does_not_hold() -> None:
    told = lending_answer()
    told["workers"][0]["asked"] = [
        "keeps 4 vCPUs at least, as its owner asked",
        "does not hold: elastic=x\x1b[2J: is neither yes nor no",
    ]
    told["workers"][2]["to_be_requeued"] = True
    assert "It keeps 4 vCPUs at least, as its owner asked." in words(told, "12")
    assert "What its owner asked does not hold: elastic=x" in words(told, "12")
    assert "\x1b" not in words(told, "12")
    assert "It goes back into its queue if the owners of these cores stay short." in words(
        told, "14"
    )
    told["workers"][0]["asked"] = None
    assert "owner asked" not in words(told, "12")


def test_why_nothing_moves_is_said() -> None:
    told = lending_answer()
    told["offers"]["problem"] = "slurm: sacctmgr: no answer within 10 s"
    told["agent"]["schedulers"][0]["silent_since"] = START - 65
    told["ledger"]["lending"] = False
    for about in ("", "12", "15"):
        assert "Offers stay as they are: slurm: sacctmgr: no answer" in words(told, about)
    assert "slurm gives no answer for 1 m 05 s" in words(told)
    assert "lending.enabled is false" in words(told)
    assert "lending.enabled is false" in words(told, "15")


def test_a_worker_that_is_down_says_so() -> None:
    told = answer()
    assert "is not measured: it takes none. Problem: VM n1-w3" in words(told, "n1-w3")
    told["workers"][0]["up"] = False
    assert "Its VM is not measured now" in words(told, "12")


def test_an_agent_that_keeps_no_ledger_is_understood() -> None:
    told = lending_answer()
    del told["ledger"], told["offers"]["queue"]
    for one in told["workers"]:
        for key in ("borrows", "wish_vcpus", "target_vcpus", "entitled_vcpus", "scheduler"):
            one.pop(key, None)
    assert "keeps no ledger" in words(told)
    assert "has 2 of them" in words(told, "12")
    assert "own" not in words(told, "12"), "what is not known is not said"
    assert "host n1: 12 cores" in piped(status_page(Status.of(told)), 80)


def test_a_job_that_is_over_is_said_to_be_so_with_where_to_look() -> None:
    ended = Lease(1, placement(outcome="COMPLETED"), START, START + 100, CloseReason.ENDED)
    told = over(START + 120, "12", [ended])
    assert told.sentences[0] == "Job 12 is over: COMPLETED, 20 s ago."
    assert "`hotslot job 12`" in told.sentences[1]
    open_ = over(START, "12", [Lease(1, placement(), START)])
    assert "its end is not recorded yet" in open_.sentences[0]
    assert "`hotslot job ID`" in over(START, "12; rm -rf", [ended]).sentences[1]


def poisoned(name: str) -> dict[str, Any]:
    """An answer whose every text that others choose is this."""
    told = lending_answer()
    chosen = ["job", "job_name", "user", "decision", "clawback", "problem"]
    for one in told["workers"]:
        one.update(dict.fromkeys(chosen, name))
    for one in (*told["offers"]["queue"], *told["ledger"]["loans"]):
        one["job"] = name
    told["offers"]["problem"] = name
    return told


@settings(deadline=None)
@given(names, st.sampled_from(["", "n1-w1", "n1-w2", "n1-w3", "15"]))
def test_whatever_the_names_the_answer_is_printable_and_short(name: str, about: str) -> None:
    status = Status.of(poisoned(name))
    found = explain(status, about) + explain(status, name)
    for one in found:
        assert all(line.isprintable() and len(line) < 1500 for line in one.sentences)
    shown = piped(explain_page(found), 80)
    assert shown.replace("\n", "").isprintable()
    assert max(map(cell_len, shown.splitlines()), default=0) <= 80
    assert piped(status_page(status), 80).replace("\n", "").isprintable()


def test_markup_in_a_name_is_shown_and_not_obeyed() -> None:
    shown = on_terminal(explain_page(explain(Status.of(poisoned(HOSTILE)), "n1-w1")), 300)
    assert r"[red]x[/red]\x1b[31m" in shown


def test_programs_get_the_same_words() -> None:
    status = Status.of(lending_answer())
    found = explain(status, "14")
    told = as_json(status, found)
    assert told["explanations"] == [
        {"kind": "job", "about": "14", "worker": "n1-w3", "sentences": list(found[0].sentences)}
    ]


def test_the_document_shows_what_the_commands_say() -> None:
    status = Status.of(lending_answer())
    text = DOCUMENT.read_text()
    (shown,) = re.findall(r"^```\n(\$ hotslot status\n.+?)^```", text, re.M | re.S)
    blocks = []
    for command in re.findall(r"^\$ hotslot (.+)$", shown, re.M):
        about = command.removeprefix("explain").strip()
        page = status_page(status) if command == "status" else explain_page(explain(status, about))
        said = "".join(f"{line.rstrip()}\n" for line in piped(page, 110).splitlines())
        blocks.append(f"$ hotslot {command}\n{said}")
    if os.environ.get("UPDATE_GOLDEN"):
        DOCUMENT.write_text(text.replace(shown, "\n".join(blocks)))
    else:
        assert shown == "\n".join(blocks)
