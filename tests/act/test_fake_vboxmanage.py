"""The fake VBoxManage says what the real one said, and its VMs are processes like real ones."""

from __future__ import annotations

import re
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Words
from pathlib import Path

import pytest

from fakes.vbox.calls import NOT_ASKED, SEQUENCES, Sequence
from fakes.vbox.compare import Answer, Transcript, as_if, essence, mismatches, transcripts
from fakes.vbox.fake import FakeVirtualBox, FakeVm, Fault
from fakes.vbox.machine import began
from fakes.vbox.transcript import UNPROVEN

NAMESPACE = "{http://www.virtualbox.org/}"
PLACE = re.compile(r"(?<![\w/.<])/([a-z]+)/")
REFUSED = "Hot-Remove was aborted"


@pytest.fixture
def vbox(tmp_path: Path) -> Iterator[FakeVirtualBox]:
    with FakeVirtualBox(tmp_path / "world") as world:
        yield world


def until(true: Callable[[], bool]) -> bool:
    """Wait up to 5 s."""
    deadline = time.monotonic() + 5
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def trees(vm: FakeVm) -> list[set[int]]:
    """Return the CPUs of each <CpuTree> of a machine's file, those that count now at the end."""
    root = ET.parse(vm.file).getroot()
    return [{int(cpu.attrib["id"]) for cpu in tree} for tree in root.iter(f"{NAMESPACE}CpuTree")]


def runs(vm: FakeVm, index: int, within_s: float = 0.2) -> bool:
    """Whether a vCPU's thread computes."""
    time.sleep(0.03)
    before = vm.ran_s[index]
    time.sleep(within_s)
    return vm.ran_s[index] > before


@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda sequence: sequence.name)
def test_the_fake_says_what_the_real_one_said(sequence: Sequence, vbox: FakeVirtualBox) -> None:
    vbox.add_vm("guest", 4, running=sequence.needs_guest)

    def run(words: Words[str]) -> Answer:
        answer = vbox.ask(*words)
        return Answer(answer.rc, answer.stdout, answer.stderr)

    provoke: dict[str, Callable[[str], None]] = {
        "settle": lambda vm: None,
        "kill": vbox.kill_vm,
        "kill-vboxsvc": lambda vm: vbox.fault(vm, Fault.SVC_GONE),
        "deaf": lambda vm: vbox.fault(vm, Fault.LATE_EJECT),
        "eject": lambda vm: time.sleep(0.1),
    }
    found = mismatches(run, [sequence], guest="guest", provoke=provoke)
    assert not "\n".join(map(str, found))


def kind(transcript: Transcript) -> list[str]:
    """Return a call without the machine's name and numbers."""
    return ["N" if word.isdigit() or at == 1 else word for at, word in enumerate(transcript.argv)]


def alike(one: Transcript, other: Transcript) -> bool:
    """Whether two calls of the same kind were answered in the same way."""
    if kind(one) != kind(other):
        return False
    return essence(one.argv, one.answer) == essence(other.argv, as_if(other, one.argv))


def test_every_transcript_is_asked_again_or_it_is_said_why_not() -> None:
    asked = {name for sequence in SEQUENCES for _, name in sequence.steps if name}
    known = [transcripts()[name] for name in asked]
    unasked = {
        name
        for name, transcript in transcripts().items()
        if not any(alike(transcript, other) for other in known)
    }
    assert unasked == {name for names in NOT_ASKED.values() for name in names}


def test_what_is_unproven_has_no_transcript() -> None:
    assert not set(UNPROVEN) & set(transcripts())


def test_the_transcripts_name_no_place_but_the_recording_root() -> None:
    for transcript in transcripts().values():
        said = transcript.answer.stdout + transcript.answer.stderr
        assert set(PLACE.findall(said)) <= {"root", "dev", "test", "path"}, transcript.name


