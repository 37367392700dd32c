"""Reasons in few words: the numbers that vary are kept apart from the text. Pure.

"3 of 8 cores would have done for 42 s: 310 core-seconds idle, worth a change from 120 on" is
kept as a text with three marks, one for all such reasons, and the numbers 42, 310 and 120. The
view ``event_log`` puts them together again, to the letter.
"""

from __future__ import annotations

import re

SLOTS = "abc"
"""Columns for numbers; of more the first ones stay in the text."""

SMALLEST = 10
"""Whole numbers below this are few and stay in the text."""

_NUMBER = re.compile(r"(?<![\w.⟨-])(0|[1-9]\d{0,14})(?:\.(\d{1,2}))?(?![\w⟩-]|\.\w)")

Numbers = tuple[int | None, int | None, int | None]


def parted(reason: str) -> tuple[str, Numbers]:
    """Return the text with marks, and the numbers; ``filled`` gives back the reason.

    Worked: "peak of 60 s is 2.1 of 8 cores" is "peak of ⟨a⟩ s is ⟨b.⟩ of 8 cores" with 60 and
    21: each dot in a mark is a decimal.
    """
    text = reason.replace("⟨", "<").replace("⟩", ">")
    found = [one for one in _NUMBER.finditer(text) if one[2] or int(one[1]) >= SMALLEST]
    numbers: list[int | None] = []
    pieces, end = [], 0
    for slot, one in zip(SLOTS, found[-len(SLOTS) :], strict=False):
        decimals = one[2] or ""
        pieces += [text[end : one.start()], f"⟨{slot}{'.' * len(decimals)}⟩"]
        numbers.append(int(one[1] + decimals))
        end = one.end()
    a, b, c, *_ = [*numbers, None, None, None]
    return "".join([*pieces, text[end:]]), (a, b, c)


def filled(text: str, numbers: Numbers) -> str:
    """Return the reason as it was, as the views do in SQL."""
    for slot, number in zip(SLOTS, numbers, strict=True):
        if number is not None:
            for digits in range(3):
                whole, rest = divmod(number, 10**digits)
                shown = f"{whole}.{rest:0{digits}}" if digits else str(number)
                text = text.replace(f"⟨{slot}{'.' * digits}⟩", shown)
    return text
