"""Compile laws and the engine with Numba, where it is there; interpret them where it is not.

Interpreted and compiled code give the same figures, to the last bit: no fast-math. Functions that a
function calls are compiled with it, so that ``decide`` itself knows nothing of Numba. A law is
handed over as a pointer of one signature, so that the engine is compiled once for all of them; what
was compiled is kept in the user's cache, under a hash of all sources that it may come from.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

WORTH = 400_000
"""Seconds of job time from which compiling, some seconds, is soon paid back."""


@functools.cache
def numba_there() -> bool:
    """Tell whether Numba can be imported; say where it keeps what it compiled."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hotslot"
    try:
        (cache / _sources()).mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("NUMBA_CACHE_DIR", str(cache / _sources()))
    except OSError:
        pass  # it is compiled anew each time then
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True


def compiled(function: F) -> F:
    """Return the function compiled, with all of hotslot's functions that it calls."""
    return cast(F, _compiled(function, ()))


def compiled_law(law: Any) -> Any:
    """Return a law compiled for the one signature that engines take."""
    return _compiled(law, (_law_type().signature,))


def compiled_engine(run: F, arguments: str) -> F:
    """Return an engine compiled for its arguments: a word for each of ``_kinds``, in order."""
    types: Any = importlib.import_module("numba.types")
    kinds = _kinds()
    taken = [kinds[word] for word in arguments.split()]
    result = taken.pop() if arguments.endswith("returned") else types.void
    return cast(F, _compiled(run, (result(*taken),)))


@functools.cache
def _kinds() -> dict[str, Any]:
    nb: Any = importlib.import_module("numba.types")
    from hotslot.decide.limits import Limits
    from hotslot.replay.engine import Faults, Rules

    f8, i8 = nb.float64, nb.int64
    return {
        "law": _law_type(),
        "floats": nb.Array(f8, 1, "C"),
        "ints": nb.Array(i8, 1, "C"),
        "rows": nb.Array(f8, 2, "C"),
        "int": i8,
        "limits": nb.NamedUniTuple(f8, len(Limits._fields), Limits),
        "rules": nb.NamedTuple([i8, f8], Rules),
        "faults": nb.NamedTuple([f8] * (len(Faults._fields) - 1) + [i8], Faults),
        "returned": i8,
    }


@functools.cache
def _law_type() -> Any:
    nb: Any = importlib.import_module("numba.types")
    from hotslot.decide.law import Choice, Seen

    f8, i8 = nb.float64, nb.int64
    choice = nb.NamedTuple([i8, i8, f8, f8, f8], Choice)
    seen = nb.NamedUniTuple(f8, len(Seen._fields), Seen)
    array = nb.Array(f8, 1, "C")
    return nb.FunctionType(choice(array, array, seen))


@functools.cache
def _compiled(function: Any, signature: tuple[Any, ...]) -> Any:
    numba: Any = importlib.import_module("numba")
    names = set(function.__code__.co_names)
    known = dict(function.__globals__)
    for name in names & known.keys():
        called = known[name]
        if isinstance(called, types.FunctionType) and called.__module__.startswith("hotslot."):
            known[name] = _compiled(called, ())
    copy = types.FunctionType(
        function.__code__, known, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__module__ = function.__module__
    copy.__qualname__ = function.__qualname__
    try:
        return numba.njit(*signature, cache=True, error_model="python")(copy)
    except RuntimeError:  # no place for a cache
        return numba.njit(*signature, error_model="python")(copy)


def _sources() -> str:
    """Return a hash of all sources of ``decide`` and ``replay``."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted((*root.glob("decide/*.py"), *root.glob("replay/*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
