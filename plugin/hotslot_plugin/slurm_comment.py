"""The text of AdminComment: a job's figures as compact JSON, one entry a worker and run: pure.

``{"hotslot":1,"w1":[4,260,150,3.9,2],"w1/1":[4,90,80,3.8,1]}``: version 1 of the form; w1's first
and second run: CPUs asked for, core-seconds held and used, most cores kept busy, changes applied.
sacct shows one record of a requeued job, its last run's; so the entries of earlier runs stay.

Slurm's accounting writes quotes as backticks (measured on 24.11.5), whatever they are escaped by:
sacct shows ``{`hotslot`:1,…``, which ``tr '`' '"'`` makes JSON again.
"""

from __future__ import annotations

import json

from hotslot.model import RunSummary

VERSION = 1
LENGTH_MAX = 199
"""A job of many workers or runs keeps its newest entries; the others are added up under ``+``."""

FOLDED = "+"

Entry = list[float]
"""Asked, held, used, peak, changes."""


class ForeignComment(ValueError):
    """Somebody else keeps something in this AdminComment: it is not ours to overwrite."""


def merged(before: str, summary: RunSummary) -> str:
    """Return the comment with this run's entry added, or put in place of an older one.

    Raises ForeignComment. Other sites' tools, jobstats for one, use this field, too.
    """
    placement = summary.placement
    key = f"{placement.worker}/{placement.run}" if placement.run else placement.worker
    entries = _entries(before)
    entries.pop(key, None)
    entries[key] = [
        summary.requested_vcpus,
        round(summary.held_core_s),
        round(summary.used_core_s),
        round(summary.peak_cores, 1),
        summary.events,
    ]
    while len(_text(entries)) > LENGTH_MAX and len(entries.keys() - {FOLDED}) > 1:
        _fold(entries)
    return _text(entries)


def _text(entries: dict[str, Entry]) -> str:
    return json.dumps({"hotslot": VERSION, **entries}, separators=(",", ":"))


def _fold(entries: dict[str, Entry]) -> None:
    """Add the oldest entry to those that are told together."""
    oldest = entries.pop(next(key for key in entries if key != FOLDED))
    asked, held, used, peak, changes = entries.pop(FOLDED, [0, 0, 0, 0.0, 0])
    together = [asked + oldest[0], held + oldest[1], used + oldest[2]]
    entries |= {FOLDED: [*together, max(peak, oldest[3]), changes + oldest[4]]}


def _entries(before: str) -> dict[str, Entry]:
    """Return the entries of a comment of ours; what is not an entry in it is dropped."""
    text = before.strip()
    if not text:
        return {}
    try:
        told = json.loads(text.replace("`", '"'))
    except (ValueError, RecursionError):
        raise ForeignComment(text) from None
    if not isinstance(told, dict) or told.pop("hotslot", None) != VERSION:
        raise ForeignComment(text)
    return {key: entry for key, entry in told.items() if _is_entry(entry)}


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 5
        and all(isinstance(one, int | float) and not isinstance(one, bool) for one in entry)
        and all(-1e15 < one < 1e15 for one in entry)
    )
