"""Drivers, schedulers and policies by name: entry points, one answer or a clear error."""

from __future__ import annotations

import difflib
from importlib.metadata import entry_points
from typing import Any

from hotslot.errors import ConfigError, Problem


def names(group: str) -> list[str]:
    """Return the registered names of a group, sorted."""
    return sorted({entry.name for entry in entry_points(group=group)})


def one_entry_point(group: str, name: str, where: str) -> Any:
    """Load the one object registered as ``name`` in ``group``.

    ``where`` is the dotted path of the setting that asked for it. Raises ConfigError when it is
    unknown (with the nearest name), registered twice, or cannot be imported; the message names
    the distribution.
    """
    found = list(entry_points(group=group, name=name))
    if not found:
        near = difflib.get_close_matches(name, names(group), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names(group))}"
        raise ConfigError("configuration", [Problem(where, f"unknown name {name!r}; {hint}")])
    if len({entry.value for entry in found}) > 1:
        owners = ", ".join(sorted(entry.dist.name if entry.dist else "?" for entry in found))
        what = f"{name!r} is registered more than once, by {owners}; remove one of them"
        raise ConfigError("configuration", [Problem(where, what)])
    entry = found[0]
    try:
        return entry.load()
    except Exception as error:
        owner = entry.dist.name if entry.dist else "an unknown distribution"
        what = f"{name!r} of {owner} does not load: {type(error).__name__}: {error}"
        raise ConfigError("configuration", [Problem(where, what)]) from error
