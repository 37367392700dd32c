"""Settings that would hurt are found, with what to type."""

from __future__ import annotations

import json

import pytest

from hotslot.model import Level
from hotslot_plugin.slurm_check import Seen, findings, parse_config, series, versions
from plugin.replay import SCENES

CONFIG = parse_config(
    json.loads((SCENES / "running" / "scontrol-show-config.json").read_text())["stdout"]
)


def wrong(workers: tuple[str, ...] = (), **changed: str) -> list[tuple[str, Level, str]]:
    """Return what is found in the testbed's slurm.conf with these settings changed."""
    seen = Seen({**CONFIG, **changed}, {"w1": "vm:1,gpu:2"}, "slurm", "SlurmUser")
    found = findings(seen, workers, 60.0)
    return [(f.subject, f.level, f.remedy) for f in found if f.level is not Level.OK]


def test_a_config_is_read_with_indexed_keys_and_nulls() -> None:
    config = parse_config(
        "Prolog[0] = /a\nProlog[1]               = /b c\nEpilog = (null)\n\nnoise\n"
    )
    assert config == {"Prolog": "/a,/b c", "Epilog": ""}


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("PrologFlags", "", "set PrologFlags=Alloc in slurm.conf"),
        ("PrologFlags", "Contain", "set PrologFlags=Contain,Alloc in slurm.conf"),
        ("Prolog", "", "set Prolog=/usr/lib/hotslot/slurm-prolog"),
        ("Epilog", "", "set Epilog=/usr/lib/hotslot/slurm-epilog"),
        ("SlurmdParameters", "", "set SlurmdParameters=config_overrides"),
        ("TaskPlugin", "task/cgroup,task/affinity", "set TaskPlugin=task/none"),
        ("SchedulerParameters", "bf_interval=5", "set SchedulerParameters=bf_interval=5,nohold"),
        ("JobSubmitPlugins", "all_partitions", "set JobSubmitPlugins=all_partitions,lua"),
        ("GresTypes", "gpu", "set GresTypes=gpu,vm"),
        ("SelectType", "select/linear", "set SelectType=select/cons_tres"),
        ("ReturnToService", "0", "set ReturnToService=2"),
        ("PrologEpilogTimeout", "65534", "set PrologEpilogTimeout=90"),
        ("PrologEpilogTimeout", "70", "set PrologEpilogTimeout=90"),
        ("AccountingStorageType", "", "set AccountingStorageType=accounting_storage/slurmdbd"),
    ],
)
def test_a_setting_that_would_hurt_is_found(key: str, value: str, remedy: str) -> None:
    [(subject, _, said)] = wrong(**{key: value})
    assert subject == f"slurm.conf {key}"
    assert said.startswith(remedy)
    assert "\n" not in said


def test_a_prolog_timeout_of_its_own_counts() -> None:
    assert wrong(PrologTimeout="100", PrologEpilogTimeout="65534") == []


def test_a_worker_that_slurm_does_not_know_is_found() -> None:
    assert wrong(("w1", "w7")) == [
        (
            "Slurm node w7",
            Level.WRONG,
            "add NodeName=w7 … Gres=vm:1 to slurm.conf, or correct workers[].name",
        )
    ]


@pytest.mark.parametrize("gres", ["", "gpu:1", "vm:2", "vmx:1", "vm:10"])
def test_a_worker_that_two_jobs_could_share_is_found(gres: str) -> None:
    found = findings(Seen(CONFIG, {"w1": gres}, "root", "root"), ["w1"], 60.0)
    assert [f.subject for f in found if f.level is Level.WRONG] == ["Slurm node w1"]


@pytest.mark.parametrize("gres", ["vm:1", "gpu:2,vm:1", "vm:1(S:0)", "vm:no_consume:1"])
def test_one_vm_a_node_is_seen_in_slurms_ways_to_write_it(gres: str) -> None:
    found = findings(Seen(CONFIG, {"w1": gres}, "root", "root"), ["w1"], 60.0)
    assert all(f.level is Level.OK for f in found)


def test_a_user_who_may_not_resume_nodes_is_found() -> None:
    found = findings(Seen(CONFIG, {}, "hotslot", ""), [], 60.0)
    [permission] = [f for f in found if f.level is Level.WRONG]
    assert permission.remedy == "sacctmgr -i modify user hotslot set adminlevel=operator"


@pytest.mark.parametrize(
    ("controller", "pyslurm", "source", "level"),
    [
        ("24.11.5", "", "scontrol", Level.OK),
        ("25.11.2", "25.11.2", "pyslurm", Level.OK),
        ("24.11.5", "25.11.2", "pyslurm", Level.WRONG),
        ("24.11.5", "25.11.2", "scontrol", Level.OK),
        ("22.05.8", "", "scontrol", Level.WRONG),
    ],
)
def test_the_way_of_asking_must_fit_the_slurm(
    controller: str, pyslurm: str, source: str, level: Level
) -> None:
    assert versions(controller, controller, pyslurm, source).level is level


def test_a_series_is_the_first_two_numbers() -> None:
    assert [series(v) for v in ("24.11.5", " slurm", "25.05.0-0rc1", "")] == [
        (24, 11),
        (0, 0),
        (25, 5),
        (0, 0),
    ]
