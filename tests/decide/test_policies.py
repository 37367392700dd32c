"""Policies by name."""

from __future__ import annotations

import pytest

from hotslot.decide.policies import build
from hotslot.decide.threshold import Threshold
from hotslot.decide.window import Window
from hotslot.errors import ConfigError


def test_a_policy_is_built_by_name_with_its_parameters() -> None:
    assert build("window", {"window_s": 30.0, "margin_pct": 5}) == Window(30.0, 5)
    assert build("threshold", {}) == Threshold()


def problems(name: str, params: dict[str, object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        build(name, params)
    return [str(problem) for problem in caught.value.problems]


def test_an_unknown_policy_is_named_with_the_nearest_known_one() -> None:
    assert problems("windw", {}) == ["policy.name: unknown name 'windw'; did you mean 'window'?"]


def test_every_unknown_parameter_is_named_with_the_nearest_known_one() -> None:
    assert problems("window", {"windows_s": 1, "colour": "red"}) == [
        "policy.windows_s: unknown parameter of window; did you mean 'window_s'?",
        "policy.colour: unknown parameter of window; known: margin_pct, saturated_pct, window_s",
    ]


def test_what_the_policy_refuses_is_a_problem_of_the_configuration() -> None:
    assert problems("window", {"window_s": "long", "margin_pct": -5}) == [
        "policy: window: window_s is 'long', not a number from 1 to 86400; "
        "margin_pct is -5, not a number from 0 to 1000"
    ]
