"""Settings: frozen dataclasses whose annotations say what each key may hold.

``read`` checks a mapping whole and converts nothing in silence. A field is a ``str``, ``int``,
``float`` (a whole number will do), ``bool``, ``Path`` (given as text), a ``Literal`` of texts, a
class of settings, ``X | None``, or ``tuple[X, ...]`` (given as a list). ``Annotated`` adds bounds
(``hotslot.bounds``) and, as text, what the field is meant to be.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import Enum, auto
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
Steps = tuple[str | int, ...]

Rest = Annotated[Mapping[str, object], "the keys beside the other fields"]
"""The type of a field that takes every unknown key, with any value."""

MOST_SHOWN = 200


class Kind(Enum):
    """What a fault is about."""

    UNKNOWN = auto()
    MISSING = auto()
    WRONG = auto()


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: after which keys and indices, what, and the value that is."""

    path: Steps
    kind: Kind
    what: str
    value: object = None


class Faults(Exception):
    """All that is wrong with a mapping."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(fault.what for fault in faults))
        self.faults = faults


def read(settings: type[T], tree: Mapping[str, object]) -> T:
    """Return a mapping as settings; Faults has everything that is wrong with it."""
    made: T = _section(settings, tree, ())
    return made


def shown(value: object) -> str:
    """Return a value as Python writes it, cut where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python writes no number of 4,301 digits
        return "too long to show"
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"


def meant(settings: type, key: str) -> str:
    """Return what a field is meant to be, in the words of its annotation."""
    return next(word for word in get_args(_hints(settings)[key])[1:] if isinstance(word, str))


def plain(value: object, *, changed: bool = False) -> Any:
    """Return settings as JSON can say them; ``changed``: without what is as by default."""
    if dataclasses.is_dataclass(value):
        found: dict[str, Any] = {}
        for field in dataclasses.fields(value):
            one = getattr(value, field.name)
            if isinstance(one, Mapping):
                found |= plain(one)
            elif not changed or one != field.default:
                found[field.name] = plain(one, changed=changed)
        return found
    if isinstance(value, Mapping):
        return {_key(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one, changed=changed) for one in value]
    return value if isinstance(value, str | int | float | None) else str(value)


@functools.cache
def _hints(settings: type) -> dict[str, Any]:
    return get_type_hints(settings, include_extras=True)


def _key(key: object) -> str:
    is_short = isinstance(key, str) and key.isprintable() and len(key) <= MOST_SHOWN
    return str(key) if is_short else shown(key)


def _value(hint: Any, value: object, path: Steps) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _bounded(arguments[0], arguments[1:], value, path)
    if origin in (Union, UnionType):  # X | None
        return None if value is None else _value(arguments[0], value, path)
    if dataclasses.is_dataclass(hint):
        return _section(hint, value, path)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_each((arguments[0], one, (*path, at)) for at, one in enumerate(value)))
    try:
        return _choice(arguments, value) if origin is Literal else _scalar(origin or hint, value)
    except ValueError as error:
        raise _wrong(path, error, value) from error


def _bounded(hint: Any, bounds: Iterable[object], value: object, path: Steps) -> Any:
    made = _value(hint, value, path)
    try:
        for bound in bounds:
            if callable(bound):
                bound(made)
    except ValueError as error:
        raise _wrong(path, error, value) from error
    return made


def _section(settings: Any, value: object, path: Steps) -> Any:
    if not isinstance(value, Mapping):
        raise _wrong(path, "input should be a mapping of keys to settings", value)
    hints = _hints(settings)
    rest = next((name for name, hint in hints.items() if hint == Rest), None)
    known = [name for name in hints if name != rest]
    given = [name for name in known if name in value]
    others = {key: one for key, one in value.items() if key not in given}
    faults = [*_missing(settings, given, path), *_unknown(others, () if rest else known, path)]
    parts = ((hints[name], value[name], (*path, name)) for name in given)
    made = dict(zip(given, _each(parts, faults), strict=True))
    try:
        return settings(**made, **({rest: others} if rest else {}))
    except ValueError as error:
        raise _wrong(path, error, value) from error


def _each(parts: Iterable[tuple[Any, object, Steps]], known: Iterable[Fault] = ()) -> list[Any]:
    """Return the parts' values, or raise the faults of all of them with those known before."""
    made: list[Any] = []
    faults: list[Fault] = []
    for hint, value, path in parts:
        try:
            made.append(_value(hint, value, path))
        except Faults as wrong:
            faults += wrong.faults
    if faults := [*faults, *known]:
        raise Faults(*faults)
    return made


def _missing(settings: Any, given: Collection[str], path: Steps) -> Iterator[Fault]:
    for field in dataclasses.fields(settings):
        is_required = field.default is field.default_factory is dataclasses.MISSING
        if is_required and field.name not in given:
            yield Fault((*path, field.name), Kind.MISSING, "is required and missing")


def _unknown(keys: Iterable[object], known: Collection[str], path: Steps) -> Iterator[Fault]:
    """Tell keys that are no text, and, where there are known ones, what is like the others."""
    for key in keys:
        here = (*path, _key(key))
        if not _is_text(key):
            yield Fault(here, Kind.UNKNOWN, "keys should be valid strings")
        elif known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            yield Fault(here, Kind.UNKNOWN, hint)


def _wrong(path: Steps, what: object, value: object) -> Faults:
    return Faults(Fault(path, Kind.WRONG, str(what), value))


def _choice(choices: tuple[str, ...], value: object) -> object:
    if isinstance(value, str) and value in choices:
        return value
    *most, last = map(repr, choices)
    raise ValueError(f"input should be {', '.join(most)} or {last}")


_GIVEN: Mapping[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "a valid string"),
    Path: ((str,), "a valid path"),
    int: ((int,), "a valid integer"),
    float: ((int, float), "a valid number"),
    bool: ((bool,), "a valid boolean"),
    tuple: ((), "a valid tuple"),
}
"""Of each type of a field: what is given for it, and its name."""


def _scalar(kind: Any, value: Any) -> object:
    given, name = _GIVEN[kind]
    if type(value) not in given:  # a bool is no whole number
        raise ValueError(f"input should be {name}")
    if str in given and not _is_text(value):
        raise ValueError(f"input should be {name}, without halves of surrogate pairs")
    if kind is Path and "\0" in value:
        raise ValueError(f"input should be {name}, without NUL")
    return _finite(value) if kind is float else kind(value)


_HALF = re.compile("[\ud800-\udfff]")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and _HALF.search(value) is None


def _finite(number: float) -> float:
    try:
        if math.isfinite(number):
            return float(number)
    except OverflowError:  # of a whole number of hundreds of digits
        pass
    raise ValueError("input should be a finite number")
