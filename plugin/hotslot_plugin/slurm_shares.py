"""Fair-share factors of users, as ``sshare`` tells them; asked seldom, and never needed.

A factor is of a user in an account, from 0 to 1 (slurm.schedmd.com: priority_multifactor.html), and
of one partition where a site's associations are of partitions. ``sshare`` needs the priority plugin
``multifactor``, which needs slurmdbd; anybody may ask it. Without them nothing is told.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from hotslot.model import Placement
from hotslot_plugin.fair_shares import TIMEOUT_S, FairShares
from hotslot_plugin.slurm_command import Command

USERS_MAX = 200
"""So many users, those that were seen last, are asked for."""

USER = re.compile(r"[A-Za-z0-9._@][A-Za-z0-9._@-]{0,63}")

_FACTOR = re.compile(r"[0-9]\.[0-9]{1,12}", re.ASCII)

Key = tuple[str, str, str]
"""Account, user, partition; '' where an association is of all partitions."""


class Shares:
    """The factors of those users whose jobs are seen."""

    def __init__(self, command: Command, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._command = replace(command, timeout_s=min(command.timeout_s, TIMEOUT_S))
        self._users: dict[str, None] = {}
        self._shares = FairShares(self._ask, monotonic)

    def told(self, found: Sequence[Placement], *, may_ask: bool) -> list[Placement]:
        """Return placements with the fair share of those that have a claim on a worker.

        Without ``may_ask`` by what is known: no job that starts waits for this. That of a user who
        was not seen before is known at the next time that it may be asked for.
        """
        self._see(placement.user for placement in found if placement.phase.occupies)
        if may_ask and self._users:
            self._shares.refresh()
        return [replace(p, fair_share=self._of(p)) if p.phase.occupies else p for p in found]

    def _see(self, users: Iterable[str]) -> None:
        for user in users:
            if USER.fullmatch(user):
                self._users.pop(user, None)
                self._users[user] = None
        while len(self._users) > USERS_MAX:
            del self._users[next(iter(self._users))]

    def _of(self, placement: Placement) -> float | None:
        own = (placement.account, placement.user, placement.partition)
        known = self._shares.known
        return known.get(own, known.get((*own[:2], "")))

    def _ask(self) -> dict[Key, float]:
        words = ("--noheader", "--parsable2", "--Users", "--users=" + ",".join(self._users))
        said = self._command.ask("sshare", *words, "--format=Account,User,Partition,FairShare")
        return shares_in(said.decode("utf-8", "replace"))


def shares_in(text: str) -> dict[Key, float]:
    """Return the factors of an answer; lines that have none are left out.

    Worked: ``  physics|alice||0.250000``: 0.25 for alice in physics. sshare indents accounts.
    """
    return {key: factor for line in text.splitlines() for key, factor in _share(line)}


def _share(line: str) -> Collection[tuple[Key, float]]:
    fields = [field.strip() for field in line.split("|")]
    if len(fields) != 4 or not fields[1] or not _FACTOR.fullmatch(fields[3]):
        return ()
    account, user, partition, factor = fields
    return [((account, user, partition), float(factor))] if float(factor) <= 1 else ()
