"""Compile laws and the engine with Numba, where it is there; interpret them where it is not.

Interpreted and compiled code give the same figures, to the last bit: no fast-math. Functions that a
function calls are compiled with it, so that ``decide`` itself knows nothing of Numba.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

WORTH = 400_000
"""Seconds of job time from which compiling, some seconds, is soon paid back."""


@functools.cache
def numba_there() -> bool:
    """Tell whether Numba can be imported."""
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True


def compiled(function: F) -> F:
    """Return the function compiled, with all of hotslot's functions that it calls."""
    return cast(F, _compiled(function))


@functools.cache
def _compiled(function: Any) -> Any:
    import numba

    names = set(function.__code__.co_names)
    known = dict(function.__globals__)
    for name in names & known.keys():
        called = known[name]
        if isinstance(called, types.FunctionType) and called.__module__.startswith("hotslot."):
            known[name] = _compiled(called)
    copy = types.FunctionType(
        function.__code__, known, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__module__ = function.__module__
    return numba.njit(copy, error_model="python")
