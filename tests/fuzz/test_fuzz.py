"""Each parser takes some hundred hostile inputs; and the fuzzer finds what there is to find."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.every import TARGETS
from fuzz.mutate import inputs
from fuzz.target import Broken, Target, must
from fuzz.trial import Trial

FEW = {
    "prolog and epilog": 8,
    "trace sets": 20,
    "audit log": 40,
    "configuration": 60,
    "requests": 150,
}


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_inputs_are_refused_as_they_should_be(name: str) -> None:
    target = TARGETS[name]
    trial, make = Trial(target), inputs(target, Random(20_26))
    count = FEW.get(name, 300)
    for data in [*target.seeds[:20], *(make() for _ in range(count))]:
        trial.take(data)
    assert not trial.found
    assert trial.accepted, "no input was taken: the real ones do not fit any more"


@pytest.mark.parametrize("name", sorted(TARGETS.keys() - FEW.keys()))
def test_any_bytes_and_any_text_are_refused_or_taken(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=20, deadline=None, database=None, derandomize=True)
    @given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
    def tried(data: bytes) -> None:
        trial = Trial(target)
        trial.take(data)
        assert not trial.found

    tried()


def spin(data: bytes) -> None:
    while data:
        pass


def lie(_: bytes) -> None:
    must(False, "a promise")


def crash(data: bytes) -> None:
    [][len(data)]


@pytest.mark.parametrize(
    ("run", "what"), [(spin, "TooSlow"), (lie, "Broken"), (crash, "IndexError")]
)
def test_a_hang_a_lie_and_a_crash_are_each_found_once(
    run: Callable[[bytes], None], what: str
) -> None:
    trial = Trial(Target("x", run, [b"x"], (ValueError,), limit_s=0.05))
    for data in (b"1", b"22"):
        trial.take(data)
    (found,) = trial.found
    assert found.startswith(what)
    assert trial.found[found] == b"1"


def test_what_a_parser_may_raise_is_no_finding() -> None:
    trial = Trial(Target("x", lie, [b"x"], (Broken,)))
    trial.take(b"")
    assert (trial.inputs, trial.accepted, trial.found) == (1, 0, {})


def test_the_same_seed_gives_the_same_inputs() -> None:
    target = TARGETS["squeue"]
    one, other = inputs(target, Random(7)), inputs(target, Random(7))
    assert [one() for _ in range(50)] == [other() for _ in range(50)]
