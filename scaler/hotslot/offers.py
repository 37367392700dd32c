"""Sharing the host's cores out among its schedulers, and telling workers' gates what they may take.

The deciding is decide/offers.py's; here schedulers are asked and told. A scheduler that does not
answer keeps what it had, and nothing is taken from it or given to others on a guess.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hotslot.decide.offers import Key, Share, step, targets
from hotslot.desk import Desk
from hotslot.errors import SchedulerError
from hotslot.loop import Loop
from hotslot.model import Group, Queue, Waiting

log = logging.getLogger(__name__)

AGAIN_S = 10.0
"""A limit that has not come about in this time is set again."""

SOON_S = 1.0
"""Pause before the next look while a change has not come about yet."""

LOWER_S = 10.0
"""How long the agent's end waits for what is lent to be taken back."""

CLOSED_S = 60.0
"""So long after ``agent_wait_s`` a gate that got no answer has surely closed."""


@dataclass(slots=True)
class Standing:
    """A group as last told of by its scheduler, at ``seen_at``.

    ``aim`` is the limit that it should have. ``given`` is what it was given and has not confirmed
    yet; it is given nothing else before that, so that what the scheduler says is surely an answer
    to it. ``told`` is what its scheduler was told last, at ``told_at``. Times are monotonic s.
    """

    group: Group
    seen_at: float
    aim: int
    given: int | None = None
    told: int | None = None
    told_at: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def stands(self) -> int:
        """CPUs that must be taken for promised."""
        return max(self.group.used, self.group.limit, self.given or 0, self.aim)

    @property
    def next(self) -> int:
        """The limit that it is given, now or again."""
        return self.aim if self.given is None else self.given

    @property
    def settled(self) -> bool:
        """Whether the scheduler says what it should, and nothing else can come about."""
        return self.given is None and self.aim == self.group.limit

    def see(self, group: Group, now: float) -> None:
        """Take in what the scheduler says."""
        self.group, self.seen_at = group, now
        if self.given == group.limit:
            self.given = None
            self._wake()

    def want(self, cpus: int) -> None:
        """Aim at another limit."""
        if cpus != self.aim:
            self.aim = cpus
            self._wake()

    def give(self) -> int:
        """Return the limit that the scheduler may have from now on."""
        cpus = self.next
        self.given = None if cpus == self.group.limit else cpus
        return cpus

    def tell(self, now: float) -> bool:
        """Whether it is time to tell the scheduler of its limit, for the first time or again.

        One that was given and never confirmed is told again, even when what is aimed at stands: it
        might still come about.
        """
        if self.settled:
            return False
        if self.told == self.next and now - self.told_at < AGAIN_S:
            return False
        self.told, self.told_at = self.next, now
        return True

    async def until_news(self, have: int | None, wait_s: float) -> None:
        """Wait until there is something else to give than ``have``, but not longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while self.next == have:
                    await self.changed.wait()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class Offers:
    """The limits of all schedulers of this host; ``problem`` says why they do not move.

    ``agent_wait_s``: a gate that gets no answer for so long closes.
    """

    def __init__(
        self,
        loop: Loop,
        desks: Mapping[str, Desk],
        *,
        interval_s: float,
        agent_wait_s: float,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._desks = desks
        self._interval_s = interval_s
        self._wall = wall
        self._monotonic = monotonic
        self._standing: dict[Key, Standing] = {}
        self._waiting: dict[str, tuple[Waiting, ...]] = {}
        self._owners: set[str] = set(desks)
        self._silent: set[str] = set(desks)
        self._soon = asyncio.Event()
        self._began = monotonic()
        self._told: dict[str, float] = {}
        self._closed_s = agent_wait_s + CLOSED_S
        self._problems: list[str] = []
        self.problem = ""

    async def run(self) -> None:
        """Look and move limits, for ever."""
        while True:
            try:
                moving = await self.once()
            except Exception:
                log.exception("sharing out cores failed; it is tried again")
                moving = False
            self._soon.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SOON_S if moving else self._interval_s):
                    await self._soon.wait()

    def look_soon(self) -> None:
        """Something has changed that may let a job start."""
        self._soon.set()

    async def once(self) -> bool:
        """Ask all schedulers, and take one step; True when a change is under way."""
        self._problems = []
        await asyncio.gather(*(self._ask(name, desk) for name, desk in self._desks.items()))
        if self._standing:
            await self._step()
        self._say("; ".join(self._problems))
        return not all(one.settled for one in self._standing.values())

    async def _step(self) -> None:
        sharing, owned = self._loop.sharing, self._owned()
        cores, lent = sharing.cores - owned, 0 if owned else sharing.lent
        if cores <= 0:
            names = ", ".join(sorted(self._owners))
            self._problems.append(f"{names} may use all cores of this host: no limit is known")
        shares = self._shares()
        want = targets(cores, shares, self._waiting, self._wall(), lent)
        for key, cpus in step(cores + lent, shares, want).items():
            self._standing[key].want(cpus)
        sharing.offered = sum(one.stands - one.group.used for one in self._standing.values())
        if self._monotonic() - max(self._told.values(), default=float("-inf")) < SOON_S:
            return  # at most one change of a host a second; the next look is near
        # Who was told last comes last: limits of one that change all the time hold up no other's.
        answering = sorted(self._desks.keys() - self._silent)
        for name in sorted(answering, key=lambda name: self._told.get(name, float("-inf"))):
            if await self._tell(name):
                self._told[name] = self._monotonic()
                break

    async def lower(self) -> None:
        """Take back, at the agent's end, what is lent and not in use, until the schedulers confirm
        it; gates close by themselves."""
        lowering = sum(one.stands for one in self._standing.values()) > self._loop.sharing.cores
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOWER_S):
                while lowering:
                    lowering = await self._lowering()

    async def _lowering(self) -> bool:
        """Lower what is too high by its scheduler's own word; False when nothing is."""
        await asyncio.gather(*(self._ask(name, desk) for name, desk in self._desks.items()))
        limited = {key: one for key, one in self._standing.items() if not one.group.gated}
        for one in limited.values():
            one.given, one.aim = None, one.group.limit
        cores, shares = self._loop.sharing.cores, self._shares()
        changes = step(cores, shares, targets(cores, shares, {}, self._wall()))
        sinking: dict[str, dict[str, int]] = {}
        for (scheduler, group), one in limited.items():
            cpus = changes.get((scheduler, group), one.stands)
            if cpus < one.stands and scheduler not in self._silent:
                sinking.setdefault(scheduler, {})[group] = cpus
        for scheduler, limits in sinking.items():
            with contextlib.suppress(SchedulerError):
                await self._desks[scheduler].offer(limits)
        return bool(sinking)

    # --- what gates ask -------------------------------------------------------------------------

    async def admitted(self, worker: str, have: int | None, wait_s: float) -> int | None:
        """Return the CPUs that a worker's gate may admit, as soon as they are not ``have``, or
        after ``wait_s``; None while nobody knows.

        A scheduler that does not answer confirms no start either: its gates get no answer, and
        close if that lasts.
        """
        one = self._gate_of(worker)
        if one is None:
            return None
        await one.until_news(have, wait_s)
        return one.give()

    # --- figures --------------------------------------------------------------------------------

    def figures(self) -> list[dict[str, object]]:
        """Return the groups for ``hotslot status``: CPUs used, promised, and who waits."""
        return [
            {
                "scheduler": key[0],
                "group": key[1],
                "used_cpus": one.group.used,
                "limit_cpus": one.group.limit,
                "promised_cpus": one.stands,
                "answers": key[0] not in self._silent,
            }
            for key, one in sorted(self._standing.items())
        ]

    @property
    def waiting(self) -> Mapping[str, Sequence[Waiting]]:
        """The jobs that wait for CPUs, by the schedulers that answer."""
        return self._waiting

    # --- asking and telling ---------------------------------------------------------------------

    async def _ask(self, name: str, desk: Desk) -> None:
        try:
            queue = await desk.queue()
        except SchedulerError as error:
            self._silent.add(name)
            self._waiting.pop(name, None)
            self._problems.append(f"{name}: {error}")
            return
        self._silent.discard(name)
        self._take_in(name, queue)

    def _take_in(self, name: str, queue: Queue) -> None:
        now = self._monotonic()
        self._waiting[name] = queue.waiting
        self._owners = self._owners - {name} if queue.limited else self._owners | {name}
        for group in queue.groups:
            one = self._standing.get((name, group.name))
            if one is None:
                self._standing[name, group.name] = Standing(group, now, group.limit)
            else:
                one.see(group, now)

    async def _tell(self, name: str) -> bool:
        """Set the limits of a scheduler that are not as they should be; False when all are.

        Those of gates are taken by the workers, and the scheduler only hears that it may be worth
        while to look.
        """
        now = self._monotonic()
        limits = {
            group: one.next if one.group.gated else one.give()
            for (scheduler, group), one in self._standing.items()
            if scheduler == name and one.tell(now)
        }
        if not limits:
            return False
        try:
            await self._desks[name].offer(limits)
        except SchedulerError as error:
            self._problems.append(f"{name}: {error}")
        else:
            told = ", ".join(f"{group} {cpus} CPUs" for group, cpus in limits.items())
            log.info("%s may use: %s", name, told)
        return True

    def _gate_of(self, worker: str) -> Standing | None:
        for (scheduler, _), one in self._standing.items():
            if one.group.gated and one.group.workers == (worker,):
                return None if scheduler in self._silent else one
        return None

    # --- what stands ----------------------------------------------------------------------------

    def _owned(self) -> int:
        """Return the cores that must be taken for promised though no limit is known.

        Those of a scheduler whose limits are not hotslot's, or that has not answered yet; and, as
        long as a gate may be open from before this agent, those of a worker that nobody can ask.
        """
        known = {worker for one in self._standing.values() for worker in one.group.workers}
        young = self._monotonic() - self._began < self._closed_s
        return sum(
            self._loop.tracks[worker].settings.ceiling
            for name, desk in self._desks.items()
            for worker in desk.workers
            if name in self._owners or (young and worker not in known and self._is_up(worker))
        )

    def _is_up(self, worker: str) -> bool:
        return self._loop.tracks[worker].clock is not None

    def _shares(self) -> list[Share]:
        return [self._share(key, one) for key, one in sorted(self._standing.items())]

    def _share(self, key: Key, one: Standing) -> Share:
        tracks = [self._loop.tracks[w] for w in one.group.workers if w in self._loop.tracks]
        leases = [self._loop.lease_on(track.name) for track in tracks]
        held = sum(lease.request for lease in leases if lease is not None)
        up = [track for track in tracks if track.clock is not None]
        if not up and self._monotonic() - one.seen_at > self._closed_s:
            return Share(key, held, held, ())
        alone = len(one.group.workers) == 1
        taken = alone and one.group.used > 0
        room = tuple(
            track.settings.ceiling
            for track in up
            if self._loop.lease_on(track.name) is None and not taken
        )
        used = max(one.group.used, held)
        return Share(key, used, max(used, one.stands), room)

    def _say(self, words: str) -> None:
        if words and words != self.problem:
            log.warning("offers stay as they are: %s", words)
        self.problem = words
