"""The .deb under a running systemd: its units, its user, what they are kept from, its removal."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from live.booted_root import BootedRoot
from live.cluster import eventually
from live.package_root import SUITES, TREE, build, with_higher_version

pytestmark = pytest.mark.timeout(1800)
"""A busy machine builds the packages for minutes, and one test waits for another's."""

SETTINGS = """\
workers: [{name: w1, ceiling: 4}]
driver: {name: qemu, qmp_socket: "/run/hotslot/qmp/{vm}.sock"}
scheduler: {name: slurm, source: scontrol}
"""
"""An agent without a scheduler that answers and without a worker that runs."""
ASKED_BY = f"{SETTINGS}agent: {{socket_group: operators}}\n"
LATE_ADDRESS = "10.9.8.7"
LISTENING = f"{SETTINGS}agent: {{listen: '{LATE_ADDRESS}:8765'}}\n"
UNIT = "hotslotd.service"
WITHIN_S = 60.0


@dataclass(frozen=True)
class Host:
    """A machine with systemd on which the package is installed."""

    root: BootedRoot
    before: dict[str, str]

    def systemctl(self, *arguments: str, code: int = 0) -> str:
        done = self.root.run("systemctl", *arguments, code=code)
        return (done.stdout + done.stderr).strip()

    def show(self, name: str, unit: str = UNIT) -> str:
        return self.systemctl("show", "--value", "--property", name, unit)

    def journal(self, unit: str = UNIT) -> str:
        return self.root.run("journalctl", "--no-pager", "--output=cat", "--unit", unit).stdout

    def until(self, name: str, value: str, unit: str = UNIT, within_s: float = WITHIN_S) -> None:
        what = f"{unit}: {name} is {value}"
        eventually(
            lambda: self.show(name, unit) == value, within_s, what, lambda: self.journal(unit)
        )

    def configure(self, settings: str) -> None:
        (self.root.path / "etc/hotslot/hotslot.yaml").write_text(settings)

    def started_anew(self, pid: str, within_s: float) -> str:
        """Wait until the agent is another process, and ready; return its process id."""

        def anew() -> bool:
            return self.show("ActiveState") == "active" and self.show("MainPID") not in {"0", pid}

        eventually(anew, within_s, "the agent is started anew", self.journal)
        return self.show("MainPID")

    def owner_and_mode(self, path: str) -> str:
        return self.root.run("stat", "-c", "%U:%G %a", path).stdout.strip()


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dist = build(tmp_path_factory.mktemp("dist"), "deb")
    return max(dist.glob("hotslot_*_amd64.deb"), key=lambda package: package.stat().st_mtime)


