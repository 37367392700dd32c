"""Fair shares of submitters, by the effective user priorities that the negotiator publishes.

Its accounting ads are in the collector (``condor_userprio`` shows them), where anybody with READ
may ask. They are never needed: what cannot be asked is not known, and not asked again for a minute.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from hotslot.decide.weights import fair_share_of
from hotslot_plugin import condor_ad
from hotslot_plugin.condor_ad import Ad

WHERE = "IsAccountingGroup =!= true"

NAMES = ("Name", "Priority", "ResourcesUsed")
"""What is asked of an accounting ad; ``Priority`` is the effective one, lower is better."""


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
