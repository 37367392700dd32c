"""The host's ledger in a few lines, above the workers of ``hotslot status``."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from hotslot.accounts import HostAccount
from hotslot.report.words import few, many, short

MOST_LOANS = 3
"""So many borrowers are named above the workers; each one's row is marked."""


def ledger_lines(ledger: HostAccount) -> Iterable[Text]:
    """Say what is granted to whom, what can be lent, and who runs on what others own."""
    parts = (
        f"granted: {part_of(ledger.owners_vcpus, ledger.returned_vcpus)} to owners",
        f"{part_of(ledger.borrowers_vcpus, ledger.unfilled_vcpus)} to borrowers",
        *((f"{ledger.grown_vcpus} beyond requests",) if ledger.grown_vcpus else ()),
        f"{ledger.idle_vcpus} idle",
    )
    yield Text(", ".join(parts))
    free = ledger.reserved_vcpus + ledger.headroom_vcpus
    over = f", {ledger.over_vcpus} too many" if ledger.over_vcpus else ""
    lending = "" if ledger.lending else " (lending is off)"
    yield Text(
        f"free: {free} of {ledger.capacity_vcpus}{over}, {ledger.reserved_vcpus} kept, "
        f"headroom {ledger.headroom_vcpus}{lending}; offered {ledger.offered_cpus}, "
        f"lent {ledger.lent_vcpus}"
    )
    for loan in ledger.loans[:MOST_LOANS]:
        job = f"job {short(loan.job)} on {short(loan.worker)}"
        yield Text(f"* {job} runs {loan.vcpus} on cores lent by {few(loan.lenders)}")
    if len(ledger.loans) > MOST_LOANS:
        yield Text(f"* and {many(len(ledger.loans) - MOST_LOANS, 'other job')} on lent cores")


def part_of(has: int, rest: int) -> str:
    """Return what some have of what they asked for: ``6 of 12``."""
    return f"{has} of {has + rest}"
