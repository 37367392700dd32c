"""The drivers that need no hypervisor conform; QEMU's own does so in tests/live."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from act.conformance import Bench, DriverConformance
from fakes.driver import FakeDriver, FakeVm
from fakes.qemu import FakeQemu
from hotslot.act.qemu import connect


class TestTheFakeDriver(DriverConformance):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        driver = FakeDriver(w1=FakeVm())

        async def kill() -> None:
            driver.vms["w1"].alive = False

        yield Bench(driver, "w1", kill, lambda: len(driver.calls))
        await driver.close()


class TestTheQemuDriver(DriverConformance):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        with tempfile.TemporaryDirectory(prefix="qmp") as directory:
            qemu = FakeQemu(Path(directory) / "w1.sock", eject_s=0.002)
            await qemu.start()
            driver = connect({"qmp_socket": f"{directory}/{{vm}}.sock"})
            yield Bench(driver, "w1", qemu.kill, lambda: len(qemu.actions))
            await driver.close()
            await qemu.kill()
