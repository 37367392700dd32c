"""Fair shares are asked for once a minute, and a scheduler without them is as good as any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import placement
from fakes.condor_pool import JOB, SLOT, FakePool, whole
from hotslot.errors import SchedulerUnavailable
from hotslot.model import JobPhase, Placement
from hotslot_plugin import condor_shares, fair_shares, slurm_shares
from hotslot_plugin.condor import HTCondor
from hotslot_plugin.condor_pool import Pool
from hotslot_plugin.slurm_command import Command


class Clock:
    """A clock that stands until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


# --- Slurm --------------------------------------------------------------------------------------

ALICE = replace(placement(), account="physics", partition="host1")
SAID = "  physics|alice||0.250000\n  physics|alice|long|0.750000\n physics|bob||1.000000\n"


def shares(
    tmp_path: Path, script: str, clock: Clock, timeout_s: float = 20.0
) -> slurm_shares.Shares:
    """Return shares whose sshare is a shell script, which notes what it is asked."""
    path = tmp_path / "sshare"
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{tmp_path}/said\n{script}\n')
    path.chmod(0o755)
    return slurm_shares.Shares(Command((str(path),), timeout_s), clock)


def times(tmp_path: Path) -> int:
    said = tmp_path / "said"
    return len(said.read_text().splitlines()) if said.exists() else 0


def factors(found: list[Placement]) -> list[float | None]:
    return [one.fair_share for one in found]


def test_a_factor_is_of_a_user_in_an_account_and_perhaps_a_partition(tmp_path: Path) -> None:
    asked = shares(tmp_path, f"printf '{SAID}'", Clock())
    jobs = [
        ALICE,
        replace(ALICE, partition="long"),
        replace(ALICE, account="chemistry"),
        replace(ALICE, user="bob"),
        replace(ALICE, phase=JobPhase.ENDED),
    ]
    assert factors(asked.told(jobs, may_ask=True)) == [0.25, 0.75, None, 1.0, None]
    assert (tmp_path / "said").read_text().split() == [
        *("sshare", "--noheader", "--parsable2", "--Users", "--users=alice,bob"),
        "--format=Account,User,Partition,FairShare",
    ]


def test_sshare_is_asked_once_a_minute(tmp_path: Path) -> None:
    clock = Clock()
    asked = shares(tmp_path, f"printf '{SAID}'", clock)
    for _ in range(5):
        assert factors(asked.told([ALICE], may_ask=True)) == [0.25]
        clock.now += fair_shares.EVERY_S / 5
    assert times(tmp_path) == 1
    asked.told([ALICE], may_ask=True)
    assert times(tmp_path) == 2


@pytest.mark.parametrize(
    "script",
    [
        "echo 'sshare: error: You are not running a supported priority plugin' >&2; exit 1",
        "sleep 60",
        "echo nonsense",
        "exit 127",
    ],
)
def test_without_fair_shares_jobs_are_told_and_nobody_asks_on(tmp_path: Path, script: str) -> None:
    clock = Clock()
    asked = shares(tmp_path, script, clock, timeout_s=0.5)
    for _ in range(3):
        assert asked.told([ALICE], may_ask=True) == [ALICE]
    assert times(tmp_path) == 1


def test_what_was_known_is_forgotten_when_it_cannot_be_asked_again(tmp_path: Path) -> None:
    clock = Clock()
    asked = shares(tmp_path, f"[ -e {tmp_path}/gone ] && exit 1\nprintf '{SAID}'", clock)
    assert factors(asked.told([ALICE], may_ask=True)) == [0.25]
    (tmp_path / "gone").touch()
    clock.now += fair_shares.EVERY_S
    assert factors(asked.told([ALICE], may_ask=True)) == [None]


def test_no_job_that_starts_waits_for_a_fair_share(tmp_path: Path) -> None:
    asked = shares(tmp_path, f"printf '{SAID}'", Clock())
    assert factors(asked.told([ALICE], may_ask=False)) == [None]
    assert times(tmp_path) == 0
    assert factors(asked.told([ALICE], may_ask=True)) == [0.25]
    assert factors(asked.told([ALICE], may_ask=False)) == [0.25]
    assert times(tmp_path) == 1


