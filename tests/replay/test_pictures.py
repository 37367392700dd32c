"""The trade-off as a picture, and in the terminal."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree as ET

import pytest

from hotslot.replay.figures import Figures
from hotslot.replay.page import TradeOff
from hotslot.replay.svg import LETTER, mark, picture
from hotslot.report.table import console


def row(name: str, eff_pct: float, slow_pct: float) -> Figures:
    return Figures(name, 9, 1.0, 2.0, eff_pct, 0.0, slow_pct, 0.0, 0.0, 1.0)


LONG = "harvest:every_s=60:rate=0.02:under=20:margin=0.25:and=more:and=more:still"


def test_the_legend_has_room_for_the_longest_name_and_for_all_names() -> None:
    tree = ET.fromstring(picture([row(LONG, 50, 0.1), *[row(f"p{n}", 9, 1) for n in range(60)]]))
    _, _, width, height = map(float, tree.attrib["viewBox"].split())
    texts = {one.text: one for one in tree if one.tag.endswith("text")}
    assert float(texts[LONG].attrib["x"]) + LETTER * len(LONG) <= width
    assert float(texts["p59"].attrib["y"]) <= height
    assert (tree[0].tag.rpartition("}")[2], tree[0].attrib["fill"]) == ("rect", "#fff")


def test_no_two_points_look_alike() -> None:
    assert len({mark(at, 0, 0) for at in range(100)}) == 100


def test_no_slow_down_stands_at_a_tick_that_says_at_most() -> None:
    assert ">≤0.003<" in picture([row("static", 0, 0)])


@pytest.mark.parametrize("lowest", [0.0, -1.2, -870.0])
def test_the_terminal_plot_is_logarithmic_and_shows_every_point(lowest: float) -> None:
    pytest.importorskip("plotext")
    text = io.StringIO()
    rows = [row("static", 0, 0), row("a", 50, 0.1), row("b", lowest, 30), row("c", 100, 0.9)]
    console(text, 80).print(TradeOff(rows))
    drawn = text.getvalue().split("eff %")[0]
    assert re.search("≤0.003 .* 0.03 .* 0.3 .* 3 .* 30", drawn)
    for letter in "abcd":
        assert drawn.count(letter) == 1
