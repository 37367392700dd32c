"""Fair shares of submitters, by the effective user priorities that the negotiator publishes.

Its accounting ads are in the collector (``condor_userprio`` shows them), where anybody with READ
may ask. They are never needed: what cannot be asked is not known, and not asked again for a minute.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from hotslot.decide.weights import fair_share_of
from hotslot.errors import SchedulerError
from hotslot_plugin import condor_ad
from hotslot_plugin.condor_ad import Ad

log = logging.getLogger(__name__)

EVERY_S = 60.0
"""Priorities change with each negotiation cycle, by little; a failure is not repeated sooner."""

TIMEOUT_S = 2.0
"""Longest wait for them: other questions wait meanwhile."""

WHERE = "IsAccountingGroup =!= true"

NAMES = ("Name", "Priority", "ResourcesUsed")
"""What is asked of an accounting ad; ``Priority`` is the effective one, lower is better."""


class Shares:
    """The fair shares of all submitters; ``ask`` returns the accounting ads."""

    def __init__(
        self,
        ask: Callable[[], Sequence[Ad]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._asked_at = -math.inf
        self._known: dict[str, float] = {}
        self._failure = ""

    def refresh(self) -> None:
        """Ask, if that was long ago; not while a job waits for its start."""
        if self._monotonic() - self._asked_at >= EVERY_S:
            self._asked_at = self._monotonic()
            self._look()

    def of(self, submitter: str) -> float | None:
        """Return a submitter's fair share, 0 to 1; None where it is not known."""
        return self._known.get(submitter)

    def _look(self) -> None:
        failure = ""
        try:
            self._known = shares_in(self._ask())
        except SchedulerError as error:
            self._known, failure = {}, str(error)
        if failure and failure != self._failure:
            log.info("fair shares are not known, and do not count: %s", failure)
        self._failure = failure


def shares_in(ads: Iterable[Ad]) -> dict[str, float]:
    """Return the fair share of each submitter, beside the mean of those who use something now.

    Where nobody does, beside all: many a pool has users of years ago, at the best priority.
    Worked: alice 500 and bob 1500, both with jobs: 2/3 and 2/5; carol 1000, without: 1/2.
    """
    told = {condor_ad.text(ad, "Name"): ad for ad in ads}
    known = {name: value for name, ad in told.items() if (value := _priority(ad)) is not None}
    using = [
        value for name, value in known.items() if condor_ad.number(told[name], "ResourcesUsed")
    ]
    if not known:
        return {}
    mean = fmean(using or known.values())
    shares = {name: fair_share_of(value, mean) for name, value in known.items() if name}
    return {name: share for name, share in shares.items() if share is not None}


def _priority(ad: Ad) -> float | None:
    return condor_ad.number(ad, "Priority") or None
