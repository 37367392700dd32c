"""The agent's process loses its life, its record, its descriptors, and goes on."""

from __future__ import annotations

import resource
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fakes.agent_process import AgentProcess, eventually, vms
from hotslot.errors import AgentUnreachable
from hotslot.record.history import History

WORKERS = 2


@pytest.fixture
def agent() -> Iterator[AgentProcess]:
    """An agent of two workers, each with a job, in a folder that is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="hs", dir="/tmp") as folder, vms(WORKERS) as pids:
        agent = AgentProcess(Path(folder), pids)
        try:
            agent.start()
            yield agent
        finally:
            agent.end(signal.SIGKILL)


def test_an_agent_that_is_killed_for_its_memory_goes_on_with_its_leases(
    agent: AgentProcess,
) -> None:
    """The kernel's killer sends SIGKILL, too; systemd starts the agent again."""
    held = agent.leases()
    eventually(lambda: agent.cycles() > 5, "some cycles")
    agent.end(signal.SIGKILL)
    agent.start()
    assert agent.leases() == held
    agent.end()
    with History(agent.database) as history:
        assert len(history.open_leases()) == WORKERS
        assert history.last_lease_id() == WORKERS


def test_an_agent_whose_record_was_damaged_meanwhile_starts_with_a_new_one(
    agent: AgentProcess,
) -> None:
    assert agent.end() == 0
    raw = agent.database.read_bytes()
    agent.database.write_bytes(raw[:4096] + bytes(len(raw) - 4096))
    agent.start()
    aside = agent.status()["agent"]["record"]["set_aside"]
    assert Path(aside).stat().st_size == len(raw)
    assert len(agent.leases()) == WORKERS
    assert f"the damaged file is {aside}" in agent.log.read_text()


def test_an_agent_whose_record_is_damaged_under_it_goes_on_with_a_new_one(
    agent: AgentProcess,
) -> None:
    held = agent.leases()
    with closing(sqlite3.connect(agent.database)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = agent.database.read_bytes()
    agent.database.write_bytes(raw[:4096] + b"\x55" * (len(raw) - 4096))
    eventually(lambda: bool(agent.status()["agent"]["record"]["set_aside"]), "it is set aside")
    assert agent.status()["agent"]["record"]["condition"] == "ok"
    assert agent.leases() == held
    agent.end()
    with History(agent.database) as history:
        assert {one.id for one in history.open_leases()} == set(held.values())


def test_an_agent_without_descriptors_goes_on_and_answers_again_once_it_has_some(
    agent: AgentProcess,
) -> None:
    held = agent.leases()
    soft, hard = resource.prlimit(agent.pid, resource.RLIMIT_NOFILE)
    used = len(list(Path(f"/proc/{agent.pid}/fd").iterdir()))
    resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (min(used - 8, soft), hard))
    before = agent.cycles()
    with pytest.raises(AgentUnreachable):
        agent.status()
    eventually(lambda: agent.cycles() > before + 10, "cycles go on")
    resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (soft, hard))
    eventually(lambda: agent.leases() == held, "it answers again, with the same leases")
    assert agent.status()["agent"]["record"]["condition"] == "ok"
