"""``hotslot workers …``: what is said, what is refused, and the exit codes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from fakes.vbox.fake import FakeVirtualBox
from hotslot import client
from hotslot.cli import cli
from hotslot.errors import AgentUnreachable, DriverError
from hotslot.workers_cli import workers

GOLDEN = Path(__file__).parent / "golden" / "workers"
ADDED = """\
done     tpl has the snapshot hotslot-base
done     is made, a linked clone of tpl
done     its image will call itself w2 (guest property /hotslot/node)
done     made the host-only network vboxnet0; this host is 192.168.56.1
advice   agent.listen of hotslot.yaml is to be 192.168.56.1:8765
already  CPU hot-plug is on
already  all vCPUs but CPU 0 are unplugged, as hotslot plugs them when a job asks
done     can have 8 vCPUs
already  the I/O APIC is on
already  its guest sees KVM's interface: without one Linux 6.9 and newer take no CPUs later
already  its vCPUs may run all the time
done     has 32768 MiB of memory
done     its first network card is in vboxnet0
done     starts without a window
advice   does not start with the host: VirtualBox has no autostart database. Once on this host: \
VBoxManage setproperty autostartdbpath FOLDER, see docs/virtualbox.md; then repair

to add to hotslot.yaml, workers (then restart hotslotd):
  - name: w2
    ceiling: 8

to add to slurm.conf, and its name to Nodes= of this host's partition:
  NodeName=w2 CPUs=8 RealMemory=32000 Gres=vm:1
"""


@pytest.fixture
def box(tmp_path: Path) -> Iterator[FakeVirtualBox]:
    with FakeVirtualBox(tmp_path / "world", time_scale=0.01) as box:
        driver = {"name": "virtualbox", "command": list(box.command)}
        configure(tmp_path, driver)
        yield box


def configure(home: Path, driver: dict[str, Any]) -> None:
    config = {
        "workers": [{"name": "w1", "vm": "vm1", "ceiling": 4}],
        "driver": driver,
        "scheduler": {"name": "slurm"},
        "agent": {"socket": str(home / "agent.sock")},
    }
    (home / "hotslot.yaml").write_text(yaml.safe_dump(config))


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["-c", str(home / "hotslot.yaml"), "workers", *arguments])


def busy(monkeypatch: pytest.MonkeyPatch, vm: str | None) -> None:
    """An agent that has a job's lease open on a VM; None: no agent."""

    def ask(*_: object) -> dict[str, Any]:
        if vm is None:
            raise AgentUnreachable("no agent")
        return {"workers": [{"worker": "w1", "vm": vm, "job": "4711", "user": "alice"}]}

    monkeypatch.setattr(client, "ask", ask)


def test_add_says_each_step_and_what_to_add_where(box: FakeVirtualBox, tmp_path: Path) -> None:
    box.add_vm("tpl", 2, running=False)
    done = run(tmp_path, "add", "w2", "--template", "tpl", "--vcpus", "8")
    assert (done.exit_code, done.output) == (0, ADDED)


def test_a_worker_is_named_as_in_the_configuration(box: FakeVirtualBox, tmp_path: Path) -> None:
    box.add_vm("vm1", 4, running=False)
    assert run(tmp_path, "start", "w1").exit_code == 0
    assert box.vm("vm1").state == "running"


def test_json_has_the_steps_and_the_error(box: FakeVirtualBox, tmp_path: Path) -> None:
    box.add_vm("vm1", 4, hotplug=False)
    done = run(tmp_path, "repair", "w1", "--json")
    found = json.loads(done.output)
    assert (done.exit_code, found["vm"], found["error"]) == (1, "vm1", None)
    assert [step["kind"] for step in found["steps"]] == ["left"]
    gone = run(tmp_path, "start", "w9", "--json")
    assert gone.exit_code == 1
    assert json.loads(gone.stdout)["error"] == (
        "VM w9: VirtualBox knows no such VM (Could not find a registered machine named 'w9')"
    )
    assert isinstance(run(tmp_path, "start", "w9").exception, DriverError)


def test_a_worker_with_a_job_is_not_stopped_unasked(
    box: FakeVirtualBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.add_vm("vm1", 4)
    busy(monkeypatch, "vm1")
    for command in ("stop", "remove"):
        done = run(tmp_path, command, "w1")
        assert (done.exit_code, box.vm("vm1").state) == (1, "running")
        assert "VM vm1: job 4711 of alice runs on it; wait, or lose the job" in done.output
    assert run(tmp_path, "stop", "w1", "--force").exit_code == 0


def test_without_an_agent_and_with_a_job_elsewhere_a_worker_is_stopped(
    box: FakeVirtualBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.add_vm("vm1", 4, running=False)
    for vm in (None, "vm2"):
        busy(monkeypatch, vm)
        assert run(tmp_path, "stop", "w1").exit_code == 0


def test_a_driver_that_makes_no_vms_says_so_with_exit_2(tmp_path: Path) -> None:
    configure(tmp_path, {"name": "qemu", "qmp_socket": str(tmp_path / "{vm}")})
    done = run(tmp_path, "start", "w1")
    assert done.exit_code == 2
    assert "driver qemu does not make or start VMs; do it as you made them" in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "--template", "t", "--", "-rf"], "a name begins with a letter"),
        (["add", "../w1", "--template", "t"], "a name begins with a letter"),
        (["add", "w1\n", "--template", "t"], "ASCII letters, digits, dots"),
        (["add", "w1"], "Missing option '--template'"),
        (["add", "w1", "--template", "-x"], "passes no such words"),
        (["add", "w1", "--template", "t", "--vcpus", "34"], "2<=x<=33"),
        (["add", "w1", "--template", "t", "--memory", "much"], "say 32G or 4096M"),
        (["stop", "a/b"], "is no name of a VM"),
        (["stop", "w1", "--timeout", "0"], "1<=x<=3600"),
        (["--json", "start", "w1"], "--json goes behind start"),
        (["begin"], "No such command 'begin'"),
    ],
)
def test_misuse_is_exit_2_and_says_how(tmp_path: Path, arguments: list[str], words: str) -> None:
    configure(tmp_path, {"name": "virtualbox", "command": ["false"]})
    done = run(tmp_path, *arguments)
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())


def test_every_command_has_examples_and_json() -> None:
    assert set(workers.commands) == {"add", "remove", "start", "stop", "repair"}
    for name, command in workers.commands.items():
        assert f"hotslot workers {name} w1" in (command.help or ""), name
        assert any(parameter.name == "json_" for parameter in command.params), name


def test_memory_is_given_as_people_write_it(tmp_path: Path) -> None:
    from hotslot.options import Memory

    for text, mib in (("32G", 32768), ("4096", 4096), ("512m", 512), ("1TiB", 1 << 20)):
        assert Memory().convert(text, None, None) == mib


@pytest.mark.parametrize("command", ["", *sorted(workers.commands)])
def test_help_is_as_it_was_read(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``UPDATE_GOLDEN=1`` writes it anew; read the diff."""
    monkeypatch.setenv("COLUMNS", "100")
    words = ["workers", command, "--help"] if command else ["workers", "--help"]
    shown = CliRunner().invoke(cli, words, prog_name="hotslot", terminal_width=100).output
    golden = GOLDEN / f"help{'-' * bool(command)}{command}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(shown)
    assert shown == golden.read_text()
