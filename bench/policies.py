"""Policies compared over recorded and synthetic jobs, all in one run; prints Markdown.

    python bench/policies.py [--traces DIRECTORY] [--out FILE]

1. ``hotslot`` against every other policy with all parameters of ``GRID``, at four harm budgets.
2. What bounds it: oracles, and the most that knowing the future reclaims within the budget.
3. Cross-validation over halves, and synthetic families.
4. Noise: sampling jitter, lost samples, suspended VMs, failing and slow actions.
5. A whole host.
6. Speed.
Exits 1 when a claim does not hold; docs/policies.md says which are made.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hotslot.decide.policies import build
from hotslot.decide.thrift import Thrift
from hotslot.replay.engine import NO_FAULTS, Faults
from hotslot.replay.families import FAMILIES, family
from hotslot.replay.figures import Figures, figures, sums
from hotslot.replay.foresight import within_budget
from hotslot.replay.host import gains, on_host
from hotslot.replay.replay import ORACLES, Setting, row
from hotslot.replay.traces import Jobs, whole

SETS = ("nfcore-sarek", "surf-lisa-dev")
BUDGETS = (0.05, 0.10, 0.25, 0.50)
GRID: dict[str, dict[str, tuple[float, ...]]] = {
    "threshold": {
        "add_above_pct": (70, 80, 90, 95),
        "remove_below_pct": (20, 30, 50, 60),
        "every_s": (5, 15, 60),
        "step": (1, 2),
    },
    "window": {
        "window_s": (15, 30, 45, 60, 75, 90, 120, 180, 300, 600, 1200),
        "margin_pct": (2, 5, 10, 20, 30),
        "saturated_pct": (90, 95, 99, 100),
    },
    "vpa": {
        "percentile": (90, 95, 98, 100),
        "margin_pct": (5, 15, 30),
        "half_life_s": (300, 1800, 86_400),
        "every_s": (10, 60),
    },
    "autopilot": {
        "percentile": (0, 90, 95, 98, 100),
        "margin_pct": (5, 10, 20),
        "half_life_s": (120, 300, 1800),
        "every_s": (10, 60),
        "escape_pct": (0, 95),
    },
    "holt": {
        "alpha": (0.02, 0.1, 0.3),
        "beta": (0.0, 0.05),
        "spreads": (2, 3, 5),
        "every_s": (5, 15, 30, 60),
    },
    "harvest": {
        "every_s": (5, 15, 30, 60),
        "rate": (0.02, 0.1),
        "under": (5, 20),
        "margin": (0.25, 0.5, 1),
    },
}
NOISE: dict[str, Faults] = {
    "none": NO_FAULTS,
    "jitter: each sample off by up to 3 %": Faults(jitter=0.03),
    "10 % of samples lost": Faults(lost=0.10),
    "suspended 60 s every 20 min": Faults(suspended_s=60, suspended_every_s=1200),
    "10 % of actions fail": Faults(failing=0.10),
    "10 % of actions take 10 s": Faults(slow=0.10),
    "all of these": Faults(0.10, 0.03, 60, 1200, 0.10, 0.10),
}
MOST_FAMILY_PCT = 0.25
MOST_P99_PCT = 1.0
MOST_EVENTS = 5.0
COMPILED = Setting(compile=True)

missed: list[str] = []


def lawful(name: str, **parameters: object) -> Any:
    """Return a policy by name."""
    return build(name, parameters)


def claim(holds: bool, words: str) -> str:
    """Remember a claim that does not hold; return how it went."""
    if not holds:
        missed.append(words)
    return "yes" if holds else "NO"


def variants(name: str) -> Iterator[tuple[str, Any]]:
    """Yield each policy of the grid with its parameters in words."""
    keys = list(GRID[name])
    for values in itertools.product(*GRID[name].values()):
        given: dict[str, object] = dict(zip(keys, values, strict=True))
        if name == "threshold" and float(values[1]) >= float(values[0]):
            continue
        yield (
            ":".join(
                [name, *(f"{key}={value:g}" for key, value in zip(keys, values, strict=True))]
            ),
            build(name, given),
        )


def line(figure: Figures, *more: str) -> str:
    """Lay one row of a table out."""
    cells = (
        figure.policy,
        f"{figure.reclaimed_pct:.2f}",
        f"{figure.eff_pct:.1f}",
        f"{figure.slowdown_throttle_pct:.3f}",
        f"{figure.slowdown_total_pct:.4f}",
        f"{figure.slowdown_p99_pct:.2f}",
        f"{figure.worst_pct:.1f}",
        f"{figure.events_per_job_hour:.2f}",
        *more,
    )
    return "| " + " | ".join(cells) + " |"


HEAD = (
    "| policy | reclaimed % | eff % | throttled % | slow-down % | p99 % | worst % | events/job-h |"
)
RULE = "|---|---|---|---|---|---|---|---|"


def at_budgets(name: str, jobs: Jobs) -> list[str]:
    """Compare at each budget, and say what bounds it."""
    others = [
        row(words, one, [jobs], COMPILED) for policy in GRID for words, one in variants(policy)
    ]
    text = [
        f"### {name}: {len(jobs):,} jobs, {len(others)} other policies with their parameters",
        "",
    ]
    for budget in BUDGETS:
        mine = row(f"hotslot:harm_budget_pct={budget:g}", Thrift(budget), [jobs], COMPILED)
        within = [one for one in others if one.slowdown_total_pct <= budget]
        rivals = sorted(within, key=lambda one: -one.reclaimed_pct)
        shown = _best_of_each(rivals)
        bound = figures("knows the future, same budget", [sums(jobs, within_budget(jobs, budget))])
        alone = mine.slowdown_total_pct <= budget and all(
            mine.reclaimed_pct > one.reclaimed_pct for one in rivals
        )
        words = f"{name} at {budget:g} %: within it, and reclaims more than all others within it"
        text += [f"**{words}: {claim(alone, words)}**", "", HEAD, RULE]
        text += [line(one) for one in (mine, *shown, bound)] + [""]
        if budget == 0.10:
            text += _default_claims(name, mine)
    text += ["Oracles, without a budget:", "", HEAD, RULE]
    text += [line(figures(oracle, [sums(jobs, run(jobs))])) for oracle, run in ORACLES.items()]
    return [*text, ""]


def _best_of_each(rivals: list[Figures]) -> list[Figures]:
    found: dict[str, Figures] = {}
    for one in rivals:
        found.setdefault(one.policy.split(":")[0], one)
    return list(found.values())


def _default_claims(name: str, mine: Figures) -> list[str]:
    words = f"{name}: p99 per job at most {MOST_P99_PCT:g} %"
    said = [f"- {words}: {claim(mine.slowdown_p99_pct <= MOST_P99_PCT, words)}"]
    if name == "nfcore-sarek":
        words = f"{name}: at most {MOST_EVENTS:g} events a job-hour"
        said.append(f"- {words}: {claim(mine.events_per_job_hour <= MOST_EVENTS, words)}")
    return [*said, ""]


def halves(sets: dict[str, Jobs]) -> list[str]:
    """Choose the price on each half of each set, use it on the other."""
    prices = (10.0, 14.0, 18.0, 22.0, 28.0, 36.0)
    text = ["### Cross-validation: patience chosen on one half (largest eff within 0.10 %)", ""]
    text += [
        "| set | chosen on | patience s | eff there | eff on the other half | slow-down there |"
    ]
    text += ["|---|---|---|---|---|---|"]
    for name, jobs in sets.items():
        order = np.argsort(jobs.start, kind="stable")
        parts = [jobs.taken(order[: len(order) // 2]), jobs.taken(order[len(order) // 2 :])]
        tables = [
            [row(f"{price:g}", Thrift(patience_s=price), [part], COMPILED) for price in prices]
            for part in parts
        ]
        for here, there in ((0, 1), (1, 0)):
            able = [i for i, one in enumerate(tables[here]) if one.slowdown_total_pct <= 0.10]
            best = max(able or [len(prices) - 1], key=lambda i: tables[here][i].eff_pct)
            mine, other = tables[here][best], tables[there][best]
            text.append(
                f"| {name} | half {here + 1} | {prices[best]:g} | {mine.eff_pct:.1f} "
                f"| {other.eff_pct:.1f} | {other.slowdown_total_pct:.3f} |"
            )
    return [*text, ""]


def families() -> list[str]:
    """Run the default on each synthetic family, alone and on a host."""
    text = ["### Synthetic families, default budget", ""]
    text += [HEAD[:-1] + "| gain on a 32-core host % |", RULE + "---|"]
    for name in FAMILIES:
        jobs = family(name)
        mine = replace(row(name, Thrift(), [jobs], COMPILED), policy=name)
        pair = gains([on_host(n, lawful(n), jobs, 32, COMPILED) for n in ("static", "hotslot")])
        gain = pair[1].gain_pct
        text.append(line(mine, f"{gain:+.2f}"))
        words = f"{name}: total slow-down at most {MOST_FAMILY_PCT:g} %"
        claim(mine.slowdown_total_pct <= MOST_FAMILY_PCT, words)
        claim(gain >= -0.3, f"{name}: throughput held")
    return [*text, ""]


def noise(sets: dict[str, Jobs]) -> list[str]:
    """Run the default with each fault."""
    text = ["### Noise, default budget", "", "| set " + HEAD, "|---" + RULE]
    for name, jobs in sets.items():
        for what, faults in NOISE.items():
            mine = row(what, Thrift(), [jobs], Setting(faults=faults, compile=True))
            lost = mine.slowdown_total_pct
            if faults.suspended_s:  # time that the VM was suspended is no harm of ours
                still = row(
                    "static", build("static", {}), [jobs], Setting(faults=faults, compile=True)
                )
                lost -= still.slowdown_total_pct
                mine = replace(
                    mine,
                    slowdown_total_pct=lost,
                    slowdown_p99_pct=mine.slowdown_p99_pct - still.slowdown_p99_pct,
                    reclaimed_pct=mine.reclaimed_pct - still.reclaimed_pct,
                )
            text.append(f"| {name} " + line(mine))
            claim(lost <= 0.15, f"{name}, {what}: total slow-down at most 0.15 %")
    return [*text, ""]


def host(sets: dict[str, Jobs]) -> list[str]:
    """A 64-core host with a saturated queue, in the order of starts and shuffled."""
    text = ["### A host of 64 cores with a saturated first-come queue", ""]
    text += [
        "| set | order | policy | throughput | gain % | wait h | short of cores % | slow-down % |"
    ]
    text += ["|---|---|---|---|---|---|---|---|"]
    asked: dict[str, dict[str, float]] = {
        "static": {},
        "threshold": {},
        "window": {"window_s": 30.0},
        "hotslot": {},
    }
    for name, jobs in sets.items():
        mixed = np.random.default_rng(1).permutation(len(jobs)).astype(np.float64)
        for order, queue in (("starts", jobs), ("shuffled", replace(jobs, start=mixed))):
            found = [on_host(n, lawful(n, **p), queue, 64, COMPILED) for n, p in asked.items()]
            rows = gains(found)
            for one in rows:
                text.append(
                    f"| {name} | {order} | {one.policy} | {one.throughput:.3f} "
                    f"| {one.gain_pct:+.1f} | {one.wait_mean_h:.1f} "
                    f"| {one.slowdown_short_pct:.3f} | {one.slowdown_total_pct:.3f} |"
                )
            words = f"{name}, {order}: hotslot's throughput on a host is not below static"
            claim(rows[-1].gain_pct >= 0, words)
    return [*text, ""]


def speed(jobs: Jobs) -> list[str]:
    """Seconds of job time a second, without compiling, on one core."""
    text = ["### Speed", "", "| policy | million job-seconds a second |", "|---|---|"]
    for name in ("window", "hotslot"):
        begun = time.process_time()
        row(name, lawful(name), [jobs], COMPILED)
        rate = float(jobs.life_s.sum()) / (time.process_time() - begun)
        text.append(f"| {name} | {rate / 1e6:.1f} |")
        claim(rate >= 1e6, f"{name}: 1,000 times real time for 1,000 jobs")
    return [*text, ""]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).resolve().parents[1]
    parser.add_argument("--traces", type=Path, default=here.parent / "shared" / "traces")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    begun = time.monotonic()
    sets = {name: whole(options.traces / name) for name in SETS}
    text = [
        "# Policies compared",
        "",
        "Made by `bench/policies.py` in one run; the model is that of docs/replay.md.",
        "",
    ]
    for name, jobs in sets.items():
        text += at_budgets(name, jobs)
    text += [*halves(sets), *families(), *noise(sets), *host(sets), *speed(sets[SETS[1]])]
    text += [f"One run took {time.monotonic() - begun:.0f} s.", ""]
    text += [f"MISSED: {words}" for words in missed] or ["Every claim holds."]
    page = "\n".join(text) + "\n"
    if options.out:
        options.out.write_text(page, encoding="utf-8")
    print(page)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