def test_a_call_imports_nothing_that_takes_long(vbox: FakeVirtualBox) -> None:
    python, *call = vbox.command
    argv = [python, "-X", "importtime", *call, "controlvm", "w1", "plugcpu", "1"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "fakes.vbox.control" in modules
    assert not modules & {"pathlib", "json", "re", "enum", "subprocess", "typing", "contextlib"}


def test_a_running_vm_looks_like_vboxheadless(vbox: FakeVirtualBox) -> None:
    vm = vbox.add_vm("w1", 4)
    proc = Path(f"/proc/{vm.pid}")
    command, *arguments, end = (proc / "cmdline").read_text().split("\0")
    assert Path(command).name == "VBoxHeadless"
    assert arguments == ["--comment", "w1", "--startvm", vm.uuid, "--vrde", "config"]
    assert end == ""
    assert (proc / "comm").read_text() == "VBoxHeadless\n"
    assert sorted(vm.ran_s) == [0, 1, 2, 3]


def test_the_thread_of_a_plugged_vcpu_runs_and_another_does_not(vbox: FakeVirtualBox) -> None:
    vm = vbox.add_vm("w1", 4)
    assert runs(vm, 0)
    assert not runs(vm, 2)
    vbox.run("controlvm", "w1", "plugcpu", "2").check_returncode()
    assert runs(vm, 2)
    vbox.run("controlvm", "w1", "unplugcpu", "2").check_returncode()
    assert not runs(vm, 2)
    assert runs(vm, 0)


@pytest.mark.parametrize("engine", ["Default", "Recompiler"])
def test_the_file_has_the_attached_set_of_now_and_of_each_snapshot(
    vbox: FakeVirtualBox, engine: str
) -> None:
    vm = vbox.add_vm("w1", engine=engine, attached=(0, 5), running=False)
    vbox.ask("snapshot", "w1", "take", "base")
    vbox.ask("snapshot", "w1", "take", "next")
    vbox.ask("modifyvm", "w1", "--plug-cpu", "7")
    assert trees(vm) == [{0, 5}, {0, 5}, {0, 5, 7}]
    place = "Hardware" if engine == "Default" else "Platform"
    machine = ET.parse(vm.file).getroot()[0]
    cpu = machine.find(f"{NAMESPACE}{place}/{NAMESPACE}CPU")
    assert cpu is not None
    assert cpu.attrib == {"count": "8", "hotplug": "true"}
    vbox.ask("snapshot", "w1", "restore", "base")
    assert vm.attached == {0, 5}


def test_without_hotplug_the_file_has_no_cpu_tree(vbox: FakeVirtualBox) -> None:
    assert trees(vbox.add_vm("w1", hotplug=False, running=False)) == []


def test_a_guest_without_additions_ejects_nothing(vbox: FakeVirtualBox) -> None:
    vm = vbox.add_vm("w1", additions=False)
    vbox.ask("controlvm", "w1", "plugcpu", "1")
    assert vm.online == {0, 1}
    answer = vbox.ask("controlvm", "w1", "unplugcpu", "1")
    assert (answer.rc, REFUSED in answer.stderr) == (1, True)
    assert vm.attached == {0, 1}


def test_a_late_eject_is_cleared_by_a_second_unplug(vbox: FakeVirtualBox) -> None:
    vm = vbox.add_vm("w1", attached=(0, 1))
    vbox.fault("w1", Fault.LATE_EJECT)
    assert REFUSED in vbox.ask("controlvm", "w1", "unplugcpu", "1").stderr
    assert vm.online == {0, 1}
    assert until(lambda: vm.online == {0})
    assert not runs(vm, 1)
    assert vm.attached == {0, 1}
    assert vbox.ask("controlvm", "w1", "unplugcpu", "1").rc == 0
    assert vm.attached == {0}


def test_a_lost_plug_is_listed_but_does_not_run(vbox: FakeVirtualBox) -> None:
    vm = vbox.add_vm("w1")
    vbox.fault("w1", Fault.LOST_PLUG)
    assert vbox.ask("controlvm", "w1", "plugcpu", "1").rc == 0
    assert trees(vm) == [{0, 1}]
    assert not runs(vm, 1)
    vbox.ask("controlvm", "w1", "unplugcpu", "1")
    vbox.ask("controlvm", "w1", "plugcpu", "1")
    assert runs(vm, 1)


def test_a_stuck_plug_cannot_be_undone(vbox: FakeVirtualBox) -> None:
    vm = vbox.add_vm("w1")
    vbox.fault("w1", Fault.STUCK_PLUG)
    assert vbox.ask("controlvm", "w1", "plugcpu", "1").rc == 0
    for _ in range(2):
        assert REFUSED in vbox.ask("controlvm", "w1", "unplugcpu", "1").stderr
    assert vm.attached == {0, 1}
    assert vm.online == {0}


def test_a_restored_guest_ejects_nothing_until_it_announces_itself(vbox: FakeVirtualBox) -> None:
    vbox.add_vm("w1", attached=(0, 1))
    vbox.ask("controlvm", "w1", "savestate")
    vbox.ask("startvm", "w1", "--type", "headless")
    assert REFUSED in vbox.ask("controlvm", "w1", "unplugcpu", "1").stderr
    vbox.announce("w1")
    assert vbox.ask("controlvm", "w1", "unplugcpu", "1").rc == 0


def test_a_killed_vm_has_aborted_and_a_stopped_one_has_no_process(vbox: FakeVirtualBox) -> None:
    killed, stopped = vbox.add_vm("w1"), vbox.add_vm("w2")
    vbox.kill_vm("w1")
    vbox.ask("controlvm", "w2", "poweroff")
    assert (killed.state, stopped.state) == ("aborted", "poweroff")
    assert not began(stopped.pid)


def test_when_vboxsvc_goes_all_vms_go(vbox: FakeVirtualBox) -> None:
    vbox.add_vm("w1")
    other = vbox.add_vm("w2")
    vbox.fault("", Fault.SVC_GONE)
    assert "COM server is not running" in vbox.ask("list", "vms").stderr
    assert other.state == "poweroff"
    assert vbox.ask("list", "runningvms").stdout == ""


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.LOCKED, "has tried to lock the machine 'w1'"),
        (Fault.STARTING, "Invalid machine state: Starting"),
        (Fault.PROGRESS, "0%...10%"),
    ],
)
def test_what_a_fault_says_on_stderr(vbox: FakeVirtualBox, fault: Fault, words: str) -> None:
    vbox.add_vm("w1")
    vbox.fault("w1", fault)
    assert words in vbox.ask("controlvm", "w1", "plugcpu", "1").stderr
    assert words not in vbox.ask("controlvm", "w1", "plugcpu", "2").stderr


