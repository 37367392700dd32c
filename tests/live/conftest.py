"""A testbed and an agent for each module, and a summary of what ran live."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from live.cluster import Cluster
from live.condor_cluster import CondorCluster
from testbed import Testbed
from vbox import Guest, VirtualBox

AGENT_WAIT_S = 20
"""How long a prolog waits for the agent here: long enough for a slow guest, short for a test."""

HERE = Path(__file__).parent

ALONE = (
    "test_vbox",
    "test_virtualbox",
    "test_load",
    "test_condor_load",
    "test_hook_share",
    "test_reports",
    "test_replay_agrees",
    "test_lending",
)
"""Tests whose figures need the machine for themselves: they run one after the other."""

FIRST = ("test_soak", "test_packages", "test_both_schedulers")
"""Files that take minutes come first: begun last, one of them would be waited for alone."""

_TAKEN: list[str] = []
_NOTES: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.live)
            if item.path.name.startswith(ALONE):
                item.add_marker(pytest.mark.alone)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(600))
    items.sort(key=lambda item: not item.path.name.startswith(FIRST))


@pytest.fixture(scope="session")
def note() -> Callable[[str], None]:
    """Take figures for the summary at the end of the run."""
    return _TAKEN.append


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Send what was noted along with the report: tests may run in processes of their own."""
    report = yield
    report.user_properties += [("note", words) for words in _TAKEN]
    _TAKEN.clear()
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _NOTES.extend(str(words) for name, words in report.user_properties if name == "note")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    live = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if "tests/live/" in report.nodeid and report.when == "call"
    ]
    if live or _NOTES:
        terminalreporter.section("what ran live")
        terminalreporter.write_line(f"{len(live)} tests with real daemons and virtual machines")
        for words in _NOTES:
            terminalreporter.write_line(f"  {words}")


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    hook_conf = f"agent=10.77.0.1:8765\nagent_wait_s={AGENT_WAIT_S}\n"
    with Testbed(workers=3, vcpus=4, cores=8, hook_conf=hook_conf) as bed:
        yield bed


@pytest.fixture(scope="module")
def cluster(bed: Testbed) -> Iterator[Cluster]:
    """The testbed with an agent; each test leaves it idle."""
    with Cluster(bed, agent_wait_s=AGENT_WAIT_S) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def condor_cluster() -> Iterator[CondorCluster]:
    """An HTCondor pool of two workers with an agent; each test leaves it idle."""
    hook_conf = f"agent=10.77.0.1:8765\nagent_wait_s={AGENT_WAIT_S}\n"
    with (
        Testbed(workers=0, condor_workers=2, vcpus=4, hook_conf=hook_conf) as bed,
        CondorCluster(bed, agent_wait_s=AGENT_WAIT_S) as cluster,
    ):
        yield cluster


@pytest.fixture(scope="session")
def vbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualBox]:
    """VirtualBox with a VM, v1, that has been booted once and can be restored."""
    with VirtualBox(tmp_path_factory.mktemp("vbox")) as vbox:
        vbox.create("v1")
        vbox.boot("v1")
        vbox.snapshot("v1")
        yield vbox


@pytest.fixture
def vbox_guest(vbox: VirtualBox) -> Guest:
    """The guest of v1 as it was booted: vCPU 0 alone, VBoxService runs."""
    return vbox.restored("v1")
