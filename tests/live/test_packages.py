"""The packages, built by their make targets, in small Debians: installed, upgraded, removed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

from live.package_root import PATH, SUITES, Root, build, clean_root, with_higher_version
from testbed.cache import cache_dir

pytestmark = pytest.mark.timeout(1800)
"""A busy machine builds the packages for minutes, and one test waits for another's."""

VENV = "/usr/lib/hotslot/venv/lib"
CONFIG = """\
workers: [{name: w1, ceiling: 4}]
driver: {name: qemu, qmp_socket: "/run/hotslot/qmp/{vm}.sock"}
scheduler: {name: slurm, source: scontrol}
"""


@dataclass(frozen=True)
class Built:
    """What one run of each make target left in dist/."""

    deb: Path
    worker_deb: Path
    rpm: Path
    worker_rpm: Path
    wheel: Path
    sdist: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build all at once, as `make deb` and `make rpm` do; wheel and sdist come with them."""
    dist = build(tmp_path_factory.mktemp("dist"), "deb", "rpm")
    patterns = ("hotslot_*_amd64.deb", "hotslot-worker_*_all.deb", "hotslot-[0-9]*.x86_64.rpm",
                "hotslot-worker-*.noarch.rpm", "hotslot-*.whl", "hotslot-*.tar.gz")  # fmt: skip
    return Built(*(max(dist.glob(p), key=os.path.getmtime) for p in patterns))


@pytest.fixture(scope="module", params=SUITES)
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Root:
    return Root(request.param, tmp_path_factory.mktemp("packages"))


@dataclass
class Agent:
    """hotslotd in a root, started as systemd would: as its user, telling when it is ready."""

    process: subprocess.Popen[str]
    told: socket.socket

    def wait_for(self, words: str, within_s: float = 30.0) -> None:
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            self.told.settimeout(max(0.1, until - time.monotonic()))
            if words in self.told.recv(4096).decode():
                return
        raise AssertionError(f"the agent did not tell {words}")

    def signal(self, number: signal.Signals) -> str:
        """Send a signal to the agent, a child of unshare's; return its log when it has ended."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        os.kill(int(children.read_text().split()[0]), number)
        return self.process.communicate(timeout=30)[1]

    def end(self) -> None:
        """End the agent as systemd does."""
        log = self.signal(signal.SIGTERM)
        Path(self.told.getsockname()).unlink()
        assert self.process.returncode == 0, log


@pytest.fixture
def start_agent(root: Root) -> Iterator[Callable[[], Agent]]:
    begun: list[Agent] = []

    def start() -> Agent:
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        at = root.path / "run/notify"
        at.unlink(missing_ok=True)
        told.bind(str(at))
        at.chmod(0o666)
        user = ["setpriv", "--reuid=hotslot", "--regid=hotslot", "--init-groups", "--no-new-privs",
                "--bounding-set=-all", "--inh-caps=-all"]  # fmt: skip
        process = subprocess.Popen(
            root.argv(*user, "/usr/bin/hotslotd", "-c", "/etc/hotslot/hotslot.yaml"),
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": PATH, "NOTIFY_SOCKET": "/run/notify"},
        )
        begun.append(Agent(process, told))
        return begun[-1]

    yield start
    for agent in begun:
        agent.told.close()
        if agent.process.poll() is None:
            agent.signal(signal.SIGKILL)


