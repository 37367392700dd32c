"""What a worker's gate is told: the CPUs that it may admit now, and its lease's figures.

HTCondor's workers ask for it (``GET /v1/gate``) and publish it in their slots' ads. Nothing in
here changes anything; a job inside the worker may ask as well, and learns what its slot's ad says.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

from hotslot.loop import Loop
from hotslot.offers import Offers
from hotslot.pokes import WORKER, Answer, Say
from hotslot.rates import Rates

WAIT_MAX_S = 30.0
"""Longest time that a gate's question is held."""

AT_ONCE = 4
"""Questions for one worker from one address that are held at once; its gate has one."""


class Gates:
    """Answers gates."""

    def __init__(
        self,
        loop: Loop,
        offers: Offers,
        *,
        pokes_per_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._offers = offers
        self._rates = Rates(pokes_per_s, monotonic)
        self._held: Counter[tuple[str, str]] = Counter()

    async def answer(self, worker: str, have: str, wait: str, source: str = "") -> Answer:
        """Answer one question from the address ``source``: lines of ``Name=value``."""
        try:
            have_cpus = _whole(have)
            wait_s = float(min(_whole(wait) or 0, WAIT_MAX_S))
        except ValueError:
            return Answer(Say.BAD, "have and wait: must be whole numbers")
        if not WORKER.fullmatch(worker):
            return Answer(Say.BAD, "worker: must be a node name")
        if not self._loop.manages(worker):
            return Answer(Say.UNKNOWN_WORKER, f"this agent does not manage a worker {worker!r}")
        asker = (source, worker)
        if self._held[asker] >= AT_ONCE or not self._rates.take(asker):
            return Answer(Say.SLOW_DOWN, f"too many questions for {worker}")
        self._held[asker] += 1
        try:
            cpus = await self._offers.admitted(worker, have_cpus, wait_s)
        finally:
            self._held[asker] -= 1
            if not self._held[asker]:
                del self._held[asker]
        if cpus is None:
            return Answer(Say.ASK_LATER, "not known yet")
        return Answer(Say.READY, "\n".join([f"HotslotAdmitCpus={cpus}", *self._figures(worker)]))

    def _figures(self, worker: str) -> Iterator[str]:
        track, lease = self._loop.tracks[worker], self._loop.lease_on(worker)
        yield f"HotslotGrantedCpus={track.granted}"
        if track.last is not None:
            yield f"HotslotUsedCores={track.last.used_cores:.2f}"
        if lease is not None:
            yield f"HotslotJob={lease.placement.job_id}"
            yield f"HotslotRequestedCpus={lease.request}"
            yield f"HotslotHeldCoreSeconds={lease.totals.held_core_s:.1f}"
            yield f"HotslotUsedCoreSeconds={lease.totals.used_core_s:.1f}"


def _whole(text: str) -> int | None:
    """Return a whole number of up to nine digits, None for nothing; ValueError."""
    if not text:
        return None
    if len(text) > 9 or not text.isascii() or not text.isdecimal():
        raise ValueError(text)
    return int(text)
