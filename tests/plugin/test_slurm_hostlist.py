"""Slurm's lists of nodes."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot_plugin.slurm_hostlist import NODE, NODES_MAX, expand


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("w1", ["w1"]),
        ("w[1-3,7],x2", ["w1", "w2", "w3", "w7", "x2"]),
        ("n[08-11]", ["n08", "n09", "n10", "n11"]),
        ("r[1-2]n[3-4]", ["r1n3", "r1n4", "r2n3", "r2n4"]),
        ("w[1-2].site.org", ["w1.site.org", "w2.site.org"]),
    ],
)
def test_a_list_is_expanded_in_its_order(text: str, names: list[str]) -> None:
    assert expand(text) == names


@pytest.mark.parametrize(
    "text",
    [
        *("w[1-", "w[]", "w[a-b]", "w]", ",", "w1,,w2", "-w1", "w 1", "w[2-1]x y", "é1"),
        *("w[1-99999999]", "[1-900][1-900][1-900]", "w1,$(id)"),
    ],
)
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"list|name"):
        expand(text)


@given(st.text(alphabet="wx01239[]-,. ", max_size=30) | st.text(max_size=30))
def test_any_text_is_a_bounded_list_of_names_or_refused(text: str) -> None:
    try:
        names = expand(text)
    except ValueError:
        return
    assert len(names) <= NODES_MAX
    assert all(NODE.fullmatch(name) for name in names)


def test_many_ranges_are_refused_before_they_are_made() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than 65536"):
            expand("w[" + ",".join(["1-65536"] * 20) + "]")
        assert tracemalloc.get_traced_memory()[1] < 15e6
    finally:
        tracemalloc.stop()


def test_names_that_grow_too_long_are_given_up_at_once() -> None:
    began_s = time.thread_time()
    with pytest.raises(ValueError, match="no node can have"):
        expand("w[1-60000]" + "[1]" * 5000)
    assert time.thread_time() - began_s < 5
