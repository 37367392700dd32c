"""What the packages are made of: scripts, locks, the configuration as installed, man pages."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import click
import pytest

from hotslot.cli import cli
from hotslot.config import parse
from hotslot.errors import ConfigError

TREE = Path(__file__).parents[2]
PACKAGING = TREE / "packaging"
SCRIPTS = sorted(
    [
        *PACKAGING.glob("*.sh"),
        *PACKAGING.glob("debian/*.p*"),
        PACKAGING / "debian/hotslot.rtupdate",
        TREE / "tests/packaging/clean-root.sh",
    ]
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_scripts_pass_shellcheck(script: Path) -> None:
    shellcheck = shutil.which("shellcheck") or shutil.which("shellcheck", path=f"{sys.prefix}/bin")
    assert shellcheck is not None, "make dev installs it"
    call = [shellcheck, "-s", "sh", str(script)]
    assert subprocess.run(call, capture_output=True, text=True, check=False).stdout == ""


def pinned(lock: str) -> set[str]:
    names = re.findall(r"^([a-z0-9._-]+)==", (PACKAGING / lock).read_text(), re.MULTILINE)
    return {name.replace(".", "-").replace("_", "-") for name in names}


def test_every_dependency_is_pinned_for_the_packages() -> None:
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    wanted = {
        re.split(r"[^A-Za-z0-9._-]", one)[0].replace(".", "-") for one in project["dependencies"]
    }
    host, replay = pinned("requirements.lock"), pinned("requirements-replay.lock")
    assert wanted - host - replay == set(), "run make lock"
    assert {"numpy", "numba", "pyarrow"} <= replay - host


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-replay.lock", "build.lock"])
def test_a_lock_has_hashes_and_names_no_index(lock: str) -> None:
    text = (PACKAGING / lock).read_text()
    assert text.count("--hash=sha256:") > text.count("==")
    assert not re.search(r"https?://|file:|--(extra-)?index|find-links|trusted", text)


def test_what_is_installed_names_no_worker_and_is_else_as_shipped() -> None:
    shipped = TREE / "config/hotslot.yaml"
    awk = ["awk", "-f", str(PACKAGING / "unconfigured.awk"), str(shipped)]
    installed = subprocess.run(awk, capture_output=True, text=True, check=True).stdout
    with pytest.raises(ConfigError, match="workers is empty; name at least one worker VM"):
        parse(installed)
    named = installed.replace("workers: []\n", "").replace("# workers:", "workers:")
    again = re.sub(r"(?m)^#(?=  )", "", named)
    assert parse(again) == parse(shipped.read_text())


@pytest.fixture(scope="module")
def manpages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("manpages", PACKAGING / "man/manpages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names_of(path: str, command: click.Command) -> set[str]:
    below = command.commands if isinstance(command, click.Group) else {}
    deeper = (names_of(f"{path}-{name}", one) for name, one in below.items() if not one.hidden)
    return {f"{path}.1"}.union(*deeper)


def test_every_command_and_file_has_a_page(manpages: ModuleType) -> None:
    others = {"hotslotd.8", "hotslot.yaml.5", "hook.conf.5"}
    assert dict(manpages.pages()).keys() == names_of("hotslot", cli) | others


def test_pages_show_every_option_and_the_examples(manpages: ModuleType) -> None:
    text = dict(manpages.pages())["hotslot-jobs.1"]
    for shown in (r"\-\-since", r"\-\-json", r"hotslot jobs \-\-since 30d", ".SH EXAMPLES"):
        assert shown in text


def test_what_looks_like_a_request_is_escaped(manpages: ModuleType) -> None:
    assert manpages.roff(".PP\n'so\na-b\\n") == "\\&.PP\n\\&'so\na\\-b\\en"


def test_units_restrict_the_agent_and_never_remove_its_sockets() -> None:
    unit = (PACKAGING / "systemd/hotslotd.service").read_text().splitlines()
    for line in ("User=hotslot", "Type=notify", "CapabilityBoundingSet=", "NoNewPrivileges=yes",
                 "ProtectSystem=strict"):  # fmt: skip
        assert line in unit
    assert not any(line.startswith("RuntimeDirectory") for line in unit)


def test_old_rows_go_by_a_timer_that_is_off_until_somebody_turns_it_on() -> None:
    timer = (PACKAGING / "systemd/hotslot-prune.timer").read_text().splitlines()
    service = (PACKAGING / "systemd/hotslot-prune.service").read_text().splitlines()
    for line in ("Persistent=true", "WantedBy=timers.target"):
        assert line in timer
    for line in ("Type=oneshot", "User=hotslot", "CapabilityBoundingSet=", "NoNewPrivileges=yes",
                 "ProtectSystem=strict", "PrivateNetwork=yes"):  # fmt: skip
        assert line in service
    assert "[Install]" not in service, "the timer alone starts it"
    for script in PACKAGING.glob("debian/hotslot.p*"):
        assert "enable" not in script.read_text().replace("systemctl enable --now hotslotd", "")


def test_what_the_timer_calls_is_a_command_that_there_is() -> None:
    service = (PACKAGING / "systemd/hotslot-prune.service").read_text()
    (called,) = re.findall(r"^ExecStart=/usr/bin/hotslot (.*)$", service, re.MULTILINE)
    words = called.split()
    prune = cli.commands[words[2]]
    with prune.make_context("prune", words[3:], resilient_parsing=False) as context:
        assert context.params["keep"] == 400 * 86_400
        assert context.params["samples"] == 30 * 86_400


@pytest.mark.parametrize("unit", ["hotslot-prune.service", "hotslot-prune.timer"])
def test_both_packages_have_each_unit(unit: str) -> None:
    assert unit in (PACKAGING / "build.sh").read_text()
    assert f"/usr/lib/systemd/system/{unit}" in (PACKAGING / "rpm/hotslot.spec").read_text()