def test_a_package_is_installed_configured_run_upgraded_and_purged(
    built: Built, root: Root, start_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    before = root.files()
    said = root.install(built.deb, built.worker_deb)
    assert "Name your workers in /etc/hotslot/hotslot.yaml" in said

    # Installed: the commands answer, and say what is missing.
    version = built.deb.name.split("_")[1].split("-")[0]
    assert root.run("hotslot", "--version").stdout == f"hotslot, version {version}\n"
    assert root.run("hotslotd", "--version").stdout == f"hotslotd {version}\n"
    unconfigured = root.run("hotslot", "check", code=2).stderr
    assert "workers is empty; name at least one worker VM" in unconfigured
    assert "workers is empty" in root.run("hotslotd", code=2).stderr
    wants = root.path / "etc/systemd/system/multi-user.target.wants"
    assert not (wants / "hotslotd.service").exists()

    # Configured: `check` names what this root lacks, and no more.
    (root.path / "etc/hotslot/hotslot.yaml").write_text(CONFIG)
    found = json.loads(root.run("hotslot", "check", "--json", code=1).stdout)
    levels = {one["subject"]: one["level"] for one in found}
    assert levels["vCPU clock"] == levels["record.database"] == "ok"
    assert any("scontrol" in one["found"] for one in found if one["level"] == "wrong")

    # The agent starts without any privilege, answers, ends in order, and leaves a record.
    agent = start_agent()
    agent.wait_for("READY=1")
    agent.wait_for("WATCHDOG=1")
    agent.end()
    record = root.path / "var/lib/hotslot/hotslot.db"
    assert record.stat().st_size > 0
    assert root.run("stat", "-c", "%U %a", "/var/lib/hotslot").stdout == "hotslot 750\n"
    assert root.run("hotslot", "jobs", "--json").stdout.strip() == "[]"

    # An upgrade keeps both.
    was = record.read_bytes()
    root.install(with_higher_version(built.deb, tmp_path))
    assert (root.path / "etc/hotslot/hotslot.yaml").read_text() == CONFIG
    assert record.read_bytes() == was
    agent = start_agent()
    agent.wait_for("READY=1")
    agent.end()

    # Removing keeps them, too; purging does not, and leaves nothing else.
    root.run("dpkg", "--remove", "hotslot", "hotslot-worker")
    assert (root.path / "etc/hotslot/hotslot.yaml").read_text() == CONFIG
    assert record.exists()
    assert not (root.path / "usr/lib/hotslot").exists()
    root.run("dpkg", "--purge", "hotslot", "hotslot-worker")
    left = root.files()
    assert sorted(left.keys() - before.keys()) == []
    assert sorted(before.keys() - left.keys()) == []
    assert "hotslot" not in (root.path / "etc/passwd").read_text()


def test_a_purge_leaves_what_is_not_the_packages(built: Built, tmp_path: Path) -> None:
    root = Root("bookworm", tmp_path)
    root.install(built.deb)
    disk = root.path / "var/lib/hotslot/VirtualBox VMs/w1/w1.vdi"
    disk.parent.mkdir(parents=True)
    disk.write_text("a disk")
    said = root.run("dpkg", "--purge", "hotslot").stdout
    assert "/var/lib/hotslot is not empty, it and the user hotslot stay" in said
    assert disk.exists()


def test_pages_and_completion_are_there(built: Built, tmp_path: Path) -> None:
    root = Root("trixie", tmp_path)
    root.install(built.deb, built.worker_deb)
    for name, words in (
        ("hotslot", "batch jobs whose CPUs"),
        ("hotslot-workers-add", "linked clone"),
        ("hotslotd", "journalctl"),
        ("hotslot.yaml", "harm_budget_pct"),
        ("hook.conf", "agent_wait_s"),
    ):
        shown = root.run("man", "--warnings=w", name)
        assert words in shown.stdout, name
        assert "warning" not in shown.stderr
    complete = """
        . /usr/share/bash-completion/bash_completion
        _completion_loader hotslot || __load_completion hotslot
        COMP_WORDS=(hotslot wor) COMP_CWORD=1
        _hotslot_completion hotslot && echo "${COMPREPLY[@]}"
    """
    assert root.run("bash", "-c", complete).stdout == "workers\n"


def test_a_worker_has_hooks_that_start(built: Built, tmp_path: Path) -> None:
    root = Root("bookworm", tmp_path)
    root.install(built.worker_deb)
    conf = root.path / "etc/hotslot/hook.conf"
    conf.write_text("agent=127.0.0.1:9\nagent_wait_s=1\n")
    job = ["env", "SLURM_JOB_ID=7", "SLURMD_NODENAME=w1"]
    refused = root.run(*job, "/usr/lib/hotslot/slurm-prolog", code=1).stderr
    assert "127.0.0.1:9" in refused
    root.run(*job, "/usr/lib/hotslot/slurm-epilog")
    gate = root.run("timeout", "4", "/usr/lib/hotslot/condor-gate", code=124).stdout
    assert "HotslotAdmitCpus = 0" in gate
    assert (root.path / "usr/lib/udev/rules.d/40-hotslot-cpu.rules").exists()


def deb_files(package: Path) -> set[str]:
    listed = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", str(package)], check=True, capture_output=True
    ).stdout
    names = subprocess.run(["tar", "-t"], input=listed, check=True, capture_output=True).stdout
    return {f"/{name.strip('./')}" for name in names.decode().splitlines() if name[-1] != "/"}


