"""A mapping becomes settings as it is, or every fault of it is told."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot.bounds import above, filled, like, up_to, within
from hotslot.settings import Fault, Faults, Kind, Rest, meant, plain, read, shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    """A section."""

    count: Annotated[int, within(1, 8), "a whole number from 1 to 8"] = 1
    part: Annotated[float, above(0, 1)] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """A section that takes any key."""

    name: Annotated[str, like("^[a-z]+$")]
    beside: Rest = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer:
    """Settings with one field of each type."""

    inner: Inner = Inner()
    several: Annotated[tuple[Inner, ...], up_to(2)] = ()
    plugged: Named | None = None
    words: tuple[Annotated[str, filled], ...] = ()
    path: Path = Path("/a")
    flag: bool = False
    number: float = 1.0
    choice: Literal["this", "that", "other"] = "this"


def faults_of(**tree: object) -> list[Fault]:
    with pytest.raises(Faults) as caught:
        read(Outer, tree)
    return list(caught.value.faults)


def fault_of(**tree: object) -> str:
    (fault,) = faults_of(**tree)
    return fault.what


def test_nothing_is_converted_but_whole_numbers_texts_of_paths_and_lists() -> None:
    made = read(Outer, {"number": 4, "path": "/b", "words": ["x"], "inner": {"part": 1}})
    assert made == Outer(number=4.0, path=Path("/b"), words=("x",), inner=Inner(part=1.0))
    assert isinstance(made.number, float)
    with pytest.raises(FrozenInstanceError):
        made.flag = True  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("flag", 1, "input should be a valid boolean"),
        ("flag", "yes", "input should be a valid boolean"),
        ("number", True, "input should be a valid number"),
        ("number", "1", "input should be a valid number"),
        ("number", None, "input should be a valid number"),
        ("number", math.nan, "input should be a finite number"),
        ("number", -math.inf, "input should be a finite number"),
        ("number", 1 << 9999, "input should be a finite number"),
        ("path", 5, "input should be a valid path"),
        ("path", "/a\0", "input should be a valid path, without NUL"),
        ("path", "\ud800", "input should be a valid path, without halves of surrogate pairs"),
        ("choice", "those", "input should be 'this', 'that' or 'other'"),
        ("choice", ["this"], "input should be 'this', 'that' or 'other'"),
        ("words", "abc", "input should be a valid tuple"),
        ("words", {"a": 1}, "input should be a valid tuple"),
        ("words", [""], "string should have at least 1 character"),
        ("words", [b"x"], "input should be a valid string"),
        ("words", ["\udfff"], "input should be a valid string, without halves of surrogate pairs"),
        ("several", [], "should have at least 1 item, not 0"),
        ("several", [{}, {}, {}], "should have at most 2 items, not 3"),
        ("inner", [], "input should be a mapping of keys to settings"),
        ("inner", {"count": True}, "input should be a valid integer"),
        ("inner", {"count": 1.0}, "input should be a valid integer"),
        ("inner", {"count": 0}, "input should be greater than or equal to 1"),
        ("inner", {"count": 1 << 99999}, "input should be less than or equal to 8"),
        ("inner", {"part": 0}, "input should be greater than 0"),
        ("inner", {"part": 1.1}, "input should be less than or equal to 1"),
        ("inner", {"coun": 1}, "did you mean 'count'?"),
        ("inner", {"xyz": 1}, "known: count, part"),
        ("plugged", {}, "is required and missing"),
        ("plugged", {"name": "x\n"}, "string should match pattern '^[a-z]+$'"),
        ("plugged", {"name": "x", 1: 2}, "keys should be valid strings"),
        ("plugged", {"name": "x", "\ud800": 2}, "keys should be valid strings"),
    ],
)
def test_what_is_wrong_is_told(key: str, value: object, what: str) -> None:
    assert fault_of(**{key: value}) == what


def test_every_fault_has_its_path() -> None:
    found = faults_of(several=[{}, {"count": 0, "parts": 1}], words=["a", 2], plugged={}, flg=True)
    assert {(fault.path, fault.kind) for fault in found} == {
        (("several", 1, "count"), Kind.WRONG),
        (("several", 1, "parts"), Kind.UNKNOWN),
        (("words", 1), Kind.WRONG),
        (("plugged", "name"), Kind.MISSING),
        (("flg",), Kind.UNKNOWN),
    }


def test_unknown_keys_are_kept_where_a_field_takes_them() -> None:
    named = read(Named, {"name": "x", "beside": 1, "y": [2]})
    assert named.beside == {"beside": 1, "y": [2]}


def test_a_key_that_no_terminal_should_see_is_told_escaped() -> None:
    (fault,) = faults_of(**{"\x1b[1m": 1})
    assert fault.path == ("'\\x1b[1m'",)


def test_a_value_is_shown_short() -> None:
    assert shown("x") == "'x'"
    assert len(shown("x" * 999)) == 200
    assert shown(1 << 99999) == "too long to show"


def test_a_field_says_what_it_is_meant_to_be() -> None:
    assert meant(Inner, "count") == "a whole number from 1 to 8"


def test_settings_are_plain_for_json() -> None:
    beside = {"day": date(2026, 1, 2), "list": [{1: None}]}
    made = Outer(plugged=Named(name="x", beside=beside), number=2.0)
    told = {"name": "x", "day": "2026-01-02", "list": [{"1": None}]}
    assert plain(made, changed=True) == {"plugged": told, "number": 2.0}
    assert plain(made)["inner"] == {"count": 1, "part": None}
    assert json.loads(json.dumps(plain(made)))["path"] == "/a"


KEYS = st.one_of(
    st.sampled_from(list(Outer.__annotations__) + list(Inner.__annotations__)),
    st.text(max_size=3),
    st.integers(),
    st.none(),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_mapping_is_settings_or_faults(tree: dict[object, object]) -> None:
    try:
        hash(read(Outer, tree))  # type: ignore[arg-type]
    except Faults as error:
        assert error.faults
        assert all(str(step).isprintable() for fault in error.faults for step in fault.path)
