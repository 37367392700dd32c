"""``make soak``: a campaign of any length on a testbed of its own, and its figures.

Run as ``python -m live.soak``; exit code 1 when anything was lost.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
from pathlib import Path

from live.campaign import Campaign, campaign_cluster
from live.campaign_judge import judge
from live.campaign_plan import ALL_KINDS, FaultKind
from live.campaign_report import explain, figures, table
from testbed.progress import say

TELL_EVERY_S = 5.0


def main() -> int:
    """Run a campaign and say how it went."""
    parser = argparse.ArgumentParser(prog="python3 -m live.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="of load (default 20)")
    parser.add_argument("--seed", type=int, help="the same again (default: another each time)")
    parser.add_argument("--cores", type=int, default=6, help="of the host (default 6)")
    parser.add_argument(
        "--kinds",
        type=kinds_of,
        default=ALL_KINDS,
        help=f"of faults, separated by commas (default all): {', '.join(ALL_KINDS)}",
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    say(f"campaign of {arguments.minutes:g} min, seed {seed}, {arguments.cores} cores")
    with campaign_cluster(arguments.cores) as cluster:
        campaign = Campaign(cluster, seed, arguments.minutes, say, arguments.kinds)
        over = threading.Event()
        teller = threading.Thread(target=_tell, args=(campaign, over))
        teller.start()
        try:
            story = campaign.run()
        finally:
            over.set()
            teller.join()
        problems = judge(story)
        if problems:
            print(explain(story, problems))
            cluster.bed.keep_logs()
    print(table(story, problems))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures(story, problems), indent=2) + "\n")
    return 1 if problems else 0


def kinds_of(text: str) -> tuple[FaultKind, ...]:
    """Return the kinds of faults that are named; argparse tells of one that there is not."""
    try:
        return tuple(dict.fromkeys(FaultKind(name.strip()) for name in text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; there are {', '.join(ALL_KINDS)}") from error


def _tell(campaign: Campaign, over: threading.Event) -> None:
    while not over.wait(TELL_EVERY_S):
        counts = campaign.counts
        say(
            f"{campaign.passed_s:.0f} of {campaign.plan.seconds:.0f} s: {counts.submitted} jobs, "
            f"{counts.running} run, {counts.waiting} wait; {counts.injected} faults"
        )


if __name__ == "__main__":
    sys.exit(main())
