"""What a job's owner asked of hotslot, in the words of decide/preferences.py."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from hotslot.decide.preferences import asked_for, sentences
from hotslot.model import Lease


def asked_in_words(leases: Iterable[Lease]) -> list[str]:
    """Return what was asked for these leases, each sentence once; none for nothing.

    As of the moment in which each was opened, in this machine's time; what the site's policy
    forbids is not known to the record.
    """
    told = (sentence for lease in leases for sentence in _sentences(lease))
    return list(dict.fromkeys(told))


def _sentences(lease: Lease) -> Iterable[str]:
    if not lease.placement.asked:
        return ()
    offset = datetime.fromtimestamp(lease.opened_at).astimezone().utcoffset()
    offset_s = offset.total_seconds() if offset else 0.0
    asked, at = lease.placement.asked, lease.opened_at
    return sentences(asked_for(asked, lease.request, at, utc_offset_s=offset_s))
