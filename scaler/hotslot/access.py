"""Who may ask what over the agent's UNIX socket: by what the kernel says of who connected.

Nothing that a client sends counts: user, group and groups are those of the process that connected,
at that moment (SO_PEERCRED, SO_PEERGROUPS).
"""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import socket
import struct
import time
from array import array
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from hotslot.config import Agent
from hotslot.errors import ConfigError, Problem

SO_PEERGROUPS = 59
"""From Linux 4.13 on; the socket module does not name it."""

GROUPS_BYTES = 1024
"""The most that getsockopt takes: 256 groups; of who has more, the user database is asked."""

NAME_S = 2.0
"""How long the user database (LDAP, say) may take to name a user."""

NAME_KEPT_S = 60.0


class Role(IntEnum):
    """What somebody may do; each may do what those below may."""

    NOBODY = 0
    READER = 1
    ADMIN = 2


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a UNIX socket, as the kernel says."""

    pid: int
    uid: int
    groups: frozenset[int]


@dataclass(frozen=True, slots=True)
class Access:
    """Who has which role. ``own_uid`` is the agent's own user, who could do all of it anyway."""

    own_uid: int
    reader_gid: int | None = None
    admin_gid: int | None = None
    everyone_reads: bool = False
    own_jobs_only: bool = False

    def role(self, peer: Peer) -> Role:
        """Return what a peer may do."""
        if peer.uid in (0, self.own_uid) or self.admin_gid in peer.groups:
            return Role.ADMIN
        reads = self.everyone_reads or self.reader_gid in peer.groups
        return Role.READER if reads else Role.NOBODY

    @property
    def mode(self) -> int:
        """Mode of the socket's file: who has no role in the end cannot even connect.

        But a file has one group only: of two groups, each connection is looked at by itself.
        """
        return 0o666 if self.everyone_reads or self._two_groups else 0o660

    @property
    def gid(self) -> int | None:
        """Group that the socket's file needs; None: none but the agent's."""
        if self.mode == 0o666:
            return None
        return self.reader_gid if self.reader_gid is not None else self.admin_gid

    @property
    def _two_groups(self) -> bool:
        return None not in (self.reader_gid, self.admin_gid) and self.reader_gid != self.admin_gid


def access_of(agent: Agent) -> Access:
    """Return who may ask what; ConfigError names a group that this host does not know."""
    problems: list[Problem] = []
    gids: dict[str, int | None] = {}
    for key in ("socket_group", "socket_admin_group"):
        name = getattr(agent, key)
        try:
            gids[key] = None if name is None else grp.getgrnam(name).gr_gid
        except (KeyError, ValueError):
            problems.append(Problem(f"agent.{key}", f"this host has no group {name!r}"))
    if problems:
        raise ConfigError("configuration", problems)
    return Access(
        own_uid=os.geteuid(),
        reader_gid=gids["socket_group"],
        admin_gid=gids["socket_admin_group"],
        everyone_reads=agent.socket_readers == "everyone",
        own_jobs_only=agent.users_see_own_jobs_only,
    )


def peer_of(connected: socket.socket) -> Peer:
    """Return who connected; OSError when the kernel does not say."""
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("iII", raw)
    return Peer(pid, uid, frozenset({gid, *_groups(connected, uid, gid)}))


def _groups(connected: socket.socket, uid: int, gid: int) -> list[int]:
    try:
        raw = connected.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, GROUPS_BYTES)
    except OSError:
        with suppress(KeyError, OSError):
            return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
        return []
    return array("I", raw).tolist()


class Names:
    """Users' names, from the user database, remembered for NAME_KEPT_S.

    In a thread of its own: a database that hangs must not take those that schedulers are asked in.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "hotslot-names")
        self._known: dict[int, tuple[float, str | None]] = {}

    async def name(self, uid: int) -> str | None:
        """Return a user's name; None when nobody says within NAME_S."""
        now = time.monotonic()
        at, known = self._known.get(uid, (float("-inf"), None))
        if now - at < NAME_KEPT_S:
            return known
        try:
            async with asyncio.timeout(NAME_S):
                asked = asyncio.get_running_loop().run_in_executor(self._thread, pwd.getpwuid, uid)
                known = (await asked).pw_name
        except KeyError:
            known = None
        except TimeoutError:
            return None
        self._known[uid] = (now, known)
        return known


_WORKER = (
    "worker",
    "vm",
    "scheduler",
    "floor_vcpus",
    "ceiling_vcpus",
    "up",
    "busy",
    "granted_vcpus",
    "used_cores",
    "waited_cores",
    "requested_vcpus",
    "entitled_vcpus",
    "wish_vcpus",
    "target_vcpus",
    "borrows",
    "clawback_vcpus",
    "changed_from_vcpus",
    "changed_at",
    "decided_vcpus",
    "decided_at",
)
_STATUS = ("host", "at", "version", "agent", "cores", "policy", "offers", "workers")
_AGENT = ("started_at", "cycles", "record")
_GROUP = ("scheduler", "group", "used_cpus", "limit_cpus", "promised_cpus", "answers")
_SCHEDULER = ("name", "calls", "silent_since", "compared_at", "not_written_back")


def for_user(status: Mapping[str, Any], user: str | None) -> dict[str, Any]:
    """Return a status as ``user`` may see it: of others' workers figures only, and the host's.

    What is not known to be a figure is blank: a new key is private until it is named here.
    """
    offers, agent = status.get("offers", {}), status.get("agent", {})
    schedulers = [_blank(one, _SCHEDULER) for one in agent.get("schedulers", [])]
    groups = [_blank(one, _GROUP) for one in offers.get("groups", [])]
    return {
        **_blank(status, _STATUS),
        "agent": {**_blank(agent, _AGENT), "schedulers": schedulers},
        "ledger": _ledger(status.get("ledger")),
        "offers": {
            "groups": groups,
            "waiting_jobs": offers.get("waiting_jobs"),
            "queue": [],
            "problem": None,
        },
        "workers": [
            dict(worker)
            if user is not None and worker.get("user") == user
            else _blank(worker, _WORKER)
            for worker in status.get("workers", [])
        ],
    }


def _ledger(ledger: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the host's sums, without whose job borrows from whose."""
    if ledger is None:
        return None
    sums = {key: value for key, value in ledger.items() if isinstance(value, int | float)}
    return {**sums, "forecast": ledger.get("forecast", {}), "loans": [], "offers": []}


def _blank(values: Mapping[str, Any], public: Collection[str]) -> dict[str, Any]:
    return {key: value if key in public else None for key, value in values.items()}
