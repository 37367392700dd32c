"""A reason is the same to the letter when its numbers are put back, by us and by SQL."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotslot.record.batch import Batch
from hotslot.record.reasons import filled, parted
from record.recorded import event, lease, new_store

numbers = st.integers(0, 10**16).map(str) | st.floats(0, 1e6).map(lambda x: f"{x:.1f}")
pieces = st.lists(st.text(max_size=4) | numbers, max_size=12)
reasons = pieces.map("".join) | pieces.map(" ".join)


@pytest.mark.parametrize(
    ("reason", "text", "kept"),
    [
        ("no job; the idle size", "no job; the idle size", (None, None, None)),
        ("peak of 60 s is 2.1 of 8 cores", "peak of ⟨a⟩ s is ⟨b.⟩ of 8 cores", (60, 21, None)),
        ("job 4711 starts; its request", "job ⟨a⟩ starts; its request", (4711, None, None)),
        ("job 4711.0 starts", "job ⟨a.⟩ starts", (47110, None, None)),
        ("job 2024-4711 or v10", "job 2024-4711 or v10", (None, None, None)),
        ("0.05 of 12", "⟨a..⟩ of ⟨b⟩", (5, 12, None)),
        ("11, 12, 13, 14 of 3", "11, ⟨a⟩, ⟨b⟩, ⟨c⟩ of 3", (12, 13, 14)),
    ],
)
def test_numbers_that_vary_are_kept_apart(
    reason: str, text: str, kept: tuple[int | None, ...]
) -> None:
    assert parted(reason) == (text, kept)


@given(reasons)
def test_a_reason_is_put_together_again(reason: str) -> None:
    assert filled(*parted(reason)) == reason.replace("⟨", "<").replace("⟩", ">")


@settings(max_examples=25, deadline=None)
@given(st.lists(reasons, min_size=1, max_size=20))
def test_sql_puts_it_together_the_same_way(several: list[str]) -> None:
    told = [replace(event(at=110.0 + n), reason=one) for n, one in enumerate(several)]
    with new_store() as store:
        store.append(Batch(leases=(lease(),), events=tuple(told)))
        assert [one.reason for one in store.events(1)] == [
            filled(*parted(one.reason)) for one in told
        ]
