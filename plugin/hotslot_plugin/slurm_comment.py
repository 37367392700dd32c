"""The text of AdminComment: one entry for each worker and run of a job, ours only: pure.

``hotslot w1: asked 4, held 260 core-s, used 150 core-s, peak 3.9, 2 changes; w2: …; w1 run 1: …``
sacct shows one record of a requeued job, its last run's; so the entries of earlier runs stay.
"""

from __future__ import annotations

import re

from hotslot.model import RunSummary

MARK = "hotslot "
LENGTH_MAX = 4000
"""A job of hundreds of workers keeps its newest entries; all of them are in hotslot's record."""

_ENTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*( run \d+)?: [^;]*")


class ForeignComment(ValueError):
    """Somebody else keeps something in this AdminComment: it is not ours to overwrite."""


def merged(before: str, summary: RunSummary) -> str:
    """Return the comment with this run's entry added, or put in place of an older one.

    Raises ForeignComment. Other sites' tools, jobstats for one, use this field, too.
    """
    placement = summary.placement
    run = f" run {placement.run}" if placement.run else ""
    key = f"{placement.worker}{run}: "
    entries = [entry for entry in _entries(before) if not entry.startswith(key)]
    entries.append(key + _words(summary))
    while len(MARK + "; ".join(entries)) > LENGTH_MAX and len(entries) > 1:
        del entries[0]
    return MARK + "; ".join(entries)


def _entries(before: str) -> list[str]:
    text = before.strip()
    if not text:
        return []
    if not text.startswith(MARK):
        raise ForeignComment(text)
    entries = text.removeprefix(MARK).split("; ")
    return [entry for entry in entries if _ENTRY.fullmatch(entry)]


def _words(summary: RunSummary) -> str:
    """Return the figures without what ends an entry, or is syntax to sacctmgr and ``sacct -P``."""
    return (
        f"asked {summary.requested_vcpus}, held {summary.held_core_s:.0f} core-s, "
        f"used {summary.used_core_s:.0f} core-s, peak {summary.peak_cores:.1f}, "
        f"{summary.events} changes"
    )