def test_only_users_who_have_a_claim_here_are_asked_for(tmp_path: Path) -> None:
    asked = shares(tmp_path, "exit 0", Clock())
    asked.told(
        [replace(ALICE, phase=JobPhase.PENDING), replace(ALICE, user="a,b --all")], may_ask=True
    )
    assert times(tmp_path) == 0
    users = [replace(ALICE, user=f"u{n}") for n in range(slurm_shares.USERS_MAX + 5)]
    asked.told(users, may_ask=True)
    words = (tmp_path / "said").read_text().split()[4].removeprefix("--users=").split(",")
    assert words == [one.user for one in users[5:]]


LINES = st.lists(
    st.sampled_from(
        ["|", "physics", "alice", " ", "0.5", "1.000001", "nan", "-1", "\n", "inf", "x"]
    )
    | st.text(max_size=3)
).map("".join)


@given(LINES)
def test_any_words_are_factors_or_nothing(text: str) -> None:
    found = slurm_shares.shares_in(text)
    assert all(0 <= factor <= 1 and len(key) == 3 for key, factor in found.items())


# --- HTCondor -----------------------------------------------------------------------------------


def user(name: str, priority: object, used: object = 1) -> dict[str, object]:
    return {"Name": name, "Priority": priority, "ResourcesUsed": used}


def test_a_share_is_beside_the_mean_of_those_who_use_something() -> None:
    ads = [user("alice", 500.0), user("bob", 1500.0), user("carol", 1000.0, 0)]
    assert condor_shares.shares_in(ads) == {
        "alice": pytest.approx(2 / 3),
        "bob": pytest.approx(2 / 5),
        "carol": pytest.approx(1 / 2),
    }
    idle = [user("alice", 500.0, 0), user("bob", 1500.0, None)]
    assert condor_shares.shares_in(idle)["alice"] == pytest.approx(2 / 3)
    assert condor_shares.shares_in([]) == {}


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
ADS = st.lists(st.dictionaries(st.sampled_from([*condor_shares.NAMES]), VALUES), max_size=6)


@given(ADS)
def test_any_accounting_ads_are_shares_or_nothing(ads: list[dict[str, object]]) -> None:
    assert all(0 <= share <= 1 for share in condor_shares.shares_in(ads).values())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pool() -> FakePool:
    pool = FakePool({"c1": [whole("c1"), dict(SLOT)]}, {"s1": [dict(JOB)]})
    pool.accounting = [user("alice@test", 500.0), user("physics.alice@test", 1500.0)]
    return pool


@pytest.fixture
def condor(pool: FakePool, clock: Clock) -> HTCondor:
    return HTCondor(Pool(pool, (), 10.0, clock))


def test_a_jobs_share_is_its_users(condor: HTCondor) -> None:
    assert factors(list(condor.placements(["c1"]))) == [pytest.approx(2 / 3)]


def test_a_job_of_an_accounting_group_has_the_groups_user(condor: HTCondor, pool: FakePool) -> None:
    pool.queues["s1"][0] |= {"AccountingGroup": "physics.alice"}
    assert factors(list(condor.placements(["c1"]))) == [pytest.approx(2 / 5)]


def accounting_asked(pool: FakePool) -> int:
    return sum(question.get("type") == "Accounting" for question in pool.asked)


def test_the_collector_is_asked_once_a_minute(
    condor: HTCondor, pool: FakePool, clock: Clock
) -> None:
    for _ in range(5):
        condor.placements(["c1"])
        clock.now += fair_shares.EVERY_S / 5
    assert accounting_asked(pool) == 1
    condor.placements(["c1"])
    assert accounting_asked(pool) == 2


def test_a_collector_that_does_not_tell_does_no_harm(
    condor: HTCondor, pool: FakePool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(kind: str, *_: object) -> list[dict[str, object]]:
        raise SchedulerUnavailable(f"no {kind}")

    condor.placements(["c1"])
    clock.now += fair_shares.EVERY_S
    asks = Pool.collector
    monkeypatch.setattr(
        Pool,
        "collector",
        lambda self, kind, *rest: silent(kind) if kind == "Accounting" else asks(self, kind, *rest),
    )
    [found] = condor.placements(["c1"])
    assert (found.job_id, found.fair_share) == ("12.0@s1", None)