def test_the_wrapper_warns_before_the_answer(vbox: FakeVirtualBox) -> None:
    vbox.add_vm("w1", running=False)
    vbox.fault("", Fault.WRAPPER)
    assert re.match(r'WARNING: (?s:.*)\n"w1" \{', vbox.ask("list", "vms").stdout)


def test_a_fault_befalls_only_the_calls_it_is_for(vbox: FakeVirtualBox) -> None:
    vbox.add_vm("w1", running=False)
    vbox.add_vm("w2", running=False)
    vbox.fault("w1", Fault.GARBAGE, on="showvminfo")
    assert "w1" in vbox.ask("list", "vms").stdout
    assert vbox.ask("showvminfo", "w2").stdout.startswith('name="w2"')
    assert vbox.ask("showvminfo", "w1").stdout.startswith("\0")
    assert vbox.ask("showvminfo", "w1").stdout.startswith('name="w1"')


def test_a_call_that_hangs_ends_when_it_is_killed(vbox: FakeVirtualBox) -> None:
    vbox.fault("", Fault.HANG)
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([*vbox.command, "list", "vms"], timeout=0.5, check=False)
    assert vbox.run("list", "vms").returncode == 0


def test_seconds_are_scaled(tmp_path: Path) -> None:
    with FakeVirtualBox(tmp_path / "w", time_scale=0.03) as vbox:
        vbox.add_vm("w1", attached=(0, 1))
        vbox.fault("w1", Fault.DEAF)
        begun = time.monotonic()
        vbox.ask("controlvm", "w1", "unplugcpu", "1")
        assert 0.3 < time.monotonic() - begun < 2


@pytest.mark.parametrize("fault", [Fault.FILE_GONE, Fault.FILE_HALF])
def test_a_file_is_gone_or_half_for_a_moment(tmp_path: Path, fault: Fault) -> None:
    with FakeVirtualBox(tmp_path / "w", time_scale=0.5) as vbox:
        vm = vbox.add_vm("w1", running=False)
        whole = vm.file.read_text()
        vbox.fault("w1", fault)
        vbox.run("showvminfo", "w1", "--machinereadable")
        assert not vm.file.exists() or vm.file.read_text() != whole
        assert until(lambda: vm.file.exists() and vm.file.read_text() == whole)


def test_calls_are_written_down(vbox: FakeVirtualBox) -> None:
    vbox.run("list", "vms")
    vbox.ask("showvminfo", "no such")
    assert [call.argv for call in vbox.calls] == [("list", "vms"), ("showvminfo", "no such")]
    assert 0 <= vbox.calls[1].at - vbox.calls[0].at < 60


def test_a_world_ends_with_its_vms(tmp_path: Path) -> None:
    with FakeVirtualBox(tmp_path / "w") as vbox:
        pid = vbox.add_vm("w1").pid
    assert not began(pid)
    assert not (tmp_path / "w").exists()
