"""Policies by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from inspect import signature

from hotslot.decide.policy import Policy
from hotslot.errors import ConfigError, Problem
from hotslot.registry import one_entry_point

GROUP = "hotslot.policies"


def build(name: str, params: Mapping[str, object]) -> Policy:
    """Make the policy that is registered under this name, a class that takes ``params`` by keyword.

    Raises ConfigError with every unknown parameter (and the nearest known one), or with what the
    class itself refuses by ValueError, under the dotted path of the setting.
    """
    kind: Callable[..., Policy] = one_entry_point(GROUP, name, "policy.name")
    known = list(signature(kind).parameters)
    problems = [_unknown(name, param, known) for param in params if param not in known]
    if problems:
        raise ConfigError("configuration", problems)
    try:
        return kind(**params)
    except (TypeError, ValueError) as error:
        raise ConfigError("configuration", [Problem("policy", f"{name}: {error}")]) from error


def _unknown(name: str, param: str, known: Iterable[str]) -> Problem:
    near = difflib.get_close_matches(param, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
    return Problem(f"policy.{param}", f"unknown parameter of {name}; {hint}")
