"""A user's summary as a message for ``sendmail -t``: RFC 5322, as text and as HTML."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from textwrap import fill

from hotslot.report.advice import MEMORY
from hotslot.report.forms import cell
from hotslot.report.html.templates import template
from hotslot.report.sheet import Kind
from hotslot.report.user import UserSummary, lines, suggestions
from hotslot.report.words import core_hours, many, percent, plain, short

WIDTH = 72
MOST_JOBS = 10
_ASIDE = "Sent by hotslot on behalf of your administrators; nothing in it reports back."


@dataclass(frozen=True, slots=True)
class Mail:
    """Recipient and sender, and for tests what else the headers have."""

    to: str
    sender: str
    at: float | None = None
    message_id: str = ""


def message(told: UserSummary, mail: Mail) -> bytes:
    """Return the message; ValueError when an address cannot stand in a header.

    Its lines end as a UNIX ``sendmail`` takes them, with a line feed alone.
    """
    letter = EmailMessage(policy=SMTP.clone(linesep="\n", max_line_length=78))
    letter["From"] = _address(mail.sender)
    letter["To"] = _address(mail.to)
    letter["Subject"] = _subject(told)
    at = datetime.now().astimezone() if mail.at is None else datetime.fromtimestamp(mail.at)
    letter["Date"] = format_datetime(at.astimezone())
    letter["Message-ID"] = mail.message_id or make_msgid(domain=mail.sender.rpartition("@")[2])
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(_text(told), cte="quoted-printable")
    letter.add_alternative(_html(told), subtype="html", cte="quoted-printable")
    return letter.as_bytes()


def _address(text: str) -> str:
    local, at, domain = text.rpartition("@")
    good = local.isascii() and domain.isascii() and bool(local) and bool(domain) and bool(at)
    if not good or not all(c.isalnum() or c in "._-+" for c in local + domain):
        raise ValueError(f"{short(text, 80)!r} is no mail address")
    return text


def _subject(told: UserSummary) -> str:
    figures = told.figures
    return (
        f"{many(told.sums.jobs, 'job')}: {core_hours(figures.used_core_s)} of "
        f"{core_hours(figures.requested_core_s)} core-hours used "
        f"({percent(figures.efficiency_of_request)})"
    )


def _text(told: UserSummary) -> str:
    blocks = [f"Hello {plain(told.user)},", *(fill(plain(one), WIDTH) for one in lines(told))]
    if told.jobs:
        blocks.append("The largest jobs, core-hours:\n\n" + _table(told))
    blocks.append("What to change:")
    blocks += [
        fill(plain(one), WIDTH, initial_indent="  * ", subsequent_indent="    ")
        for one in suggestions(told) or ["Nothing: well asked for."]
    ]
    blocks += [fill(MEMORY, WIDTH), f"-- \n{fill(_ASIDE, WIDTH)}"]
    return "\n\n".join(blocks) + "\n"


def _rows(told: UserSummary, longest: int) -> list[tuple[str, ...]]:
    return [
        (
            short(job.id, 12),
            short(job.first.name, longest),
            short(job.state, 12),
            cell(job.figures.requested_core_s, Kind.CORE_S),
            cell(job.figures.held_core_s, Kind.CORE_S),
            cell(job.figures.used_core_s, Kind.CORE_S),
            cell(job.figures.efficiency_of_request, Kind.SHARE),
        )
        for job in told.jobs[:MOST_JOBS]
    ]


HEADING = ("job", "name", "state", "asked", "held", "used", "used/asked")


def _table(told: UserSummary) -> str:
    rows = [HEADING, *_rows(told, 16)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADING))]
    lines = (
        "  ".join(
            text.ljust(width) if place < 3 else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _html(told: UserSummary) -> str:
    return template("mail.html.j2").render(
        user=plain(told.user),
        lines=lines(told),
        heading=HEADING,
        rows=_rows(told, 40),
        suggestions=suggestions(told) or ["Nothing: well asked for."],
        memory=MEMORY,
        aside=_ASIDE,
    )
