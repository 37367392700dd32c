"""A whole host with the arbiter: who starts when, who gets what back, and what it costs whom."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hotslot.cli import cli
from hotslot.decide.arbiter import Lending
from hotslot.decide.forecast import Foresight
from hotslot.decide.policies import build
from hotslot.decide.static import Static
from hotslot.decide.thrift import Thrift
from hotslot.decide.window import Window
from hotslot.replay.host import gains, on_host
from hotslot.replay.host_arbiter import Arbiter, arbitrated
from hotslot.replay.host_bound import bound
from hotslot.replay.replay import Setting
from synthetic_sets import jobs_of, write

INTERPRETED = Setting(compile=False)
NOTHING_KEPT = Arbiter(Lending(), Foresight(risk=1))
QUICK = Window(window_s=10)


def test_static_requests_are_packed_as_without_an_arbiter() -> None:
    jobs = jobs_of([[8.0] * 100, [2.0] * 60, [1.0] * 50, [8.0] * 70])
    there = on_host("static", Static(), jobs, 16, INTERPRETED)
    here = arbitrated("static", Static(), jobs, 16, NOTHING_KEPT, INTERPRETED)
    assert here.ended_s == there.ended_s
    assert here.slowdown_owners_pct == here.events_per_job_hour == 0


def test_a_queued_job_starts_on_freed_cores() -> None:
    jobs = jobs_of([[2.0] * 200, [1.0] * 50], cap=8)
    static, lent = gains(
        [
            on_host("static", Static(), jobs, 12, INTERPRETED),
            arbitrated("window", QUICK, jobs, 12, NOTHING_KEPT, INTERPRETED),
        ]
    )
    assert static.ended_s == (200, 250)
    assert lent.ended_s[1] < 70, "the first job holds 3 of 12 from its 11th second on"


def test_an_owner_that_returns_is_short_for_seconds_and_the_borrower_until_it_may() -> None:
    back = [1.0] * 50 + [8.0] * 100
    jobs = jobs_of([back, [8.0] * 100], cap=8)
    (owner, borrower) = arbitrated("window", QUICK, jobs, 12, NOTHING_KEPT, INTERPRETED).ended_s
    assert owner - 150 < 6
    assert 155 < borrower < 170, "8 cores for 38 s, then 4 until the owner has ended: half as fast"


def test_no_job_is_much_later_than_under_static_packing() -> None:
    dice = np.random.default_rng(3)
    courses = [np.repeat(dice.uniform(0, 8, 6), 40) for _ in range(24)]
    jobs = jobs_of(courses, cap=8)
    rows = gains(
        [
            on_host("static", Static(), jobs, 20, INTERPRETED),
            arbitrated("window", QUICK, jobs, 20, NOTHING_KEPT, INTERPRETED),
        ]
    )
    assert rows[1].gain_pct > 20
    assert rows[1].latest_pct < 5
    assert rows[1].slowdown_owners_pct < rows[1].slowdown_total_pct


def test_shares_by_weight_alone_make_owners_pay() -> None:
    back = [1.0] * 50 + [8.0] * 200
    jobs = jobs_of([back, [8.0] * 200], cap=8)
    fair = Arbiter(Lending(lent_part=1.0), Foresight(risk=1))
    owners_first = arbitrated("window", QUICK, jobs, 8 + 4, NOTHING_KEPT, INTERPRETED)
    shared = arbitrated("window", QUICK, jobs, 8 + 4, fair, INTERPRETED)
    assert shared.ended_s[0] > owners_first.ended_s[0] + 20


def test_a_forecast_keeps_what_jobs_have_taken_back_before() -> None:
    restless = ([1.0] * 60 + [8.0] * 10) * 12
    jobs = jobs_of([restless, restless, [8.0] * 300, [8.0] * 300], cap=8)
    bold = arbitrated("window", QUICK, jobs, 20, NOTHING_KEPT, INTERPRETED)
    careful = Arbiter(Lending(), Foresight(horizon_s=70, risk=0.02))
    calm = arbitrated("window", QUICK, jobs, 20, careful, INTERPRETED)
    assert calm.slowdown_total_pct < bold.slowdown_total_pct / 2


def test_vcpus_beyond_the_cores_hurt_nobody_while_others_idle_within_grants() -> None:
    courses = [[4.0] * 300, [4.0] * 300, [4.0] * 200]
    jobs = jobs_of(courses, cap=8)
    beyond = Arbiter(Lending(overcommit=1.5), Foresight(risk=1, idle_s=30))
    within = arbitrated("static", Static(), jobs, 16, NOTHING_KEPT, INTERPRETED)
    lent = arbitrated("static", Static(), jobs, 16, beyond, INTERPRETED)
    assert within.ended_s == (300, 300, 500)
    assert lent.ended_s == (300, 300, 229), "8 cores were idle for 30 s: the third starts"
    assert lent.slowdown_short_pct == 0


def test_the_bound_is_a_host_on_which_no_core_idles() -> None:
    jobs = jobs_of([[4.0] * 100, [4.0] * 100, [8.0] * 50, [8.0] * 50], cap=8)
    best = bound(jobs, 8, INTERPRETED)
    assert best.ended_s == (100, 100, 150, 200)


@pytest.mark.parametrize("arbiter", [Arbiter(), Arbiter(Lending(1.5, 3.0, 0.25, 0.25))])
def test_compiled_and_interpreted_agree_to_the_last_bit(arbiter: Arbiter) -> None:
    dice = np.random.default_rng(5)
    jobs = jobs_of([np.repeat(dice.uniform(0, 8, 12), 25) for _ in range(12)])
    jobs = replace(jobs, app=("a", "b", "c") * 4)
    slow = arbitrated("hotslot", Thrift(), jobs, 16, arbiter, INTERPRETED)
    fast = arbitrated("hotslot", Thrift(), jobs, 16, arbiter, Setting(compile=True))
    assert slow == fast


def test_the_command_compares_hosts_with_and_without_an_arbiter(tmp_path: Path) -> None:
    write(tmp_path / "set", jobs_of([[2.0] * 200, [1.0] * 80, [4.0] * 90], cap=8))
    arguments = ["replay", str(tmp_path / "set"), "--policy", "window", "--host-cores", "12"]
    arguments += ["--arbiter", "on", "--arbiter", "overcommit=1.5:risk=1"]
    shown = CliRunner().invoke(cli, arguments)
    assert shown.exit_code == 0, shown.output
    found = CliRunner().invoke(cli, [*arguments, "--json"])
    rows = {row["policy"]: row for row in json.loads(found.stdout)}
    assert list(rows) == [
        "static",
        "window",
        "static, arbiter on",
        "window, arbiter on",
        "static, arbiter overcommit=1.5:risk=1",
        "window, arbiter overcommit=1.5:risk=1",
        "oracle: no core idles",
    ]
    assert "ended_s" not in rows["static"]
    assert rows["window, arbiter overcommit=1.5:risk=1"]["wait_mean_h"] < 0.05


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--arbiter", "on"], "give --host-cores, too"),
        (["--host-cores", "8", "--arbiter", "overcomit=2"], "knows no overcomit"),
        (["--host-cores", "8", "--arbiter", "overcommit=0"], "overcommit is 0"),
        (["--host-cores", "8", "--arbiter", "risk=1:risk=0"], "has risk twice"),
        (["--host-cores", "8", "--arbiter", "fast"], "no key=value"),
    ],
)
def test_an_arbiter_that_makes_no_sense_is_refused(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    write(tmp_path / "set", jobs_of([[2.0] * 70]))
    found = CliRunner().invoke(cli, ["replay", str(tmp_path / "set"), *arguments])
    assert found.exit_code != 0
    assert words in found.output + str(found.exception)


def test_every_policy_runs_with_an_arbiter() -> None:
    jobs = jobs_of([[2.0] * 90, [8.0] * 60, [1.0] * 80])
    for name in ("static", "threshold", "vpa", "autopilot", "holt", "harvest"):
        row = arbitrated(name, build(name, {}), jobs, 12, Arbiter(), INTERPRETED)  # type: ignore[arg-type]
        assert row.jobs == 3
