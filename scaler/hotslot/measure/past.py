"""A worker's recent samples, in a quarter of the memory of objects.

256 workers keep 600 samples each: as objects 33 MB, and as many for every full garbage collection
to look at. As numbers side by side they take 8 MB, and only those that somebody asks for are made.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import overload

from hotslot.model import Sample

_WIDTH = 6
_SLACK = 64
"""Rows at the front that may be forgotten and still there: letting go of one alone moves all."""

NEWEST = 16
"""So many are given back as the very objects: policies tell by them what they have seen."""


class Samples(Sequence[Sample]):
    """Samples of one worker, oldest first; those read back are equal to those put in, the newest
    ones the same."""

    def __init__(self, samples: Iterable[Sample] = ()) -> None:
        self._numbers = array("d")
        self._first = 0
        self._newest: deque[Sample] = deque(maxlen=NEWEST)
        for one in samples:
            self.append(one)

    def __len__(self) -> int:
        return len(self._numbers) // _WIDTH - self._first

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if index == -1 and self._newest:  # nearly always
            return self._newest[-1]
        count = len(self)
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(count))]
        at = index + count if index < 0 else index
        if not 0 <= at < count:
            raise IndexError(index)
        if (newest := at - count + len(self._newest)) >= 0:
            return self._newest[newest]
        begin = (self._first + at) * _WIDTH
        end_at, interval_s, granted, held, used, waited = self._numbers[begin : begin + _WIDTH]
        return Sample(end_at, interval_s, int(granted), held, used, waited)

    def __reversed__(self) -> Iterator[Sample]:
        yield from islice(reversed(self._newest), len(self))
        for at in range(len(self) - len(self._newest) - 1, -1, -1):
            yield self[at]

    def append(self, one: Sample) -> None:
        """Keep a sample that is newer than all others."""
        self._newest.append(one)
        self._numbers.extend(
            (
                one.at,
                one.interval_s,
                one.granted_vcpus,
                one.held_cores,
                one.used_cores,
                one.waited_cores,
            )
        )

    def forget_before(self, at: float) -> None:
        """Let go of the oldest samples, as far as they ended before; the newest one stays."""
        rows = len(self._numbers) // _WIDTH
        while self._first < rows - 1 and self._numbers[self._first * _WIDTH] < at:
            self._first += 1
        if self._first >= _SLACK:
            del self._numbers[: self._first * _WIDTH]
            self._first = 0

    def clear(self) -> None:
        """Let go of all samples."""
        self._numbers, self._first = array("d"), 0
        self._newest.clear()
