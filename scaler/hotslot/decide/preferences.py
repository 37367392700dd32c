"""What a job's owner may say of its sizing, checked and bounded by the site's policy: pure.

The adapters of the schedulers make one canonical text of what an owner wrote
(``Placement.asked``): settings ``KEY=VALUE`` with commas between them, ``min=4,burst=no``.
Users write this, so nothing here raises: what is wrong or not allowed is left out, and said.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from hotslot.decide.preferences_time import epoch_s

MOST_WORDS = 16
"""Settings of one job that are looked at."""

SHOWN = 40
"""Characters of a user's word that are repeated to others."""

CUT = "…"
"""What an adapter puts in the place of what it left out; no user can write it."""

YES = {"yes": True, "true": True, "on": True, "1": True}
NO = {"no": False, "false": False, "off": False, "0": False}
KEYS = ("elastic", "min", "burst", "deadline")

_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SitePolicy:
    """What users may ask for.

    ``allow_elastic_no``: a job may keep its request all the time. ``max_min_share``: the part of
    the request that ``min`` may hold. ``allow_burst``: growing beyond the request at all.
    ``allow_deadline``: deadlines count. ``most_ahead_s``: a deadline further away is none.
    """

    allow_elastic_no: bool = True
    max_min_share: float = 1.0
    allow_burst: bool = True
    allow_deadline: bool = True
    most_ahead_s: float = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Preferences:
    """What holds for a job. ``least``: vCPUs it keeps, 0 for the worker's floor. ``deadline_at``:
    UTC epoch s. ``said``: its owner's words; ``refused``: what of them does not hold, and why."""

    elastic: bool = True
    least: int = 0
    burst: bool = True
    deadline_at: float | None = None
    said: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def floor(self, floor: int, request: int) -> int:
        """Return the least that its worker is granted."""
        least = request if not self.elastic else min(request, self.least)
        return max(floor, least)


def asked_for(
    asked: str,
    request: int,
    now: float,
    site: SitePolicy = SitePolicy(),
    *,
    utc_offset_s: float = 0.0,
) -> Preferences:
    """Return what holds for a job whose owner ``asked`` for this, in canonical form.

    ``request``: its CPUs on this worker; ``now``: UTC epoch s; ``utc_offset_s``: of the site's
    clocks, for a deadline without a zone.
    """
    pairs: list[tuple[str, str]] = []
    for setting in asked.split(",", MOST_WORDS) if asked else ():
        key, _, value = setting.partition("=")
        pairs.append((key.strip().lower(), value.strip()))
    return _checked(pairs, request, now, site, utc_offset_s)


def _checked(
    pairs: list[tuple[str, str]], request: int, now: float, site: SitePolicy, utc_offset_s: float
) -> Preferences:
    found, refused = Preferences(), []
    seen: set[str] = set()
    for key, value in pairs[:MOST_WORDS]:
        words = f"{key}={value}" if value else key
        if key in seen:
            refused.append(f"{_shown(words)}: {key} was set before; the first one holds")
            continue
        changed, problems = _one(found, key, value, request, now, site, utc_offset_s)
        if key in KEYS:
            seen.add(key)
        found = changed
        refused += [f"{_shown(words)}: {problem}" for problem in problems]
    if len(pairs) > MOST_WORDS:
        refused.append(
            f"more than {MOST_WORDS} settings; those after the {MOST_WORDS}th do not count"
        )
    said = tuple(_shown(f"{key}={value}" if value else key) for key, value in pairs[:MOST_WORDS])
    return replace(found, said=said, refused=tuple(refused))


def _one(
    found: Preferences,
    key: str,
    value: str,
    request: int,
    now: float,
    site: SitePolicy,
    utc_offset_s: float,
) -> tuple[Preferences, Iterable[str]]:
    """Take in one setting; return what holds now, and what does not."""
    match key:
        case "elastic" | "burst":
            return _switch(found, key, value, site)
        case "min":
            return _least(found, value, request, site)
        case "deadline":
            return _deadline(found, value, now, site, utc_offset_s)
        case _:
            return found, [_unknown(key)]


def _switch(
    found: Preferences, key: str, value: str, site: SitePolicy
) -> tuple[Preferences, Iterable[str]]:
    on = (YES | NO).get(value.lower())
    if on is None:
        return found, ["is neither yes nor no"]
    if key == "burst":
        if on and not site.allow_burst:
            return replace(found, burst=False), ["this site lets no job grow beyond its request"]
        return replace(found, burst=on), []
    if not on and not site.allow_elastic_no:
        return found, ["this site sizes every job"]
    return replace(found, elastic=on), []


def _least(
    found: Preferences, value: str, request: int, site: SitePolicy
) -> tuple[Preferences, Iterable[str]]:
    if not _NUMBER.fullmatch(value) or int(value) < 1:
        return found, ["is no number of vCPUs from 1 on"]
    least, most = int(value), max(1, math.floor(request * site.max_min_share))
    if least > request:
        return replace(found, least=most), [f"its request is {request}; {most} holds"]
    if least > most:
        share = f"{100 * site.max_min_share:g} % of the request of {request}"
        return replace(found, least=most), [f"this site grants {share} at least; {most} holds"]
    return replace(found, least=least), []


def _deadline(
    found: Preferences, value: str, now: float, site: SitePolicy, utc_offset_s: float
) -> tuple[Preferences, Iterable[str]]:
    at = epoch_s(value, utc_offset_s)
    if at is None:
        return found, ["is no time such as 2026-12-01T12:00"]
    if not site.allow_deadline:
        return found, ["deadlines do not count at this site"]
    if at <= now:
        return found, ["has passed"]
    if at > now + site.most_ahead_s:
        return found, [f"is more than {site.most_ahead_s / 86_400:g} days away"]
    return replace(found, deadline_at=at), []


def sentences(preferences: Preferences) -> Iterator[str]:
    """Say for ``hotslot job`` what its owner asked for, and what does not hold."""
    if not preferences.elastic:
        yield "keeps its request all the time, as its owner asked"
    if preferences.least:
        yield f"keeps {preferences.least} vCPUs at least, as its owner asked"
    if not preferences.burst:
        yield "does not grow beyond its request"
    if preferences.deadline_at is not None:
        yield "has a deadline: it counts more when its work would not be done by then"
    yield from (f"does not hold: {words}" for words in preferences.refused)


def _unknown(key: str) -> str:
    if key == CUT:
        return "more was said than is read"
    short = key[:SHOWN].removeprefix("hotslot")
    near = difflib.get_close_matches(short, KEYS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(KEYS)}"
    return f"is unknown; {hint}"


def _shown(words: str) -> str:
    """Return a user's words as others may safely see them on a terminal."""
    safe = "".join(one if one.isprintable() else "?" for one in words[:SHOWN])
    return safe + "…" if len(words) > SHOWN else safe