def rpm_query(*arguments: str) -> list[str]:
    done = subprocess.run(["rpm", *arguments], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("which", ["hotslot", "hotslot-worker"])
def test_the_rpm_has_the_files_of_the_deb(built: Built, which: str) -> None:
    deb, rpm = (
        (built.deb, built.rpm) if which == "hotslot" else (built.worker_deb, built.worker_rpm)
    )
    form = "[%{FILEMODES:perms} %{FILENAMES}\n]"
    listed = [line.split(" ", 1) for line in rpm_query("-qp", "--queryformat", form, str(rpm))]
    names = {name for mode, name in listed if mode[0] != "d"}
    odd = (f"/usr/share/doc/{which}/", "/usr/share/licenses/", "/usr/share/python3/runtime.d/")
    of_deb = {name for name in deb_files(deb) if not name.startswith(odd)}
    of_deb = {name.replace("zsh/vendor-completions", "zsh/site-functions") for name in of_deb}
    assert {name for name in names if not name.startswith(odd)} == of_deb
    configs = rpm_query("-qp", "--configfiles", str(rpm))
    assert configs == [f"/etc/hotslot/{'hotslot.yaml' if which == 'hotslot' else 'hook.conf'}"]


def test_the_rpm_can_be_installed_and_erased(built: Built, tmp_path: Path) -> None:
    database = ["--root", str(tmp_path), "--nodeps"]
    packages = [str(built.rpm), str(built.worker_rpm)]
    rpm_query(*database, "--noscripts", "--test", "-i", *packages)
    rpm_query(*database, "--noscripts", "-i", *packages)
    assert (tmp_path / "usr/lib/hotslot/venv/bin/python").readlink() == Path("/usr/bin/python3.12")
    assert rpm_query(*database, "-Va", "--noscripts", "--nouser", "--nogroup") == []
    rpm_query(*database, "--noscripts", "-e", "hotslot", "hotslot-worker")
    assert not (tmp_path / "usr/lib/hotslot").exists()
    scripts = "\n".join(rpm_query("-qp", "--scripts", str(built.rpm)))
    assert "useradd --system" in scripts


def test_the_packages_are_for_three_pythons(built: Built) -> None:
    names = deb_files(built.deb)
    for minor in ("3.11", "3.12", "3.13"):
        tag = f"cpython-{minor.replace('.', '')}-x86_64-linux-gnu"
        here = f"{VENV}/python{minor}/site-packages"
        assert any(n.startswith(f"{here}/yaml/") and tag in n for n in names), minor
    assert not any("/numpy/" in name or "/pip/" in name for name in names)
    assert not any(name.endswith((".pyc", "direct_url.json")) for name in names)


def test_the_wheel_and_the_sdist_are_whole(built: Built, tmp_path: Path) -> None:
    names = ZipFile(built.wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"hotslot", "hotslot_plugin"}
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    source = next(tmp_path.iterdir())
    python = tmp_path / "venv/bin/python"
    made = ["/usr/bin/python3", "-m", "venv", "--system-site-packages", str(python.parents[1])]
    subprocess.run(made, check=True)
    pip = [str(python), "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(built.wheel)]
    subprocess.run(pip, check=True)
    # Its dependencies are those of this run's environment, whose hotslot is not looked at.
    site = Path(pytest.__file__).parents[1]
    shared = [p for p in site.iterdir() if "hotslot" not in p.name]
    beside = next(python.parents[1].glob("lib/python3*/site-packages"))
    for path in shared:
        if not (beside / path.name).exists():
            (beside / path.name).symlink_to(path)
    for command in ("hotslot", "hotslotd"):
        answer = subprocess.run([str(python.with_name(command)), "--version"], check=True)
        assert answer.returncode == 0
    # All unit tests of the sdist find what they import, and those of its border pass.
    pytest_ = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not live"]
    some = ["tests/test_config.py", "tests/test_cli.py", "tests/plugin/test_hook_parsing.py"]
    for arguments in (["--collect-only"], some):
        call = [*pytest_, *arguments]
        done = subprocess.run(call, cwd=source, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:]


def test_the_clean_roots_are_clean() -> None:
    assert cache_dir() in clean_root(SUITES[0]).path.parents
