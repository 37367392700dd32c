"""Making and keeping workers on a real VirtualBox, as far as it goes without its kernel modules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from act.test_virtualbox_machines import ADVICE, ALREADY, DONE, taken
from hotslot.act.driver import NewMachine
from hotslot.act.virtualbox import VirtualBoxDriver, connect
from hotslot.act.virtualbox_machines import SNAPSHOT
from hotslot.act.virtualbox_setup import HEADLESS, applied, connected, memory, possible
from hotslot.errors import ActionRefused, ActionTimedOut, DriverError, VmGone
from vbox import VirtualBox


@pytest.fixture
async def driver(vbox: VirtualBox) -> AsyncIterator[VirtualBoxDriver]:
    driver = connect({"command": list(vbox.command), "root": vbox.root})
    yield driver
    await driver.close()


@pytest.fixture
def template(vbox: VirtualBox) -> str:
    """A VM with a disk of its own that was never started; all hot-plug is off in it."""
    vbox.create("tpl", max_vcpus=4, hotplug=False)
    vbox.manage("createmedium", "disk", "--filename", "/vbox/tpl.vdi", "--size", "64")
    place = ("--storagectl", "ide", "--port", "1", "--device", "0", "--type", "hdd")
    vbox.manage("storageattach", "tpl", *place, "--medium", "/vbox/tpl.vdi")
    return "tpl"


async def test_a_worker_is_made_kept_and_removed(
    vbox: VirtualBox, driver: VirtualBoxDriver, template: str
) -> None:
    machines = driver.machines
    disk = Path(f"{vbox.root}/vbox/tpl.vdi")
    # Here no host-only network can be made; what comes before it is there, and is kept.
    for _ in range(2):
        with pytest.raises(DriverError, match="no host-only network, and none can be made"):
            await taken(machines.add(NewMachine("w1", template, 8, 192)))
    assert vbox.manage("guestproperty", "get", "w1", "/hotslot/node").stdout == "Value: w1\n"

    steps = await taken(machines.repair("w1"))
    assert [kind for kind, _ in steps] == [DONE, ALREADY, ALREADY, DONE, ALREADY, ADVICE]
    again = await taken(machines.repair("w1"))
    assert [kind for kind, _ in again] == [ALREADY] * 5 + [ADVICE]
    rest = (possible(6), memory(256), connected("vboxnet0"), HEADLESS)
    assert {kind for kind, _ in await taken(applied(machines._asking, "w1", rest))} == {DONE}
    vbox.manage("modifyvm", "w1", "--nic1", "none")

    ((kind, _),) = await taken(machines.start("w1"))
    assert kind is DONE
    assert (await driver.state("w1")).attached == {0}
    assert await taken(machines.start("w1")) == [(ALREADY, "runs")]
    vbox.manage("controlvm", "w1", "pause")
    assert (await taken(machines.repair("w1")))[0] == (DONE, "is resumed: it was paused")
    with pytest.raises(ActionRefused, match="is running"):
        await taken(machines.remove("w1", force=False))
    with pytest.raises(ActionTimedOut, match="within 2 s of the power button"):
        await taken(machines.stop("w1", timeout_s=2, force=False))
    vbox.manage("controlvm", "w1", "savestate")
    with pytest.raises(ActionRefused, match="saved state"):
        await taken(machines.start("w1"))
    assert (await taken(machines.repair("w1")))[0][0] is DONE
    await taken(machines.start("w1"))
    vbox.kill_vm("w1")
    assert (await taken(machines.repair("w1")))[0][0] is ALREADY
    await taken(machines.start("w1"))
    assert (await taken(machines.stop("w1", timeout_s=9, force=True)))[0][0] is DONE

    with pytest.raises(ActionRefused, match=f"is a template .snapshot {SNAPSHOT}"):
        await taken(machines.remove(template, force=True))
    ((kind, words),) = await taken(machines.remove("w1", force=False))
    assert kind is DONE
    assert words.endswith(".vdi")
    assert disk.exists()
    assert (await taken(machines.remove("w1", force=False)))[0][0] is ALREADY
    with pytest.raises(VmGone):
        await taken(machines.start("w1"))


async def test_a_worker_starts_with_its_host_where_there_is_a_database(
    vbox: VirtualBox, driver: VirtualBoxDriver
) -> None:
    Path(f"{vbox.root}/vbox/autostart").mkdir()
    vbox.create("a1")
    vbox.manage("setproperty", "autostartdbpath", "/vbox/autostart")
    assert (DONE, "starts with the host") in await taken(driver.machines.repair("a1"))
    assert {kind for kind, _ in await taken(driver.machines.repair("a1"))} == {ALREADY}