@pytest.fixture(scope="module")
def newer_deb(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_higher_version(deb, tmp_path_factory.mktemp("newer"))


@pytest.fixture(scope="module", params=SUITES)
def host(
    request: pytest.FixtureRequest, deb: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """As installed at first; the tests take it from there, one after the other, to its removal."""
    with BootedRoot(request.param, tmp_path_factory.mktemp("systemd")) as root:
        root.run("groupadd", "operators")
        root.run("useradd", "--groups", "operators", "ann")
        root.run("useradd", "bob")
        host = Host(root, root.files())
        root.install(deb)
        root.run("usermod", "--append", "--groups", "operators", "hotslot")
        yield host


def test_as_installed_it_is_off_and_its_directories_are_there(host: Host) -> None:
    assert host.systemctl("is-enabled", UNIT, code=1) == "disabled"
    assert host.systemctl("is-enabled", "hotslot-prune.timer", code=1) == "disabled"
    assert host.show("ActiveState") == "inactive"
    assert host.owner_and_mode("/run/hotslot") == "hotslot:hotslot 755"
    assert host.owner_and_mode("/run/hotslot/qmp") == "hotslot:hotslot 2770"
    assert host.owner_and_mode("/var/lib/hotslot") == "hotslot:hotslot 750"


def test_a_configuration_that_cannot_be_used_is_said_once(host: Host) -> None:
    host.systemctl("start", UNIT, code=1)
    assert host.show("ActiveState") == "failed", "not about to be tried again"
    assert host.show("ExecMainStatus") == "2"
    assert "workers is empty" in host.journal()
    assert host.show("NRestarts") == "0"


def test_an_address_that_comes_late_is_waited_for(host: Host) -> None:
    host.configure(LISTENING)
    host.systemctl("start", UNIT, code=1)
    eventually(lambda: int(host.show("NRestarts")) >= 2, WITHIN_S, "it is tried again")
    assert f"cannot listen on {LATE_ADDRESS}:8765" in host.journal()
    network = ["nsenter", "-t", str(host.root.pid1), "-n"]
    subprocess.run(
        [*network, "ip", "address", "add", f"{LATE_ADDRESS}/32", "dev", "lo"], check=True
    )
    host.until("ActiveState", "active")
    host.systemctl("stop", UNIT)


def test_it_runs_as_its_user_and_without_privileges(host: Host) -> None:
    host.configure(ASKED_BY)
    host.systemctl("enable", "--now", UNIT)
    assert host.show("Type") == "notify"
    assert host.show("ActiveState") == "active"
    pid = host.show("MainPID")
    status = dict(
        line.split(":\t", 1)
        for line in host.root.run("cat", f"/proc/{pid}/status").stdout.splitlines()
    )
    user = host.root.run("id", "-u", "hotslot").stdout.strip()
    assert set(status["Uid"].split()) == {user} != {"0"}
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0, capabilities
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert re.search(
        r"Max open files +16384 +16384", host.root.run("cat", f"/proc/{pid}/limits").stdout
    )


def test_it_can_write_where_it_must_and_nowhere_else(host: Host) -> None:
    pid = host.show("MainPID")
    seen = host.root.run("cat", f"/proc/{pid}/mountinfo").stdout.splitlines()
    mounts = {line.split()[4]: line.split()[5].split(",") for line in seen}
    assert "ro" in mounts["/"]
    for path in ("/var/lib/hotslot", "/run/hotslot", "/tmp"):
        assert "rw" in mounts[path], path
    inside = host.root.run("ls", "-A", f"/proc/{pid}/root/tmp", f"/proc/{pid}/root/home").stdout
    assert inside.split() == [f"/proc/{pid}/root/home:", f"/proc/{pid}/root/tmp:"]
    assert host.owner_and_mode("/var/lib/hotslot/hotslot.db") == "hotslot:hotslot 640"
    assert host.owner_and_mode("/var/lib/hotslot/audit.log") == "hotslot:hotslot 640"


def test_its_limits_are_the_kernels(host: Host, note: Callable[[str], None]) -> None:
    cgroup = host.show("ControlGroup").lstrip("/")
    wanted = {
        "memory.max": "536870912", "memory.limit_in_bytes": "536870912",
        "cpu.max": "100000 100000", "cpu.cfs_quota_us": "100000",
        "cpu.weight": "200", "cpu.shares": "2048",
        "pids.max": "256",
    }  # fmt: skip
    look = "for f in /sys/fs/cgroup/$0/$1 /sys/fs/cgroup/*/$0/$1; do cat $f 2>/dev/null; done; true"
    found = {name: host.root.run("sh", "-c", look, cgroup, name).stdout.strip() for name in wanted}
    found = {name: value for name, value in found.items() if value}
    note(f"limits of the agent, {host.root.path.name}: {found or 'no controller is to be had'}")
    assert found == {name: wanted[name] for name in found}
    for name, value in (
        ("MemoryMax", "536870912"),
        ("CPUQuotaPerSecUSec", "1s"),
        ("TasksMax", "256"),
    ):
        assert host.show(name) == value


def test_root_and_operators_see_figures_and_others_are_told_why_not(host: Host) -> None:
    assert host.owner_and_mode("/run/hotslot/hotslotd.sock") == "hotslot:operators 660"
    ask = ["/usr/bin/hotslot", "status", "--json"]
    for user in ("root", "ann"):
        shown = json.loads(host.root.run("runuser", "-u", user, "--", *ask).stdout)
        assert [worker["worker"] for worker in shown["workers"]] == ["w1"], user
    refused = host.root.run("runuser", "-u", "bob", "--", *ask, code=3).stderr
    assert "you may not ask the agent" in refused


def test_a_killed_agent_is_started_anew_each_time(host: Host) -> None:
    pid = host.show("MainPID")
    began = time.monotonic()
    for _ in range(3):
        host.systemctl("kill", "--kill-whom=main", "--signal=KILL", UNIT)
        pid = host.started_anew(pid, WITHIN_S)
    assert time.monotonic() - began > 3, "RestartSec= is a second"
    assert "w1" in host.root.run("hotslot", "status").stdout


def test_an_agent_that_hangs_is_started_anew(host: Host, note: Callable[[str], None]) -> None:
    assert host.show("WatchdogUSec") == "30s"
    pid = host.show("MainPID")
    began = time.monotonic()
    host.systemctl("kill", "--kill-whom=main", "--signal=STOP", UNIT)
    host.started_anew(pid, 180)
    note(f"a stopped agent, {host.root.path.name}: anew after {time.monotonic() - began:.0f} s")
    assert "Watchdog timeout (limit 30s)" in host.journal()


def test_old_rows_go_by_the_timer(host: Host) -> None:
    host.systemctl("enable", "--now", "hotslot-prune.timer")
    listed = host.root.run("systemctl", "list-timers", "--no-pager", "hotslot-prune.timer").stdout
    assert "hotslot-prune.service" in listed
    host.systemctl("start", "hotslot-prune.service")
    assert host.show("Result", "hotslot-prune.service") == "success"
    assert "0 leases are gone" in host.journal("hotslot-prune.service")
    stamp = host.root.path / "var/lib/systemd/timers/stamp-hotslot-prune.timer"
    assert stamp.exists(), "what a purge has to take along"
    assert host.show("ActiveState") == "active"


def test_the_exposure_is_what_the_docs_say(host: Host) -> None:
    page = (TREE / "docs/install.md").read_text()
    for unit, words in (
        (UNIT, r"hotslotd\.service` .*: \*\*([\d.]+)\*\*"),
        ("hotslot-prune.service", r"`hotslot-prune\.service`: \*\*([\d.]+)\*\*"),
    ):
        said = re.search(words, page)
        assert said is not None
        shown = host.root.run("systemd-analyze", "--offline=true", "--no-pager", "security", unit)
        exposure = re.search(r"exposure level for \S+: ([\d.]+)", shown.stdout)
        assert exposure is not None
        assert float(exposure[1]) <= float(said[1]), unit


def test_stopping_ends_it_in_order_and_leaves_workers_sockets(host: Host) -> None:
    host.root.run("mkfifo", "/run/hotslot/qmp/w1.sock")
    began = time.monotonic()
    host.systemctl("stop", UNIT)
    assert time.monotonic() - began < 30
    assert (host.show("Result"), host.show("ExecMainStatus")) == ("success", "0")
    assert host.root.run("ls", "/run/hotslot/qmp").stdout == "w1.sock\n"


def test_an_upgrade_starts_the_agent_anew(host: Host, newer_deb: Path) -> None:
    host.systemctl("start", UNIT)
    pid = host.show("MainPID")
    host.root.install(newer_deb)
    host.started_anew(pid, WITHIN_S)
    assert host.systemctl("is-enabled", UNIT) == "enabled"
    assert host.systemctl("is-enabled", "hotslot-prune.timer") == "enabled"


def test_a_removal_stops_and_a_purge_leaves_nothing(host: Host) -> None:
    assert host.systemctl("is-system-running") == "running", host.systemctl("--failed")
    host.root.run("dpkg", "--remove", "hotslot")
    assert host.root.run("find", "/proc", "-maxdepth", "1", "-user", "hotslot").stdout == ""
    assert host.show("LoadState") == "not-found"
    wants = host.root.path / "etc/systemd/system"
    assert not list(wants.glob("*/hotslot*"))
    assert (host.root.path / "var/lib/hotslot/hotslot.db").exists()
    host.root.run("dpkg", "--purge", "hotslot")
    left = host.root.files()
    assert sorted(left.keys() - host.before.keys()) == []
    assert sorted(host.before.keys() - left.keys()) == []
    assert host.root.run("ls", "/run").stdout.count("hotslot") == 0
    assert host.root.run("id", "hotslot", code=1).stdout == ""
