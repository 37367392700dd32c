"""HTCondor's bindings may crash, hang and talk nonsense: the agent gets an error, in time."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from hotslot.errors import SchedulerError, SchedulerUnavailable
from hotslot_plugin.child_process import Child
from hotslot_plugin.condor import HTCondor, connect
from hotslot_plugin.condor_pool import CHILD, Pool, bindings, failure
from hotslot_plugin.condor_settings import Settings, parse

FAKE = Path(__file__).resolve().parents[1] / "fakes" / "condor_child.py"


def condor_in(how: str, timeout_s: float = 2.0) -> HTCondor:
    """Return an adapter whose bindings are in a bad way."""
    return HTCondor(Pool(Child([sys.executable, "-S", str(FAKE), how], timeout_s), (), timeout_s))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("crash", "status -11"),
        ("hang", "no answer within"),
        ("babble", "not JSON"),
        ("exit", "status 1: no module named htcondor2"),
        ("flood", "talks nonsense"),
        ("refuse", "HTCondorException: failed to connect to collector"),
        ("odd", "not a list"),
    ],
)
def test_bad_bindings_are_an_unavailable_scheduler(
    how: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotslot_plugin.child_process.ANSWER_BYTES", 1_000_000)
    scheduler = condor_in(how)
    begun = time.monotonic()
    with pytest.raises(SchedulerUnavailable, match=words):
        scheduler.placements(["c1"])
    assert time.monotonic() - begun < 6
    scheduler.close()


def test_what_the_bindings_started_does_not_outlive_them() -> None:
    child = Child(["sh", "-c", "echo {}; read line; sleep 777.25 & read line"], 0.5)
    with pytest.raises(SchedulerUnavailable):
        child.ask({})
    time.sleep(0.1)
    lines = [
        process.read_bytes() for process in Path("/proc").glob("[0-9]*/cmdline") if process.exists()
    ]
    assert not [line for line in lines if b"777.25" in line]


def test_a_question_may_have_less_time_than_the_others() -> None:
    child = Child(["sh", "-c", "echo {}; sleep 60"], 30.0)
    begun = time.monotonic()
    with pytest.raises(SchedulerUnavailable, match=r"within 0\.5 s"):
        child.ask({}, 0.5)
    assert time.monotonic() - begun < 3


def test_a_program_that_does_not_exist_is_an_unavailable_scheduler() -> None:
    with pytest.raises(SchedulerUnavailable, match="cannot be run"):
        connect({"command": ["/nonexistent/sudo"]}).placements(["c1"])


def test_the_real_bindings_answer_that_nobody_is_there(tmp_path: Path) -> None:
    pytest.importorskip("htcondor2")
    config = tmp_path / "condor_config"
    config.write_text(
        "CONDOR_HOST = 127.0.0.1\nCOLLECTOR_HOST = 127.0.0.1:1\nENABLE_IPV6 = False\n"
        f"LOG = {tmp_path}\nNETWORK_HOSTNAME = here.test\nNO_DNS = True\n"
        "DEFAULT_DOMAIN_NAME = test\n"
    )
    scheduler = connect({"config": str(config), "timeout_s": 30.0})
    with pytest.raises(SchedulerUnavailable, match="the collector: HTCondorException"):
        scheduler.placements(["c1"])
    scheduler.close()


def test_the_settings_defaults_are_as_documented() -> None:
    assert parse({}) == Settings(config="", schedds=(), python="", command=(), timeout_s=10.0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"config": "relative"}, "config: "),
        ({"schedds": ['a" || true']}, "schedds.0: "),
        ({"timeout_s": 0}, "timeout_s: "),
        ({"polls": 1}, "polls: unknown key; known: command, config, python, schedds, timeout_s"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        connect(settings)


def test_the_configuration_is_given_past_sudo() -> None:
    """sudo drops CONDOR_CONFIG from the environment."""
    child = bindings(parse({"config": "/etc/x", "command": ["sudo", "-n"], "python": "/py"}))
    assert child._argv == ["sudo", "-n", "/py", str(CHILD), "/etc/x"]


def test_an_interpreter_without_hotslot_will_do() -> None:
    """It needs the bindings and nothing else: what it misses here is those."""
    child = Child([sys.executable, "-I", "-S", str(CHILD)], 30)
    with pytest.raises(SchedulerUnavailable, match="No module named 'htcondor'"):
        child.ask({"ask": "collector", "limit_s": 5})
    child.close()


def test_a_failed_look_up_is_never_an_answer() -> None:
    assert isinstance(failure("x", "jobs", "whatever"), SchedulerUnavailable)
    assert isinstance(failure("x", "edit", "Failed to connect to schedd."), SchedulerUnavailable)
    refused = failure("x", "edit", "may not change attributes")
    assert isinstance(refused, SchedulerError)
    assert not isinstance(refused, SchedulerUnavailable)
