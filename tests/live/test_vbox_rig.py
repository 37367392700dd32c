"""The VirtualBox rig itself: real hot-plug of a real guest, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from live.cluster import eventually
from live.test_testbed import processes_in
from testbed import TestbedError
from testbed.namespaces import Namespaces
from vbox import Guest, VirtualBox

TESTS = Path(__file__).resolve().parents[1]
_NS = "{http://www.virtualbox.org/}"


def test_a_guest_is_restored_in_seconds_as_often_as_wanted(
    vbox: VirtualBox, note: Callable[[str], None]
) -> None:
    took = []
    for _ in range(3):
        start = time.monotonic()
        guest = vbox.restored("v1")
        took.append(time.monotonic() - start)
        assert guest.online() == {0}
        guest.shell("[ ! -e /tmp/mark ] && touch /tmp/mark")
        assert attached(vbox, "v1") == {0}
    note(
        f"VirtualBox: guest booted in {vbox.boot_s['v1']:.1f} s, "
        f"restored in {', '.join(f'{s:.1f}' for s in took)} s"
    )


def test_plugged_cpus_come_online_and_unplugged_ones_go(
    vbox: VirtualBox, vbox_guest: Guest, note: Callable[[str], None]
) -> None:
    took = []
    for wanted, argv in (
        ({0, 1}, ("plugcpu", "1")),
        ({0, 1, 5}, ("plugcpu", "5")),
        ({0, 5}, ("unplugcpu", "1")),
        ({0}, ("unplugcpu", "5")),
        ({0, 1}, ("plugcpu", "1")),
    ):
        start = time.monotonic()
        vbox.manage("controlvm", "v1", *argv)
        command_s = time.monotonic() - start
        assert attached(vbox, "v1") == wanted
        until_online(vbox_guest, len(wanted))
        took.append(f"{argv[0]} {command_s:.2f} s, online set {time.monotonic() - start:.2f} s")
    note("VirtualBox: " + "; ".join(took))


def test_a_vcpus_thread_runs_only_once_it_is_plugged(vbox: VirtualBox, vbox_guest: Guest) -> None:
    pid = vbox.vm_pid("v1")
    threads = emulation_threads(pid)
    assert set(threads) == set(range(8))
    vbox_guest.burn(2)
    assert busy(pid, threads) == {0}
    vbox.manage("controlvm", "v1", "plugcpu", "2")
    until_online(vbox_guest, 2)
    # Without the kernel driver, threads of vCPUs that are not plugged run in vain from now on.
    assert busy(pid, threads) >= {0, 2}
    vbox_guest.calm()


def busy(pid: int, threads: dict[int, int]) -> set[int]:
    """Return the vCPUs whose threads run, and not just now and then."""
    before = {n: ran_ns(pid, thread) for n, thread in threads.items()}
    ran: dict[int, int] = {}
    while sum(ran.values()) < 3e9:
        time.sleep(0.1)
        ran = {n: ran_ns(pid, threads[n]) - before[n] for n in threads}
    return {n for n in ran if ran[n] > 0.25 * max(ran.values())}


def test_without_vboxservice_an_unplug_is_refused_and_with_it_again_works(
    vbox: VirtualBox, vbox_guest: Guest
) -> None:
    vbox.manage("controlvm", "v1", "plugcpu", "1")
    until_online(vbox_guest, 2)
    vbox_guest.stop_service()
    refused = vbox.manage("controlvm", "v1", "unplugcpu", "1", check=False)
    assert refused.returncode == 1
    assert "Hot-Remove was aborted" in refused.stderr
    vbox_guest.start_service()
    vbox.manage("controlvm", "v1", "unplugcpu", "1")
    assert vbox_guest.online() == {0}


def test_a_command_that_hangs_in_the_guest_is_named_and_the_next_one_works(
    vbox_guest: Guest,
) -> None:
    with pytest.raises(TestbedError, match="no end within 1 s: echo begun; sleep 1000\nbegun"):
        vbox_guest.shell("echo begun; sleep 1000", timeout=1)
    assert vbox_guest.shell("echo '<1>' \"it's\"; echo two >&2") == "<1> it's\ntwo\n"
    with pytest.raises(TestbedError, match="exit code 3\nout"):
        vbox_guest.shell("echo out; exit 3")
    with pytest.raises(TestbedError, match="exit code 2"):
        vbox_guest.shell("(")


def test_the_service_can_be_killed_and_a_guest_is_restored_all_the_same(
    vbox: VirtualBox, vbox_guest: Guest
) -> None:
    assert vbox.service_pid is not None
    vbox.kill_service()
    assert vbox.service_pid is None
    assert vbox.restored("v1").online() == {0}
    vbox.kill_vm("v1")
    assert vbox.restored("v1").online() == {0}


def test_two_vms_run_side_by_side(vbox: VirtualBox, vbox_guest: Guest) -> None:
    vbox.twin("v2", "v1")
    second = vbox.restored("v2")
    vbox.manage("controlvm", "v2", "plugcpu", "3")
    until_online(second, 2)
    assert vbox_guest.online() == {0}
    assert (attached(vbox, "v1"), attached(vbox, "v2")) == ({0}, {0, 3})
    assert vbox.vm_pid("v1") != vbox.vm_pid("v2")
    vbox.power_off("v2")


def until_online(guest: Guest, number: int) -> None:
    """Wait until a guest has so many CPUs online; it numbers them as they came."""
    eventually(lambda: len(guest.online()) == number, 30, f"{number} CPUs are online")


def test_a_rig_in_a_testbeds_namespaces_is_seen_from_inside_and_leaves_no_process(
    tmp_path: Path,
) -> None:
    namespaces = Namespaces()

    def inside(*argv: str) -> str:
        return namespaces.run(argv, timeout=60, check=False).stdout

    try:
        inside("mount", "--make-rprivate", "/")
        inside("mount", "-t", "proc", "proc", "/proc")
        with VirtualBox(tmp_path, namespaces) as vbox:
            vbox.create("v1")
            vbox.manage("startvm", "v1", "--type", "headless")
            assert '"v1"' in inside(*vbox.inner_command, "list", "runningvms")
            assert "EMT-7" in inside("sh", "-c", "cat /proc/[0-9]*/task/*/comm")
            assert "v1.vbox" in inside("find", f"{vbox.inner_root}/root", "-name", "*.vbox")
        assert "VBox" not in inside("sh", "-c", "cat /proc/[0-9]*/comm")
    finally:
        namespaces.close()


def attached(vbox: VirtualBox, name: str) -> set[int]:
    """Return the vCPUs that VirtualBox's settings list as attached."""
    shown = vbox.manage("showvminfo", name, "--machinereadable").stdout
    settings = re.search(r'^CfgFile="(.*)"$', shown, re.MULTILINE)
    assert settings
    tree = ElementTree.parse(vbox.root + settings[1])
    # Below <Hardware> or, for some machines, <Platform>; those of a snapshot are further down.
    cpus = tree.findall(f"{_NS}Machine/*/{_NS}CPU/{_NS}CpuTree/{_NS}Cpu")
    return {int(cpu.attrib["id"]) for cpu in cpus}


def emulation_threads(pid: int) -> dict[int, int]:
    """Return the thread of each possible vCPU."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        comm = (task / "comm").read_text().strip()
        if comm.startswith("EMT-"):
            found[int(comm.removeprefix("EMT-"))] = int(task.name)
    return found


def ran_ns(pid: int, thread: int) -> int:
    return int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])


OWNER = """
import os, signal, sys, time
from pathlib import Path
from vbox import VirtualBox
# A command that a script runs in the background starts with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with VirtualBox(Path(sys.argv[1])) as vbox:
    vbox.create("v1")
    vbox.manage("startvm", "v1", "--type", "headless")
    assert vbox.service_pid
    print("UP", os.readlink(f"/proc/{vbox.vm_pid('v1')}/ns/pid"), flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_survives_the_end_of_the_owner(how: signal.Signals, tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert owner.stdout is not None
    try:
        mark, namespace = owner.stdout.readline().split()
        assert mark == "UP"
        assert len(processes_in(namespace)) >= 3, "process 1, VBoxSVC, VBoxHeadless"
        owner.send_signal(how)
        eventually(lambda: not processes_in(namespace), 30, "all have ended")
    finally:
        owner.kill()
        owner.communicate()
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
