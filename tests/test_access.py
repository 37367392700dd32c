"""Who may ask what over the agent's socket: real sockets, real processes of other users."""

from __future__ import annotations

import asyncio
import grp
import io
import json
import os
import pwd
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hotslot.access import Access, Names, Peer, Role, access_of, for_user, peer_of
from hotslot.api import command_app, serve_commands
from hotslot.client import ask
from hotslot.config import Agent
from hotslot.errors import AgentUnreachable, ConfigError
from hotslot.report.status import Status, status_page
from hotslot.routes import Request, Response, figures
from report.reported import answer

READERS, ADMINS, OTHERS = 4001, 4002, 4003
ASK = """
import json, os, socket, sys
uid, gid, *groups = map(int, sys.argv[4:])
os.setgroups(groups)
os.setgid(gid)
os.setuid(uid)
with socket.socket(socket.AF_UNIX) as s:
    s.settimeout(10)
    try:
        s.connect(sys.argv[1])
    except PermissionError:
        print(json.dumps([0, "may not connect"])); sys.exit()
    s.sendall(f"{sys.argv[2]} {sys.argv[3]} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n"
              "Content-Length: 0\\r\\n\\r\\n".encode())
    said = b""
    while part := s.recv(65536):
        said += part
head, _, body = said.partition(b"\\r\\n\\r\\n")
print(json.dumps([int(head.split()[1]), body.decode()]))
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other users")


def worker(name: str, user: str | None, job: str | None) -> dict[str, Any]:
    return {
        "worker": name, "vm": name, "up": True, "granted_vcpus": 2, "used_cores": 1.5,
        "requested_vcpus": 4, "job": job, "user": user, "job_name": "train", "lease": 7,
        "decision": f"for {job} of {user}", "problem": None, "tomorrows_key": user,
    }  # fmt: skip


NOBODY = pwd.getpwnam("nobody")
STATUS: dict[str, Any] = {
    "host": "n1",
    "at": 1.0,
    "version": "0",
    "agent": {"cycles": 3, "schedulers": [{"name": "slurm", "compared": "alice's job 4711"}]},
    "cores": 8,
    "policy": "hotslot",
    "offers": {"groups": [{"scheduler": "slurm", "group": "n1", "used_cpus": 2, "next": "alice"}],
               "waiting_jobs": {"slurm": 1}, "problem": "alice"},
    "tomorrows_key": "alice",
    "workers": [worker("w1", "alice", "4711"), worker("w2", NOBODY.pw_name, "4712"),
                worker("w3", None, None)],
}  # fmt: skip


async def look() -> list[dict[str, object]]:
    return []


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that all users can look into."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        Path(made).chmod(0o755)
        yield Path(made)


class Agents:
    """Agents with different settings, each on a socket of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._served: list[Any] = []

    async def start(self, access: Access) -> Path:
        path = self._folder / f"{len(self._served)}.sock"
        app = command_app(lambda: STATUS, look)

        async def change(_: Request) -> Response:
            return figures({"changed": True})

        app.add("POST", "/v1/change", change)
        self._served.append(await serve_commands(app, path, access))
        return path

    async def stop(self) -> None:
        for served in self._served:
            await served.close()


@pytest.fixture
async def agents(folder: Path) -> AsyncIterator[Agents]:
    made = Agents(folder)
    yield made
    await made.stop()


async def asked(
    path: Path,
    uid: int,
    gid: int = 65534,
    groups: tuple[int, ...] = (),
    call: str = "GET /v1/status",
) -> tuple[int, Any]:
    """Ask in a process of that user and those groups; status 0: may not even connect."""

    def run() -> tuple[int, Any]:
        who = map(str, (uid, gid, *groups))
        command = [sys.executable, "-I", "-S", "-c", ASK, str(path), *call.split(), *who]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        status, body = json.loads(done.stdout)
        return status, json.loads(body) if status == 200 else body

    return await asyncio.to_thread(run)


ROOT_ONLY = Access(own_uid=0)
TWO_GROUPS = Access(own_uid=0, reader_gid=READERS, admin_gid=ADMINS)
CHANGE = "POST /v1/change"
LOOK = "GET /v1/driver-check"


@as_root
async def test_by_default_others_cannot_even_connect(agents: Agents) -> None:
    path = await agents.start(ROOT_ONLY)
    assert path.stat().st_mode & 0o777 == 0o660
    assert (await asked(path, 0, 0))[0] == 200
    assert (await asked(path, 0, 0, call=CHANGE))[0] == 200
    assert (await asked(path, NOBODY.pw_uid))[0] == 0


@as_root
async def test_readers_read_and_admins_change(agents: Agents) -> None:
    path = await agents.start(TWO_GROUPS)
    uid = NOBODY.pw_uid
    for call, reader, admin in (
        ("GET /v1/status", 200, 200), (LOOK, 403, 200), (CHANGE, 403, 200)):  # fmt: skip
        assert (await asked(path, uid, groups=(READERS,), call=call))[0] == reader
        assert (await asked(path, uid, gid=READERS, call=call))[0] == reader, "first group"
        assert (await asked(path, uid, groups=(OTHERS, ADMINS), call=call))[0] == admin
        status, words = await asked(path, uid, groups=(OTHERS,), call=call)
        assert status == 403
        assert "you are not a member of agent.socket" in words


@as_root
async def test_one_group_needs_no_look_at_each_connection(agents: Agents) -> None:
    path = await agents.start(Access(own_uid=0, reader_gid=READERS))
    assert (path.stat().st_mode & 0o777, path.stat().st_gid) == (0o660, READERS)
    assert (await asked(path, NOBODY.pw_uid, groups=(READERS,)))[0] == 200
    assert (await asked(path, NOBODY.pw_uid))[0] == 0


