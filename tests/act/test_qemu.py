"""The QEMU driver tells apart what can go wrong between it and a QMP socket."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from act.rig import now
from fakes.qemu import FakeQemu
from fakes.virtual_time import in_virtual_time
from hotslot.act.qemu import QemuDriver, connect
from hotslot.act.qmp import LONGEST_ANSWER
from hotslot.errors import ActionRefused, ActionTimedOut, DriverError, VmGone
from hotslot.model import Level


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A directory whose path is short enough for a socket, whatever a test is called."""
    with tempfile.TemporaryDirectory(prefix="qmp") as directory:
        yield Path(directory)


@asynccontextmanager
async def pair(directory: Path, **traits: object) -> AsyncIterator[tuple[FakeQemu, QemuDriver]]:
    """A fake QEMU of VM w1, and a driver of it."""
    qemu = FakeQemu(directory / "w1.sock", **traits)  # type: ignore[arg-type]
    await qemu.start()
    driver = connect({"qmp_socket": f"{directory}/{{vm}}.sock"})
    try:
        yield qemu, driver
    finally:
        await driver.close()
        await qemu.kill()


@in_virtual_time
async def test_the_process_is_the_one_at_the_other_end_of_the_socket(sockets: Path) -> None:
    async with pair(sockets) as (_, driver):
        assert (await driver.state("w1")).pid == os.getpid()


@in_virtual_time
async def test_an_index_counts_threads_then_cores_then_sockets(sockets: Path) -> None:
    async with pair(sockets, topology=(2, 2, 2)) as (qemu, driver):
        await driver.plug("w1", {1, 2, 5})
        added = [arguments for command, arguments in qemu.seen if command == "device_add"]
        places = [(a["socket-id"], a["core-id"], a["thread-id"]) for a in added]
        assert places == [(0, 0, 1), (0, 1, 0), (1, 0, 1)]
        assert [a["id"] for a in added] == ["hotslot-cpu1", "hotslot-cpu2", "hotslot-cpu5"]


@in_virtual_time
async def test_vcpus_that_others_plugged_or_that_booted_are_unplugged_too(sockets: Path) -> None:
    async with pair(sockets, booted=2) as (qemu, driver):
        qemu.paths[2] = "/machine/peripheral-anon/device[1]"
        await driver.unplug("w1", {1, 2})
        assert (await driver.state("w1")).attached == {0}


@in_virtual_time
async def test_all_vcpus_are_asked_for_before_the_first_is_gone(sockets: Path) -> None:
    async with pair(sockets, eject_s=1.0) as (_, driver):
        await driver.plug("w1", {1, 2, 3})
        begun = now()
        await driver.unplug("w1", {1, 2, 3})
        assert now() - begun < 1.1


@in_virtual_time
async def test_an_ejection_without_any_event_is_found_by_looking(sockets: Path) -> None:
    async with pair(sockets, tells_events=False) as (_, driver):
        await driver.plug("w1", {1})
        begun = now()
        await driver.unplug("w1", {1})
        assert now() - begun < 0.6


@in_virtual_time
async def test_a_guest_that_refuses_is_said_with_its_reason(sockets: Path) -> None:
    async with pair(sockets, unwilling=True) as (_, driver):
        await driver.plug("w1", {1, 2})
        begun = now()
        with pytest.raises(ActionRefused) as error:
            await driver.unplug("w1", {1, 2})
        assert now() - begun < 1
        assert str(error.value) == (
            "VM w1: the guest refused to eject vCPU 1: busy; "
            "the guest refused to eject vCPU 2: busy"
        )


@in_virtual_time
async def test_a_guest_that_does_not_react_is_given_up_and_may_eject_later(sockets: Path) -> None:
    async with pair(sockets, running=False) as (qemu, driver):
        await driver.plug("w1", {1, 2})
        begun = now()
        with pytest.raises(ActionTimedOut, match="did not eject vCPUs 1, 2 within 10 s; it still"):
            await driver.unplug("w1", {1, 2})
        assert 10 <= now() - begun < 10.1
        assert (await driver.state("w1")).attached == {0, 1, 2}
        qemu._go(True)
        await asyncio.sleep(1)
        assert (await driver.state("w1")).attached == {0}


