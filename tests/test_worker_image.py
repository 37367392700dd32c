"""The scripts that build a worker's image: what they put where, and the worker's name at boot."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
SCRIPTS = HERE / "packaging" / "worker-image"
SHELL = sorted([*SCRIPTS.glob("*.sh"), SCRIPTS / "guest" / "hotslot-node"])
INSTALLED = {
    "usr/lib/hotslot/hook.py": HERE / "plugin/hotslot_plugin/hook.py",
    "usr/lib/hotslot/slurm-prolog": HERE / "prolog/slurm-prolog",
    "usr/lib/hotslot/slurm-epilog": HERE / "epilog/slurm-epilog",
    "usr/lib/hotslot/hotslot-node": SCRIPTS / "guest/hotslot-node",
    "etc/udev/rules.d/40-hotslot-cpu.rules": HERE / "packaging/worker/40-hotslot-cpu.rules",
    "etc/hotslot/hook.conf": HERE / "config/slurm/hook.conf",
    "etc/systemd/system/hotslot-node.service": SCRIPTS / "guest/hotslot-node.service",
    "etc/systemd/system/slurmd.service.d/hotslot.conf": SCRIPTS / "guest/slurmd-after-name.conf",
    "etc/systemd/system/condor.service.d/hotslot.conf": SCRIPTS / "guest/condor-after-name.conf",
}
AT_BOOT = "etc/systemd/system/sysinit.target.wants/hotslot-node.service"
OUR_SERVICE = "etc/systemd/system/multi-user.target.wants/hotslot-vboxservice.service"


def sh(script: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]} | env,
    )


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_the_scripts_pass_shellcheck(script: Path) -> None:
    shellcheck = shutil.which("shellcheck") or shutil.which("shellcheck", path=f"{sys.prefix}/bin")
    assert shellcheck is not None, "make dev installs it"
    done = subprocess.run([shellcheck, str(script)], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_the_guest_has_hooks_rule_and_units(tmp_path: Path) -> None:
    done = sh(SCRIPTS / "install-guest.sh", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    for name, source in INSTALLED.items():
        assert (tmp_path / name).read_bytes() == source.read_bytes(), name
    for name in ("slurm-prolog", "slurm-epilog", "hotslot-node"):
        assert (tmp_path / "usr/lib/hotslot" / name).stat().st_mode & stat.S_IXOTH
    for name in (AT_BOOT, OUR_SERVICE):
        unit = (tmp_path / name).readlink()
        assert (tmp_path / unit.relative_to("/")).exists()
    assert (tmp_path / "etc/machine-id").read_text() == ""


def test_again_changes_nothing_and_keeps_the_sites_hook_conf(tmp_path: Path) -> None:
    sh(SCRIPTS / "install-guest.sh", str(tmp_path), "192.168.57.1:9000")
    conf = tmp_path / "etc/hotslot/hook.conf"
    assert "\nagent=192.168.57.1:9000\n" in conf.read_text()
    conf.write_text(conf.read_text() + "node=w7\n")
    sh(SCRIPTS / "install-guest.sh", str(tmp_path))
    assert conf.read_text().endswith("node=w7\n")


@pytest.mark.parametrize("agent", ["a/b:1", "a;reboot", "a&b", "$(id)", "a\nb"])
def test_an_odd_address_is_refused(tmp_path: Path, agent: str) -> None:
    assert sh(SCRIPTS / "install-guest.sh", str(tmp_path), agent).returncode == 2


def test_a_distributions_own_vboxservice_is_kept(tmp_path: Path) -> None:
    unit = tmp_path / "usr/lib/systemd/system/virtualbox-guest-utils.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    sh(SCRIPTS / "install-guest.sh", str(tmp_path))
    assert not (tmp_path / OUR_SERVICE).is_symlink()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--suite", "sid", "--additions", "/dev/null", "o.vdi"], "trixie and bookworm are known"),
        (["--with", "pbs", "o.vdi"], "slurm and condor are known"),
        (["--suite", "bookworm", "--with", "condor", "o.vdi"], "Debian 12 has no HTCondor"),
        (["--additions", "/none", "o.vdi"], "no Guest Additions"),
        (["--additions", "/dev/null", "o.img"], "a name ending in .vdi or .raw"),
        (["--additions", "/dev/null", "--slurm-conf-server", "a b", "o.vdi"], "HOST[:PORT]"),
        (["--additions", "/dev/null"], "Usage: debian.sh"),
        (["--sweet", "trixie"], "unknown option --sweet"),
    ],
)
def test_misuse_of_the_debian_script_is_exit_2(arguments: list[str], words: str) -> None:
    done = sh(SCRIPTS / "debian.sh", *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_el9_refuses_words_that_would_be_commands(tmp_path: Path) -> None:
    done = sh(SCRIPTS / "el9.sh", "--install", "a;reboot", "in.qcow2", "out.vdi")
    assert (done.returncode, "odd characters" in done.stderr) == (2, True)


class Guest:
    """A worker at its first boot, with a VBoxControl that says what it is told to."""

    def __init__(self, path: Path) -> None:
        self.etc = path / "etc"
        self.etc.mkdir()
        (self.etc / "hostname").write_text("worker\n")
        (self.etc / "hosts").write_text("127.0.0.1 localhost\n127.0.1.1 worker\n10.0.0.1 ctl\n")
        self.kernel = path / "kernel"
        self.control = path / "bin" / "VBoxControl"
        self.control.parent.mkdir()

    def boot(self, says: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        self.control.write_text(f"#!/bin/sh\nprintf '%s\\n' '{says}'\nexit {code}\n")
        self.control.chmod(0o755)
        path = f"{self.control.parent}:{os.environ['PATH']}"
        script = SCRIPTS / "guest" / "hotslot-node"
        env = {"HOTSLOT_ETC": str(self.etc), "HOTSLOT_KERNEL_NAME": str(self.kernel)}
        return sh(script, **env, PATH=path)

    @property
    def hostname(self) -> str:
        return (self.etc / "hostname").read_text()


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)


def test_a_clone_takes_the_name_that_its_host_has_for_it(guest: Guest) -> None:
    for _ in range(2):
        assert guest.boot("Value: h1-w03").returncode == 0
        assert guest.hostname == guest.kernel.read_text() == "h1-w03\n"
        hosts = "127.0.0.1 localhost\n10.0.0.1 ctl\n127.0.1.1 h1-w03\n"
        assert (guest.etc / "hosts").read_text() == hosts


def test_without_a_property_the_name_stays(guest: Guest) -> None:
    assert guest.boot("No value set!").returncode == 0
    assert guest.hostname == "worker\n"
    assert not guest.kernel.exists()


@pytest.mark.parametrize(
    "name", ["", "-w", ".w", "a b", "a/b", "a..b", "é", "w" * 64, "w\nx", "$(id)"]
)
def test_a_name_that_cannot_be_one_is_refused(guest: Guest, name: str) -> None:
    assert guest.boot(f"Value: {name}").returncode == 1
    assert guest.hostname == "worker\n"


def test_no_word_from_the_host_is_a_failure_that_systemd_sees(guest: Guest) -> None:
    assert guest.boot("", code=1).returncode != 0
    assert guest.hostname == "worker\n"
