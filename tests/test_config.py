"""The configuration is checked whole, and the shipped file says what the code does."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hotslot.act.virtualbox import DriverSettings
from hotslot.config import Config, Plugged, load, parse
from hotslot.decide.policies import build
from hotslot.errors import ConfigError
from hotslot.settings import plain

SHIPPED = Path(__file__).parents[1] / "config" / "hotslot.yaml"
LEAST = """
workers: [{name: w1, ceiling: 4}]
driver: {name: qemu, qmp_socket: /run/q/{vm}}
scheduler: {name: slurm}
""".replace("/run/q/{vm}", "'/run/q/{vm}'")


def problems_of(text: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return {problem.where: problem.what for problem in caught.value.problems}


def test_the_shipped_file_equals_the_defaults() -> None:
    shipped, least = load(SHIPPED), parse(LEAST)
    for section in ("host", "limits", "agent", "record", "audit"):
        assert getattr(shipped, section) == getattr(least, section), section
    assert shipped.policy.name == least.policy.name


def test_the_shipped_file_names_every_key() -> None:
    shipped = load(SHIPPED)
    tree = yaml.safe_load(SHIPPED.read_text())
    for key in fields(Config):
        section = getattr(shipped, key.name)
        if is_dataclass(section) and not isinstance(section, Plugged):
            assert tree[key.name].keys() == {one.name for one in fields(section)}, key.name


def test_the_shipped_driver_has_every_key_with_its_default() -> None:
    shipped = load(SHIPPED).driver
    assert (shipped.name, shipped.settings) == ("virtualbox", plain(DriverSettings()))


def test_every_problem_is_reported_at_once_with_its_path() -> None:
    found = problems_of(
        "workers: [{name: w1, ceilng: 4}, {name: 'a b', ceiling: 4}]\n"
        "driver: {nam: qemu}\nagent: {interval_s: soon, listen: nowhere}\nlimitz: {}\n"
    )
    assert "did you mean 'ceiling'?" in found["workers[0].ceilng"]
    assert "required" in found["workers[0].ceiling"]
    assert "did you mean 'limits'?" in found["limitz"]
    assert {"workers[1].name", "driver.name", "scheduler", "agent.interval_s"} <= found.keys()
    assert "with a port" in found["agent.listen"]


HOSTILE = [
    "w1\n",
    "a b",
    "../w1",
    "--help",
    ".",
    "$(id)",
    "w\0",
    "w" * 64,
    "'",
    "<b>",
    "\u1e811",
    "",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("key", ["name", "vm", "scheduler"])
def test_a_hostile_name_of_a_vm_or_worker_is_refused(key: str, name: str) -> None:
    worker = json.dumps({"name": "w1", "ceiling": 4, key: name})
    found = problems_of(LEAST.replace("{name: w1, ceiling: 4}", worker))
    assert found.keys() == {f"workers[0].{key}"}
    assert all(what.isprintable() for what in found.values())


TWO = LEAST.replace("{name: slurm}", "[{name: slurm}, {name: htcondor}]")


def test_workers_of_two_schedulers_say_whose_they_are() -> None:
    workers = (
        "[{name: w1, ceiling: 4, scheduler: slurm}, {name: c1, ceiling: 4, scheduler: htcondor}]"
    )
    config = parse(TWO.replace("[{name: w1, ceiling: 4}]", workers))
    assert (config.workers_of("slurm"), config.workers_of("htcondor")) == (["w1"], ["c1"])
    assert parse(LEAST).workers_of("slurm") == ["w1"]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (TWO, "configuration", "w1 does not say whose jobs it runs"),
        (TWO.replace("4}", "4, scheduler: pbs}"), "configuration", "has the scheduler pbs; known"),
        (TWO.replace("htcondor", "slurm"), "configuration", "slurm twice"),
        (LEAST.replace("{name: slurm}", "{nam: slurm}"), "scheduler.name", "required"),
        (LEAST + "limits: {cooldown_s: .nan}", "limits.cooldown_s", "finite number (is nan)"),
        (LEAST + f"limits: {{max_step_down: 0x{'f' * 5000}}}", "limits.max_step_down", "too long"),
        (LEAST + "limits: {1: 2}", "limits.1", "keys should be valid strings"),
        (LEAST + "limits: 5", "limits", "a mapping of keys to settings (is 5)"),
        (TWO.replace("{name: htcondor}", "{nam: x}"), "scheduler[1].name", "required"),
        (LEAST.replace("{name: slurm}", "[]"), "scheduler", "at least 1"),
        ("", "yaml", "not a mapping"),
        ("- 1", "yaml", "not a mapping"),
        ("a: [", "yaml", "line 1"),
        ("agent: {}\nagent: {}", "yaml", "given twice"),
        ("x: &a [*a]", "x", "unknown key"),
        (LEAST.replace("4", "0"), "workers[0].ceiling", "greater than or equal to 1"),
        (LEAST.replace("4", "true"), "workers[0].ceiling", "valid integer"),
        (LEAST.replace("ceiling: 4", "ceiling: 4, floor: 5"), "workers[0]", "above ceiling"),
        (LEAST.replace("[{", "[{name: w1, vm: v, ceiling: 4}, {"), "configuration", "share the"),
        (LEAST.replace("[{name: w1, ceiling: 4}]", "[]"), "configuration", "at least one"),
    ],
)
def test_a_wrong_setting_is_named(text: str, where: str, what: str) -> None:
    found = problems_of(text)
    assert where in found
    assert what in found[where] or where == "yaml"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "binary.yaml")


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_a_clear_error(text: str) -> None:
    try:
        parse(text)
    except ConfigError as error:
        assert error.problems


def test_the_shipped_policy_has_every_parameter_with_its_default() -> None:
    shipped = load(SHIPPED).policy
    policy = build(shipped.name, shipped.settings)
    assert policy == build(shipped.name, {})
    assert set(shipped.settings) == {field.name for field in fields(policy)}  # type: ignore[arg-type]
