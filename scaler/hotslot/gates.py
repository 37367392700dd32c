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
from hotslot.pokes import WORKER, Answer, Bucket, Say

WAIT_MAX_S = 30.0
"""Longest time that a gate's question is held."""

AT_ONCE = 4
"""Questions of one worker that are held at the same time; its gate has one."""


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
        self._rate = pokes_per_s
        self._monotonic = monotonic
        self._buckets: dict[str, Bucket] = {}
        self._held: Counter[str] = Counter()

    async def answer(self, worker: str, have: str, wait: str) -> Answer:
        """Answer one question: lines of ``Name=value``."""
        try:
            have_cpus = _whole(have)
            wait_s = float(min(_whole(wait) or 0, WAIT_MAX_S))
        except ValueError:
            return Answer(Say.BAD, "have and wait: must be whole numbers")
        if not WORKER.fullmatch(worker):
            return Answer(Say.BAD, "worker: must be a node name")
        if not self._loop.manages(worker):
            return Answer(Say.UNKNOWN_WORKER, f"this agent does not manage a worker {worker!r}")
        bucket = self._buckets.setdefault(worker, Bucket(self._rate, max(10.0, self._rate * 4)))
        if self._held[worker] >= AT_ONCE or not bucket.take(self._monotonic()):
            return Answer(Say.SLOW_DOWN, f"too many questions from {worker}")
        self._held[worker] += 1
        try:
            cpus = await self._offers.admitted(worker, have_cpus, wait_s)
        finally:
            self._held[worker] -= 1
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
