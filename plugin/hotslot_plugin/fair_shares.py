"""Fair shares as a scheduler tells them: asked for seldom, and never needed."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from hotslot.errors import SchedulerError

log = logging.getLogger(__name__)

EVERY_S = 60.0
"""They change slowly (Slurm: PriorityCalcPeriod, 5 min; HTCondor: with each negotiation, a
little); what failed is not repeated sooner."""

TIMEOUT_S = 2.0
"""Longest wait for them: other questions wait meanwhile."""

K = TypeVar("K")


class FairShares(Generic[K]):
    """What is ``known``: factors from 0 to 1. ``ask`` may raise SchedulerError: then nothing is."""

    def __init__(self, ask: Callable[[], dict[K, float]], monotonic: Callable[[], float]) -> None:
        self.known: Mapping[K, float] = {}
        self._ask = ask
        self._monotonic = monotonic
        self._asked_at = -math.inf
        self._failure = ""

    def refresh(self) -> None:
        """Ask, if that was long ago; not while a job waits for its start."""
        if self._monotonic() - self._asked_at < EVERY_S:
            return
        self._asked_at = self._monotonic()
        failure = ""
        try:
            self.known = self._ask()
        except SchedulerError as error:
            self.known, failure = {}, str(error)
        if failure and failure != self._failure:
            log.info("fair shares are not known, and do not count: %s", failure)
        self._failure = failure
