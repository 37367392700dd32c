"""What jobs will take back: learned from this host's, each application's and each job's history.

The arithmetic is decide/forecast_law.py's; this keeps its numbers by name, so that the agent can
write them down and read them again. docs/arbiter.md says how far it can be trusted, and why.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hotslot.decide.forecast_law import (
    ACCOUNT,
    EXCEEDED,
    IDLE_ROOM,
    IN,
    ROOM,
    TABLE,
    TOLD,
    expects,
    follow,
    idle_within,
    observe,
    taken_back,
)
from hotslot.decide.law import DUST
from hotslot.decide.parameters import refuse_outside

MOST_FAMILIES = 256
"""Applications that are told apart; of more, the one longest unseen is forgotten."""


@dataclass(frozen=True, slots=True)
class Foresight:
    """How far is looked ahead, and what may go wrong.

    - ``horizon_s``: so long should pass before what is lent is wanted back.
    - ``risk``: part of the horizons in which it is wanted back sooner; 1: nothing is kept for it.
    - ``idle_s``: cores count as idle within grants when nobody used them for so long.
    """

    horizon_s: float = 60.0
    risk: float = 0.1
    idle_s: float = 60.0

    def __post_init__(self) -> None:
        refuse_outside(
            horizon_s=(self.horizon_s, 1, 86_400),
            risk=(self.risk, 0, 1),
            idle_s=(self.idle_s, 1, 3600),
        )


@dataclass(frozen=True, slots=True)
class Outlook:
    """One job's second, for the forecast.

    ``job`` is unique to the run, ``family`` what runs have in common (such as user and name).
    ``granted``: it has, or is getting, what it wishes for; else what it wants is hidden.
    """

    job: str
    family: str
    wish: int
    request: int
    granted: bool


class Forecast:
    """A host's forecast: ``see`` once a second, then ``keep`` is what must not be lent."""

    def __init__(self, foresight: Foresight = Foresight()) -> None:
        self.foresight = foresight
        self._host = [0.0] * TABLE
        self._account = [0.0] * ACCOUNT
        self._families: dict[str, list[float]] = {}
        self._jobs: dict[str, list[float]] = {}
        self._ring = [0.0] * IDLE_ROOM
        self.keep = 0

    def see(self, interval_s: float, jobs: Iterable[Outlook]) -> int:
        """Take in one sample of all jobs; return the vCPUs to keep beyond what they wish for."""
        ahead, seen = self.foresight, {one.job: one for one in jobs}
        self._jobs = {job: self._jobs.get(job) or [0.0] * ROOM for job in seen}
        wishes, wishes_in, mean, variance = 0.0, 0.0, 0.0, 0.0
        for job, own in self._jobs.items():
            one = seen[job]
            family, wish, request = self._family(one.family), float(one.wish), float(one.request)
            observe(
                ahead.horizon_s, own, family, self._host, interval_s, wish, request,
                float(one.granted),
            )  # fmt: skip
            rise = expects(own, family, self._host, wish, request)
            mean, variance = mean + rise.mean, variance + rise.variance
            wishes += wish
            wishes_in += wish * own[IN]
        spread = math.sqrt(variance)
        fixed = (ahead.horizon_s, ahead.risk, self._account)
        if follow(*fixed, interval_s, wishes_in, wishes, mean, spread) > 0:
            for own in self._jobs.values():
                own[IN] = 1.0
        self.keep = 0
        if ahead.risk < 1:
            back = taken_back(ahead.risk, self._account, mean, spread)
            room = sum(max(0, one.request - one.wish) for one in seen.values())
            self.keep = min(room, math.ceil(back - DUST))
        return self.keep

    def idle(self, interval_s: float, granted: int, wanted_cores: float) -> float:
        """Take in a host's second; return the cores that were idle within all grants lately."""
        window_s = self.foresight.idle_s
        return idle_within(self._ring, window_s, interval_s, float(granted), wanted_cores)

    @property
    def told(self) -> int:
        """Horizons that were foretold and are over."""
        return int(self._account[TOLD])

    @property
    def exceeded(self) -> float:
        """The part of them in which jobs took back more than was kept: the risk as it was."""
        return self._account[EXCEEDED] / max(1.0, self._account[TOLD])

    def remembered(self) -> dict[str, object]:
        """Return what was learned, for JSON; running jobs begin anew after a restart."""
        return {
            "host": list(self._host),
            "account": list(self._account),
            "families": {name: list(table) for name, table in self._families.items()},
        }

    def recall(self, remembered: Mapping[str, object]) -> None:
        """Take over what was learned before; what does not look like it is left out."""
        self._host = _floats(remembered.get("host"), TABLE) or self._host
        account = _floats(remembered.get("account"), ACCOUNT)
        if account and all(one >= 0 for one in account[TOLD:]):
            self._account = account
        families = remembered.get("families")
        if isinstance(families, Mapping):
            tables = {str(name): _floats(table, TABLE) for name, table in families.items()}
            kept = [(name, table) for name, table in tables.items() if table]
            self._families = dict(kept[-MOST_FAMILIES:])

    def _family(self, name: str) -> list[float]:
        known = self._families.pop(name, None) or [0.0] * TABLE
        self._families[name] = known
        if len(self._families) > MOST_FAMILIES:
            del self._families[next(iter(self._families))]
        return known


def _floats(found: object, length: int) -> list[float]:
    """Return numbers as they were written down, [] for anything else."""
    if not isinstance(found, list) or len(found) != length:
        return []
    if not all(isinstance(one, int | float) and abs(one) < 1e15 for one in found):
        return []
    return [float(one) for one in found]
