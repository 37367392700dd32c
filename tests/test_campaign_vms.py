"""A campaign whose VM's QEMU ends by itself goes on with a new one, or ends; it never waits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from live.campaign_plan import FaultKind
from live.campaign_vms import BOOTS_WITHIN_S, MOST_ENDS, Vms
from testbed.errors import TestbedError


@dataclass
class FakeVm:
    """A VM that boots when it is told to."""

    log_dir: Path
    name: str = "w1"
    died: bool = False
    exit_code: int | None = None
    booted: bool = True
    starts: int = 0

    def start(self) -> None:
        self.died, self.booted = False, False
        self.starts += 1

    def answers(self) -> bool:
        return self.booted


class Watch:
    """A campaign's look after one VM."""

    def __init__(self, folder: Path) -> None:
        (folder / "qemu.log").write_text("qemu: it is all too much\n")
        self.vm = FakeVm(folder)
        self.said: list[str] = []
        self.now = 100.0
        self.vms = Vms([self.vm], self.said.append, lambda: self.now)

    def look(self, after_s: float = 1.0) -> None:
        self.now += after_s
        self.vms.look()


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path)


def test_a_vm_that_runs_is_left_alone(watch: Watch) -> None:
    watch.look()
    assert (watch.said, watch.vms.ended, watch.vm.starts) == ([], [], 0)


def test_a_vm_that_ended_is_told_with_its_log_and_started_anew(watch: Watch) -> None:
    watch.vm.died, watch.vm.exit_code = True, -11
    watch.look()
    assert watch.vm.starts == 1
    assert "w1 ended by itself, exit code -11; it is started anew" in watch.said[0]
    assert "it is all too much" in watch.said[0]


def test_it_counts_once_it_is_back_as_a_fault_that_nobody_injected(watch: Watch) -> None:
    watch.vm.died = True
    watch.look()
    watch.look()
    assert watch.vms.ended == []
    watch.vm.booted = True
    watch.look()
    watch.look()
    [fault] = watch.vms.ended
    assert (fault.kind, fault.worker, fault.by_itself) == (FaultKind.VM_KILLED, "w1", True)
    assert (fault.began, fault.ended) == (101.0, 103.0)
    assert fault.name == "VM killed: by itself"


def test_a_vm_that_does_not_boot_again_ends_the_campaign(watch: Watch) -> None:
    watch.vm.died = True
    watch.look()
    with pytest.raises(TestbedError, match="it does not boot"):
        watch.look(BOOTS_WITHIN_S + 1)


def test_a_vm_that_ends_again_and_again_ends_the_campaign(watch: Watch) -> None:
    for _ in range(MOST_ENDS):
        watch.vm.died = True
        watch.look()
    watch.vm.died = True
    with pytest.raises(TestbedError, match="4 times"):
        watch.look()
