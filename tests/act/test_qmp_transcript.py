"""The fake QEMU says what the real one said, case by case."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from act.record_qmp import timeless
from fakes.qemu import FakeQemu
from fakes.virtual_time import in_virtual_time
from hotslot.act.qemu_cpus import attached, cpus

TRANSCRIPTS = sorted((Path(__file__).parents[1] / "transcripts").glob("qmp-*.jsonl"))


def lines_of(transcript: Path) -> list[dict[str, Any]]:
    """Return the lines of a transcript: the greeting, then commands with what they led to."""
    return [json.loads(line) for line in transcript.read_text().splitlines()]


async def said(reader: asyncio.StreamReader, silence_s: float = 1.0) -> list[dict[str, Any]]:
    """Return all messages until there is silence."""
    messages = []
    while True:
        try:
            async with asyncio.timeout(silence_s):
                messages.append(timeless(json.loads(await reader.readline())))
        except TimeoutError:
            return messages


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_fake_says_what_the_real_one_said(transcript: Path, tmp_path: Path) -> None:
    @in_virtual_time
    async def check() -> None:
        qemu = FakeQemu(tmp_path / "vm", topology=(2, 2, 2), booted=2)
        await qemu.start()
        reader, writer = await asyncio.open_unix_connection(tmp_path / "vm")
        greeting, *steps = lines_of(transcript)
        assert await said(reader) == [greeting["greeting"]]
        for step in steps:
            writer.write(json.dumps(step["sent"]).encode())
            messages = await said(reader)
            assert [m for m in messages if "event" not in m] == [step["answer"]], step["sent"]
            assert [m for m in messages if "event" in m] == step["events"], step["sent"]
        writer.close()
        await qemu.kill()

    check()


def test_there_is_a_transcript() -> None:
    assert TRANSCRIPTS


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_index_of_a_vcpu_is_the_slot_that_events_name(transcript: Path) -> None:
    _, *steps = lines_of(transcript)
    plugs = [s for s in steps if s["sent"]["execute"] == "device_add" and s["events"]]
    lists = [s for s in steps if s["sent"]["execute"] == "query-hotpluggable-cpus"]
    listed = cpus(lists[1]["answer"]["return"])
    for plug in plugs:
        slot = int(plug["events"][0]["data"]["info"]["slot"])
        assert listed[slot].path == f"/machine/peripheral/{plug['sent']['arguments']['id']}"
    assert [attached(cpus(s["answer"]["return"])) for s in lists] == [
        {0, 1},
        {0, 1, 2, 3},
        {0, 2},
        {0, 2},
        {0},
    ]
