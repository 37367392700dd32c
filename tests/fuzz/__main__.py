"""Try hostile inputs on every parser: ``python -m fuzz [--inputs N] [--only TARGET] [--seed S]``.

One process after another, one a target. Where atheris is installed one of fifty inputs is
chosen by it, guided by the branches that they reach. What was found is kept in ``.fuzz/``.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzz.every import MODULE_OF, TARGETS
from fuzz.target import Target
from fuzz.trial import GROWTH_MIB

KEPT = Path(".fuzz")
GUIDED_PART = 0.02
GUIDED_LEAST = 500
"""Fewer are not worth the seconds that counting branches takes to begin."""


@dataclass(slots=True)
class Row:
    """What came of one target."""

    target: Target
    inputs: int = 0
    guided: int = 0
    accepted: int = 0
    seconds: float = 0.0
    growth_mib: float = 0.0
    found: dict[str, str] = field(default_factory=dict)

    def cells(self) -> tuple[str, ...]:
        rate = self.inputs / self.seconds if self.seconds else 0.0
        accepted = 100 * self.accepted / max(1, self.inputs)
        return (
            self.target.name, f"{self.inputs:,}", f"{self.guided:,}", f"{rate:,.0f}",
            f"{accepted:.0f}", f"{self.growth_mib:+.1f}", str(len(self.found)),
        )  # fmt: skip


HEAD = ("target", "inputs", "guided", "a second", "taken %", "MiB", "findings")


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    asked.add_argument("--inputs", type=int, default=3_000_000, help="of all targets together")
    asked.add_argument("--only", action="append", choices=list(TARGETS), help="this target alone")
    asked.add_argument("--seed", type=int, default=1)
    chosen = asked.parse_args()
    targets = [TARGETS[name] for name in chosen.only or TARGETS]
    guides = importlib.util.find_spec("atheris") is not None
    if not guides:
        print("atheris is not installed (pip install -e .[fuzz]): no input is guided", flush=True)
    whole, began = sum(target.share for target in targets), time.monotonic()
    rows: list[Row] = []
    for target in targets:
        count = max(1, round(chosen.inputs * target.share / whole))
        rows.append(_row(target, count, chosen.seed, guides))
        _line(rows[-1].cells())
    total = Row(Target("all", lambda _: None, ()))
    for row in rows:
        total.inputs += row.inputs
        total.guided += row.guided
        total.accepted += row.accepted
        total.found |= {f"{row.target.name}: {what}": where for what, where in row.found.items()}
    total.seconds = time.monotonic() - began
    print("\n| " + " | ".join(HEAD) + " |\n" + "|---" * len(HEAD) + "|")
    for row in (*rows, total):
        print("| " + " | ".join(row.cells()) + " |")
    for what, where in total.found.items():
        print(f"found: {what}  {where}")
    return 1 if total.found else 0


def _row(target: Target, count: int, seed: int, guides: bool) -> Row:
    row = Row(target)
    guided = int(count * GUIDED_PART) if guides else 0
    guided = guided if guided >= GUIDED_LEAST else 0
    for how, most in (("blind", count - guided), ("guided", guided)):
        if most:
            said = _ran(row, most, seed, how)
            row.inputs += said.get("inputs", 0)
            row.accepted += said.get("accepted", 0)
            row.seconds += said.get("seconds", 0.0)
            if how == "guided":
                row.guided = said.get("inputs", 0)
            else:
                row.growth_mib = said.get("mib", 0.0) - said.get("early_mib", 0.0)
    if row.growth_mib > GROWTH_MIB:
        row.found[f"grew by {row.growth_mib:.0f} MiB"] = ""
    return row


def _ran(row: Row, most: int, seed: int, how: str) -> dict[str, Any]:
    """Run one process to its end, telling how far it is; a process that dies is a finding."""
    command = [
        sys.executable,
        "-m",
        "fuzz.one",
        MODULE_OF[row.target.name],
        row.target.name,
        str(most),
        str(seed),
        how,
    ]
    said: dict[str, Any] = {}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith("{"):
                continue
            said = json.loads(line)
            if sys.stderr.isatty():
                print(f"\r{row.target.name}, {how}: {said['inputs']:,}", end="\r", file=sys.stderr)
    for what, data in said.get("found", {}).items():
        row.found[what] = _kept(row.target, bytes.fromhex(data))
    if said.get("inputs", 0) < most:
        row.found[f"the process ended with {process.returncode}, {how}"] = ""
    return said


def _kept(target: Target, data: bytes) -> str:
    KEPT.mkdir(exist_ok=True)
    name = "".join(c if c.isalnum() else "-" for c in target.name)
    path = KEPT / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return str(path)


def _line(cells: tuple[str, ...]) -> None:
    print(
        "  ".join(f"{cell:<26}" if not at else f"{cell:>10}" for at, cell in enumerate(cells)),
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