@in_virtual_time
async def test_an_ejection_that_is_pending_already_is_waited_for(sockets: Path) -> None:
    async with pair(sockets) as (qemu, driver):
        await driver.plug("w1", {1})
        no = b"Device hotslot-cpu1 is already in the process of unplug"
        qemu.answers["device_del"] = error(no)
        asyncio.get_running_loop().call_later(2, qemu.paths.pop, 1)
        await driver.unplug("w1", {1})


@in_virtual_time
async def test_a_vcpu_that_went_between_looking_and_asking_is_no_error(sockets: Path) -> None:
    async with pair(sockets) as (qemu, driver):
        await driver.plug("w1", {1})
        qemu.answers["device_del"] = error(b"Device not found", b"DeviceNotFound")
        asyncio.get_running_loop().call_later(0.1, qemu.paths.pop, 1)
        await driver.unplug("w1", {1})


@in_virtual_time
async def test_what_qemu_refuses_is_said_in_its_words(sockets: Path) -> None:
    async with pair(sockets) as (qemu, driver):
        qemu.answers["device_add"] = error(b"No memory left")
        with pytest.raises(ActionRefused, match="QEMU refused device_add: No memory left"):
            await driver.plug("w1", {1, 2})


@in_virtual_time
async def test_a_vcpu_that_someone_else_plugged_meanwhile_is_no_error(sockets: Path) -> None:
    async with pair(sockets) as (qemu, driver):
        listed = qemu._list

        def then_plugged() -> object:
            answer = listed()
            qemu.paths[1] = "/machine/peripheral/another"
            return answer

        qemu._list = then_plugged  # type: ignore[method-assign, assignment]
        await driver.plug("w1", {1})
        assert (await driver.state("w1")).attached == {0, 1}


@in_virtual_time
async def test_a_socket_that_another_client_holds_is_said_in_time(sockets: Path) -> None:
    async with pair(sockets) as (_, driver):
        holder = connect({"qmp_socket": f"{sockets}/{{vm}}.sock"})
        await holder.state("w1")
        begun = now()
        with pytest.raises(ActionTimedOut, match=r"another QMP client holds .*w1\.sock"):
            await driver.state("w1")
        assert now() - begun <= 2.1
        await holder.close()
        await driver.state("w1")


async def test_a_socket_whose_queue_is_full_is_said_at_once(sockets: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(sockets / "w1.sock"))
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as holder:
            holder.connect(str(sockets / "w1.sock"))
            driver = connect({"qmp_socket": f"{sockets}/{{vm}}.sock"})
            with pytest.raises(ActionTimedOut, match="another QMP client"):
                await driver.state("w1")
            await driver.close()


@in_virtual_time
async def test_qemu_that_does_not_answer_is_given_up_in_time(sockets: Path) -> None:
    async with pair(sockets) as (qemu, driver):
        await driver.state("w1")
        qemu.mute = True
        begun = now()
        with pytest.raises(ActionTimedOut, match="did not answer query-hotpluggable-cpus"):
            await driver.state("w1")
        assert now() - begun <= 5.1
        qemu.mute = False
        await driver.state("w1")


@in_virtual_time
async def test_a_lost_connection_to_a_living_vm_is_made_anew(sockets: Path) -> None:
    async with pair(sockets) as (qemu, driver):
        await driver.state("w1")
        qemu._clients[0].close()
        assert (await driver.state("w1")).attached == {0}
        await asyncio.sleep(1)
        qemu._clients[1].close()
        await asyncio.sleep(1)
        await driver.plug("w1", {1})


@in_virtual_time
async def test_a_vm_that_dies_in_an_unplug_is_gone(sockets: Path) -> None:
    async with pair(sockets, deaf=True) as (qemu, driver):
        await driver.plug("w1", {1})
        unplug = asyncio.create_task(driver.unplug("w1", {1}))
        await asyncio.sleep(2)
        await qemu.kill()
        begun = now()
        with pytest.raises(VmGone, match="no QEMU listens"):
            await unplug
        assert now() - begun < 1