@as_root
async def test_everyone_reads_and_nobody_else_changes(agents: Agents) -> None:
    path = await agents.start(Access(own_uid=0, everyone_reads=True))
    assert path.stat().st_mode & 0o777 == 0o666
    assert (await asked(path, 12345))[0] == 200
    assert (await asked(path, 12345, call=CHANGE))[0] == 403
    assert (await asked(path, 12345, call="DELETE /v1/status"))[0] == 403
    assert (await asked(path, 12345, call="GET /v1/driver-check/"))[0] in (403, 404)


@as_root
async def test_the_agents_own_user_may_all(agents: Agents) -> None:
    path = await agents.start(Access(own_uid=4321, everyone_reads=True))
    assert (await asked(path, 4321, call=CHANGE))[0] == 200
    assert (await asked(path, 4322, call=CHANGE))[0] == 403


@as_root
async def test_users_see_who_has_a_worker_for_their_own_jobs_only(agents: Agents) -> None:
    path = await agents.start(
        Access(own_uid=0, everyone_reads=True, admin_gid=ADMINS, own_jobs_only=True)
    )
    _, seen = await asked(path, NOBODY.pw_uid)
    others, own, idle = seen["workers"]
    assert own == STATUS["workers"][1]
    assert (others["granted_vcpus"], others["used_cores"], others["up"]) == (2, 1.5, True)
    assert others.keys() == STATUS["workers"][0].keys()
    assert idle["job"] is None
    assert seen["cores"] == 8
    for secret in ("alice", "4711"):
        assert secret not in json.dumps(seen)
    assert (await asked(path, NOBODY.pw_uid, call="GET /v1/other"))[0] == 403, "not known to blank"
    _, nameless = await asked(path, 54321)
    assert "4712" not in json.dumps(nameless), "a user without a name has no jobs"
    for uid, groups in ((0, ()), (NOBODY.pw_uid, (ADMINS,))):
        assert (await asked(path, uid, groups=groups))[1] == STATUS


@given(st.text(max_size=12), st.text(max_size=12))
def test_nothing_of_others_is_seen_whatever_it_is(me: str, other: str) -> None:
    secret = f"secret-{other}"
    mine, theirs = worker("w1", me, "1"), worker("w2", secret, secret)
    theirs |= {f"key{n}": [secret] for n in range(3)}
    seen = for_user({**STATUS, "workers": [mine, theirs]}, me)
    assert seen["workers"][0] == mine
    assert secret not in repr(seen)


def test_a_status_in_part_is_one_that_commands_can_show() -> None:
    whole = answer()
    assert len(whole["ledger"]["forecast"]) > 0
    seen = for_user(whole, "nobody-of-them")
    assert "alice" not in json.dumps(seen)
    text = io.StringIO()
    Console(file=text, width=200).print(status_page(Status.of(seen)))
    assert "n1-w1" in text.getvalue()
    assert Status.of(seen).cores == Status.of(whole).cores


@given(
    st.integers(0, 5), st.frozensets(st.integers(0, 5)), st.integers(0, 5),
    st.none() | st.integers(0, 5), st.none() | st.integers(0, 5), st.booleans(),
)  # fmt: skip
def test_roles_are_what_the_documentation_says(
    uid: int,
    groups: frozenset[int],
    own: int,
    reader: int | None,
    admin: int | None,
    everyone: bool,
) -> None:
    access = Access(own, reader, admin, everyone)
    role = access.role(Peer(1, uid, groups))
    assert (role is Role.ADMIN) == (uid in (0, own) or admin in groups)
    assert (role >= Role.READER) == (role is Role.ADMIN or everyone or reader in groups)
    can_connect = access.mode & 0o006 or access.gid in groups or uid in (0, own)
    assert can_connect or role is Role.NOBODY, "the file's mode keeps out nobody who may ask"


def test_the_kernel_says_who_is_there() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        groups = frozenset({os.getegid(), *os.getgroups()})
        assert peer_of(one) == Peer(os.getpid(), os.geteuid(), groups)


def test_groups_of_the_configuration_must_exist() -> None:
    known = grp.getgrgid(os.getegid()).gr_name
    assert access_of(Agent(socket_group=known)).reader_gid == os.getegid()
    with pytest.raises(ConfigError) as caught:
        access_of(Agent(socket_group="no-such-group", socket_admin_group="nor\0this"))
    assert [problem.where for problem in caught.value.problems] == [
        "agent.socket_group", "agent.socket_admin_group"]  # fmt: skip


async def test_a_user_database_that_hangs_delays_nobody_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import time

    def hang(_: int) -> Any:
        time.sleep(0.5)
        return NOBODY

    monkeypatch.setattr("hotslot.access.NAME_S", 0.05)
    monkeypatch.setattr(pwd, "getpwuid", hang)
    assert await Names().name(1) is None


async def test_a_command_is_told_why_it_may_not(agents: Agents) -> None:
    path = await agents.start(Access(own_uid=0))
    if os.geteuid() == 0:
        assert (await asyncio.to_thread(ask, path, "/v1/status"))["host"] == "n1"
    refusing = await agents.start(Access(own_uid=-2))
    if os.geteuid() != 0:
        with pytest.raises(AgentUnreachable, match=r"not a member of agent\.socket_group"):
            await asyncio.to_thread(ask, refusing, "/v1/status")


async def test_a_socket_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"agent\.socket: cannot listen on"):
        await serve_commands(command_app(dict, look), tmp_path / "file" / "x.sock")
    with pytest.raises(ConfigError, match="too long"):
        await serve_commands(command_app(dict, look), tmp_path / ("x" * 120))
