"""``hotslot check`` in the terminal: one line a finding, and what to do under what is not well."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from hotslot.model import Finding, Level
from hotslot.report.words import many, plain

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.WRONG: "bold red"}


def findings_page(source: str, findings: Sequence[Finding]) -> RenderableType:
    """Return the findings, then how many of them are not well."""
    return Group(*(_finding(one) for one in findings), Text(), _sum(source, findings))


def _finding(one: Finding) -> RenderableType:
    line = Text(f"{one.level.value:<5}", style=_STYLES[one.level])
    line.append(f" {plain(one.subject)}: {plain(one.found)}", style="default")
    if not one.remedy:
        return line
    return Group(line, Padding(Text(f"→ {plain(one.remedy)}"), (0, 0, 0, 6)))


def _sum(source: str, findings: Sequence[Finding]) -> Text:
    wrong = sum(one.level is Level.WRONG for one in findings)
    warnings = sum(one.level is Level.WARN for one in findings)
    words = f"{source}: {many(len(findings), 'check')}, {wrong} wrong, {many(warnings, 'warning')}"
    return Text(words, style=_STYLES[Level.WRONG if wrong else Level.OK])