@in_virtual_time
async def test_a_vm_that_was_never_started_is_gone(sockets: Path) -> None:
    driver = connect({"qmp_socket": f"{sockets}/{{vm}}.sock"})
    with pytest.raises(VmGone, match="there is no QMP socket"):
        await driver.state("w9")


@in_virtual_time
async def test_a_path_too_long_for_a_socket_is_an_error_not_a_lost_vm(sockets: Path) -> None:
    driver = connect({"qmp_socket": f"/{'x' * 200}/{{vm}}.sock"})
    with pytest.raises(DriverError, match="too long") as error:
        await driver.state("w9")
    assert not isinstance(error.value, VmGone)


HOSTILE = {
    "no JSON": b"hello\n",
    "no object": b"[1, 2]\n",
    "not UTF-8": b'{"return": "\xff\xfe", "id": "$ID"}\n',
    "nested deeply": b"[" * 100_000 + b"\n",
    "endless": b'{"return": "' + b"x" * (LONGEST_ANSWER + 10) + b'", "id": "$ID"}\n',
    "neither return nor error": b'{"id": "$ID"}\n',
    "an error that is none": b'{"error": 5, "id": "$ID"}\n',
    "an error without words": b'{"error": {"class": 1, "desc": []}, "id": "$ID"}\n',
    "an id of a strange type": b'{"return": [], "id": []}\n',
    "a number": b'{"return": 7, "id": "$ID"}\n',
    "no CPUs": b'{"return": [], "id": "$ID"}\n',
    "strange CPUs": b'{"return": [5], "id": "$ID"}\n',
    "CPUs without a type": b'{"return": [{"props": {"core-id": 0}}], "id": "$ID"}\n',
    "CPUs with strange properties": (
        b'{"return": [{"type": "x", "vcpus-count": 1, "props": {"driver": 1}}], "id": "$ID"}\n'
    ),
    "CPUs with strange numbers": (
        b'{"return": [{"type": "x", "vcpus-count": 1, "props": {"core-id": true}}], "id": "$ID"}\n'
    ),
    "CPUs at a strange path": (
        b'{"return": [{"type": "x", "vcpus-count": 1, "props": {"core-id": 1}, "qom-path": 1}],'
        b' "id": "$ID"}\n'
    ),
    "CPUs of several threads": (
        b'{"return": [{"type": "x", "vcpus-count": 8, "props": {"core-id": 1}}], "id": "$ID"}\n'
    ),
    "a CPU twice": (
        b'{"return": [{"type": "x", "vcpus-count": 1, "props": {"core-id": 1}},'
        b' {"type": "x", "vcpus-count": 1, "props": {"core-id": 1}}], "id": "$ID"}\n'
    ),
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_answer_that_makes_no_sense_is_an_error_that_names_it(
    answer: bytes, sockets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    @in_virtual_time
    async def check() -> None:
        async with pair(sockets) as (qemu, driver):
            await driver.state("w1")
            qemu.answers["query-hotpluggable-cpus"] = answer
            with pytest.raises(DriverError, match="query-hotpluggable-cpus") as error:
                await driver.state("w1")
            assert type(error.value) is DriverError
            assert len(str(error.value)) < 500
            qemu.answers.clear()
            assert (await driver.state("w1")).attached == {0}

    check()
    assert "never retrieved" not in caplog.text


@pytest.mark.parametrize(
    "greeting", [b"SSH-2.0\n", b'{"QMP": 5}\n', b"x" * (LONGEST_ANSWER * 3), b"{}\n"]
)
def test_a_socket_of_something_else_is_an_error_that_names_it(
    greeting: bytes, sockets: Path
) -> None:
    @in_virtual_time
    async def check() -> None:
        async with pair(sockets, greeting=greeting) as (_, driver):
            with pytest.raises(DriverError, match=r"w1\.sock is not QMP") as error:
                await driver.state("w1")
            assert type(error.value) is DriverError
            assert len(str(error.value)) < 500

    check()


@in_virtual_time
async def test_events_that_make_no_sense_are_passed_over(sockets: Path) -> None:
    async with pair(sockets, eject_s=2.0) as (qemu, driver):
        await driver.plug("w1", {1})
        unplug = asyncio.create_task(driver.unplug("w1", {1}))
        await asyncio.sleep(0.1)
        for data in ({}, {"info": 5}, {"info": {"slot-type": "CPU", "status": "x", "source": []}}):
            qemu._tell("ACPI_DEVICE_OST", **data)
        qemu._tell("DEVICE_UNPLUG_GUEST_ERROR", path=["?"])
        await unplug


@in_virtual_time
async def test_an_event_that_breaks_the_connection_does_not_break_the_unplug(sockets: Path) -> None:
    async with pair(sockets, eject_s=3.0) as (qemu, driver):
        await driver.plug("w1", {1})
        unplug = asyncio.create_task(driver.unplug("w1", {1}))
        await asyncio.sleep(0.1)
        qemu._writer.write(b'{"event": {}}\n')
        await unplug


@in_virtual_time
async def test_a_refusal_told_by_path_is_understood(sockets: Path) -> None:
    async with pair(sockets, deaf=True) as (qemu, driver):
        await driver.plug("w1", {1})
        unplug = asyncio.create_task(driver.unplug("w1", {1}))
        await asyncio.sleep(0.1)
        qemu._tell("DEVICE_UNPLUG_GUEST_ERROR", path="/machine/peripheral/hotslot-cpu1")
        with pytest.raises(ActionRefused, match=r"the guest refused to eject vCPU 1$"):
            await unplug


@in_virtual_time
async def test_a_check_names_what_would_stop_hot_plug_and_what_to_type(sockets: Path) -> None:
    async with pair(sockets, topology=(1, 1, 1), running=False) as (_, driver):
        found = {f.found: f for f in await driver.check(["w1"])}
        assert found["QEMU 10.0.13"].level is Level.OK
        assert found["has room for 1 vCPU only"].remedy == "start with -smp 1,maxcpus=N"
        emulated = found["is emulated (TCG): some 20 times slower than KVM"]
        assert (emulated.level, emulated.remedy) == (
            Level.WARN,
            "-accel kvm, where the host's CPU can",
        )
        assert any("threads named for 0 of 1 vCPUs" in words for words in found)
        assert any("paused" in words for words in found)
        assert {f.subject for f in found.values()} == {"VM w1"}


@in_virtual_time
async def test_a_check_warns_of_an_emulated_vm_that_few_plugs_would_kill(sockets: Path) -> None:
    async with pair(sockets) as (_, driver):
        found = await driver.check(["w1"])
        assert any("QEMU aborts once 8 vCPUs were ever plugged" in f.found for f in found)


@in_virtual_time
async def test_a_check_of_a_taken_socket_says_who_may_hold_it(sockets: Path) -> None:
    async with pair(sockets) as (_, driver):
        holder = connect({"qmp_socket": f"{sockets}/{{vm}}.sock"})
        await holder.state("w1")
        (found,) = await driver.check(["w1"])
        assert found.level is Level.WARN
        assert found.remedy.startswith("if hotslotd runs it is the other client")
        await holder.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "qmp_socket is required"),
        ({"qmp_socket": 5}, "qmp_socket should be a path like"),
        ({"qmp_socket": "/run/w1.sock"}, r"with \{vm\} for the VM's name; it is '/run/w1.sock'"),
        ({"qmp_socket": "run/{vm}.sock"}, "qmp_socket should be a path"),
        ({"qmp_socket": "/run/{vm}/{name}.sock"}, "qmp_socket should be a path"),
        ({"qmp_sockets": "/run/{vm}.sock"}, "unknown key 'qmp_sockets'; did you mean 'qmp_socket'"),
        ({"qmp_socket": "/run/{vm}.sock", "x": 1}, "unknown key 'x'; known: qmp_socket"),
        ({"qmp_socket": "/run/{vm}.sock", "\ud800": 1}, "keys should be valid strings"),
        ({"qmp_socket": 1 << 99999}, "it is too long to show"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        connect(settings)


def error(words: bytes, kind: bytes = b"GenericError") -> bytes:
    """An error answer of QEMU."""
    return b'{"error": {"class": "%s", "desc": "%s"}, "id": "$ID"}\n' % (kind, words)
