"""The canonical text of what a job's owner asked of hotslot, whatever tool it was said in: pure.

``min=4,burst=no``: settings with commas between them, as ``Placement.asked`` has them. Users write
both keys and values, so that a character that could mean something to a reader of that text (a
comma, a blank, a newline) is replaced. A setting is whole or not there: what is cut off a long one
leaves ``…``, which makes it wrong, and not another number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hotslot.decide.preferences import CUT

LENGTH_MAX = 200
"""Characters of the whole text."""

SETTING_MAX = 60
"""Characters of a setting: more than any that holds."""

_ODD = re.compile(r"[^A-Za-z0-9_.:+-]", re.ASCII)


def canonical(pairs: Iterable[tuple[str, str]]) -> str:
    """Return settings, key and value each, as one text of at most LENGTH_MAX characters.

    Worked: ``[("Min", "4,elastic=no")]`` is ``min=4?elastic?no``: one setting, a wrong one.
    """
    text = ""
    for key, value in pairs:
        setting = _setting(key, value)
        longer = f"{text},{setting}" if text else setting
        if len(longer) > LENGTH_MAX - len(f",{CUT}"):
            return f"{text},{CUT}"
        text = longer
    return text


def _setting(key: str, value: str) -> str:
    words = [_ODD.sub("?", word[: SETTING_MAX + 1]) for word in (key.lower(), value)]
    setting = "=".join(word for word in words if word) or "?"
    return setting if len(setting) <= SETTING_MAX else setting[: SETTING_MAX - 1] + CUT
