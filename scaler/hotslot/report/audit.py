"""The audit log in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from hotslot.report.table import Column, Columns
from hotslot.report.words import clock, many, plain

if TYPE_CHECKING:
    from hotslot.audit.chain import Line
    from hotslot.audit.verify import Verdict


def audit_table(lines: Sequence[Line]) -> RenderableType:
    """Return one row a change."""
    if not lines:
        return Text("no changes")
    return Columns(
        [
            Column("when", [clock(line.at) for line in lines]),
            Column("who", [line.who for line in lines], spare=2, folds=True),
            Column("kind", [line.kind for line in lines], spare=1),
            Column("what", [_what(line.kind, line.what) for line in lines], folds=True),
            Column("why", [line.why for line in lines], spare=3, folds=True),
        ]
    )


def _what(kind: str, what: Mapping[str, Any]) -> str:
    if kind == "vcpus" and {"worker", "from_vcpus", "got_vcpus"} <= what.keys():
        of = f" (job {what['job']} of {what.get('user')})" if what.get("job") else ""
        return f"{what['worker']}: {what['from_vcpus']} → {what['got_vcpus']} vCPUs{of}"
    if kind == "limits" and {"scheduler", "group", "to_cpus"} <= what.keys():
        before = "?" if what.get("from_cpus") is None else what["from_cpus"]
        words = f"{what['scheduler']}, {what['group']}: {before} → {what['to_cpus']} CPUs"
        return f"{words}: {what['problem']}" if what.get("problem") else words
    if kind == "start" and {"version", "settings_sha256"} <= what.keys():
        return f"version {what['version']}, settings {what['settings_sha256'][:12]} (--json: all)"
    return ", ".join(f"{key} {value}" for key, value in what.items() if value is not None)


def verdict_page(verdict: Verdict, wrong: Sequence[str]) -> RenderableType:
    """Return what was found, first what is wrong."""
    lines = [Text(plain(one), style="bold red") for one in wrong]
    lines += [Text(plain(one), style="yellow") for one in _notes(verdict)]
    words = (
        f"{many(verdict.lines, 'line')} in {many(verdict.files, 'file')}, "
        f"number {verdict.first_seq} to {verdict.last_seq} ({clock(verdict.last_at)})"
    )
    if wrong:
        return Group(*lines, Text(f"{words} were whole before that", style="bold red"))
    return Group(*lines, Text(f"{words}: whole", style="green"), Text(f"head {verdict.head}"))


def _notes(verdict: Verdict) -> Iterator[str]:
    for place in verdict.torn:
        yield f"{place}: a crash, or a full disk, left part of a line, and hotslot marked it"
    if verdict.gaps:
        lost = many(verdict.lost, "entry", "entries")
        yield f"{lost} could not be written, as {many(verdict.gaps, 'line says', 'lines say')}"
    for name in verdict.aside:
        yield f"{name}: a file without a whole line, which hotslot has put aside"
