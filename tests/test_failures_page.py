"""docs/failures.md names tests that there are, and all that the campaign breaks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from live.campaign_plan import FaultKind

REPO = Path(__file__).parents[1]
PAGE = (REPO / "docs/failures.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
WHAT_FAILS = PAGE.partition("## The campaign")[0]
ROWS = [line for line in WHAT_FAILS.splitlines() if line.startswith("| ") and line.count("|") == 6]

WORDS = {
    FaultKind.AGENT_KILLED: "it is killed (SIGKILL)",
    FaultKind.AGENT_HANGS: "it hangs",
    FaultKind.AGENT_STOPPED: "is away for less",
    FaultKind.SLURMCTLD_KILLED: "slurmctld is killed",
    FaultKind.SLURMDBD_KILLED: "slurmdbd is killed",
    FaultKind.SLURM_HANGS: "`scontrol` and `sacctmgr` hang",
    FaultKind.SLURMD_KILLED: "slurmd is killed",
    FaultKind.SCHEDD_KILLED: "the schedd is killed",
    FaultKind.COLLECTOR_KILLED: "the collector or",
    FaultKind.NEGOTIATOR_KILLED: "the negotiator is killed",
    FaultKind.SHADOW_KILLED: "or shadow is killed",
    FaultKind.STARTD_KILLED: "a startd,",
    FaultKind.STARTER_KILLED: "starter or",
    FaultKind.VM_HANGS: "a VM hangs",
    FaultKind.VM_KILLED: "a VM is killed",
    FaultKind.DISK_FULL: "its disk is full",
    FaultKind.RECORD_READ_ONLY: "its file system becomes read-only",
    FaultKind.CLOCK_AHEAD: "its clock is set forward",
    FaultKind.CLOCK_BACK: "its clock is set back",
    FaultKind.POKES_FORGED: "a hook is forged",
    FaultKind.POKES_FLOOD: "pokes flood",
    FaultKind.SLURMCTLD_HANGS: "slurmctld or slurmdbd is stopped",
    FaultKind.SLURMDBD_HANGS: "slurmdbd is stopped",
    FaultKind.SLURMD_HANGS: "slurmd is stopped",
    FaultKind.SCHEDD_HANGS: "the schedd or the collector is stopped",
    FaultKind.COLLECTOR_HANGS: "the collector is stopped",
    FaultKind.STARTD_HANGS: "a startd is stopped",
}


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_each_test_that_is_named_exists(path: str, name: str) -> None:
    text = (REPO / path).read_text()
    assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE)


def test_each_row_names_a_test_or_the_campaign() -> None:
    told = [row for row in ROWS if not row.startswith(("| what fails", "|---", "| **"))]
    assert len(told) > 15
    for row in told:
        assert "::" in row.split("|")[5] or "campaign" in row.split("|")[5], row


@pytest.mark.parametrize("kind", list(FaultKind))
def test_each_fault_of_the_campaign_has_its_row(kind: FaultKind) -> None:
    assert any(WORDS[kind] in row.split("|")[1] and "campaign" in row for row in ROWS)


def test_the_page_counts_the_kinds() -> None:
    assert f"of {len(FaultKind)} kinds" in PAGE
