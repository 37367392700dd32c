"""What was found by hostile inputs, kept: each of these once crashed, hung or filled a log."""

from __future__ import annotations

import hashlib
import json
import logging
import sys

import pytest
from qemu.qmp import Message

from fuzz import agent_targets
from fuzz.scheduler_targets import SUMMARY
from hotslot.accounting import AccountingError, clock_s, from_condor, from_slurm
from hotslot.act.qemu_eject import _refusal
from hotslot.audit.chain import NotALine, read
from hotslot.config import parse
from hotslot.doors import SAY_S
from hotslot.errors import ConfigError
from hotslot.talk import Faults
from hotslot_plugin import condor_ad, condor_runs
from hotslot_plugin.slurm_comment import ForeignComment, merged

HUGE = 10**400
"""JSON may say it, and no float can be it."""


@pytest.mark.parametrize(
    "value",
    [
        "!!bool maybe",
        "!!int name",
        "!!timestamp name",
        "2024-13-45",
        "!!set name",
        "!!float x",
        "0b",
    ],
)
def test_a_setting_that_yaml_cannot_make_is_a_problem(value: str) -> None:
    with pytest.raises(ConfigError):
        parse(f"host: {{name: {value}}}\n")


def test_a_number_that_no_float_can_be_is_none_in_an_ad() -> None:
    assert condor_ad.number({"QDate": HUGE}, "QDate") is None
    assert condor_ad.whole({"ClusterId": HUGE}, "ClusterId") is None
    assert condor_ad.number({"QDate": float("nan")}, "QDate") is None


def test_a_figure_that_no_float_can_be_is_written_anew() -> None:
    runs = [condor_runs.run_of(SUMMARY)]
    for odd in (HUGE, float("nan"), float("inf")):
        assert "HotslotEvents" in condor_runs.wrong({"HotslotEvents": odd}, runs)


def test_accounting_with_huge_numbers_has_none() -> None:
    job = {"RequestCpus": 4, "RemoteWallClockTime": HUGE, "RemoteUserCpu": 1e308}
    assert from_condor(json.dumps([job])) == []
    tres = {"allocated": [{"type": "cpu", "count": HUGE}]}
    said = {"jobs": [{"time": {"elapsed": 100}, "tres": tres}]}
    assert from_slurm(json.dumps(said)) == []


def test_accounting_with_numbers_in_numbers_has_none() -> None:
    deep: object = 5
    for _ in range(sys.getrecursionlimit() // 2):
        deep = {"number": deep}
    assert from_condor(json.dumps([{"RequestCpus": 4, "RemoteWallClockTime": deep}])) == []


def test_lines_of_accounting_with_a_huge_field_are_refused() -> None:
    with pytest.raises(AccountingError, match="field larger"):
        from_slurm("x" * 1_000_000)


@pytest.mark.parametrize("text", ["9" * 400 + "-00:00:00", "00:" + "9" * 400, "٣:٣"])
def test_a_clock_of_too_many_or_odd_digits_is_none(text: str) -> None:
    assert clock_s(text) == 0


def test_a_refusal_whose_status_is_no_status_is_none() -> None:
    info = {"source": 3, "slot": "1", "slot-type": "CPU"}
    for status, refused in ((0x81, {1: "the guest refused to eject vCPU 1: in use"}), (HUGE, {})):
        data = {"info": {**info, "status": status}}
        said = Message({"event": "ACPI_DEVICE_OST", "data": data})
        assert _refusal(said, {1: "/x"}) == refused


def test_a_comment_that_is_nested_too_deeply_is_somebody_elses() -> None:
    with pytest.raises(ForeignComment):
        merged("[" * 100_000, SUMMARY)


@pytest.mark.parametrize("at", ["1e400", "-1", "1e12", "NaN", "9" * 400])
def test_a_line_of_a_time_without_a_date_is_no_line(at: str) -> None:
    assert read(line("1795000000.5")).at == 1795000000.5
    with pytest.raises(NotALine):
        read(line(at))


def line(at: str) -> bytes:
    """Return a line of the audit log, whose hash is right."""
    rest = f'"kind":"file","who":"x","what":{{}},"why":"","prev":"{"0" * 64}"'
    body = f'{{"seq":1,"at":{at},{rest}}}'
    return f'{body[:-1]},"hash":"{hashlib.sha256(body.encode()).hexdigest()}"}}'.encode()


def test_an_odd_expect_is_no_fault_of_ours() -> None:
    asked = agent_targets.HTTP.replace(b"Connection: close", b"Expect: \xff")
    words, answered = agent_targets._loop().run_until_complete(agent_targets._exchanged(asked))
    assert words == [("start", "4711", "w1", "")]
    assert answered.startswith(b"HTTP/1.1 200 ")


def test_faults_are_told_once_a_minute() -> None:
    clock = [0.0]
    faults = Faults(lambda: clock[0])
    assert faults.filter(record(RuntimeError("ours")))
    assert not faults.filter(record(RuntimeError("ours again")))
    clock[0] = SAY_S
    assert faults.filter(record(RuntimeError("ours, a minute later")))


def record(error: Exception) -> logging.LogRecord:
    told = (type(error), error, None)
    return logging.LogRecord("hotslot.http", logging.ERROR, __file__, 1, "odd", (), told)
