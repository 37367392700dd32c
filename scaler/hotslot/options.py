"""What the words behind commands mean: points in time, amounts of memory, names of VMs."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Any

import click

from hotslot.act.machine_names import problem_of_known, problem_of_new

AGO = re.compile(r"(\d{1,6})([smhdw])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MIB = {"M": 1, "G": 1024, "T": 1024 * 1024}


class Moment(click.ParamType[float]):
    """A point in time: ``2h`` ago, a date, or a date with a time, local."""

    name = "when"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        if isinstance(value, float):
            return value
        if ago := AGO.fullmatch(value):
            return time.time() - int(ago[1]) * SECONDS[ago[2]]
        try:
            return datetime.fromisoformat(value).astimezone().timestamp()
        except (ValueError, OverflowError):
            words = f"{value!r} is no time; say 30m, 2h, 7d, 2026-11-21 or 2026-11-21T14:00"
            self.fail(words, param, ctx)


class Memory(click.ParamType[int]):
    """An amount of memory: ``32G``, ``4096M``; a number alone is MiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,9})\s?([MGT]?)(?:i?B)?", value, re.IGNORECASE)
        mib = int(found[1]) * _MIB[found[2].upper() or "M"] if found else 0
        if not 128 <= mib <= 2 * 1024 * 1024:
            self.fail(f"{value!r} is no amount of memory; say 32G or 4096M", param, ctx)
        return mib


class Name(click.ParamType[str]):
    """A VM's name; ``new``: one that a worker may be given."""

    name = "name"

    def __init__(self, *, new: bool = False) -> None:
        self._problem = problem_of_new if new else problem_of_known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if problem := self._problem(value):
            self.fail(problem, param, ctx)
        return str(value)
