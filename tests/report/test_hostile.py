"""Nothing that a user can name breaks a table, CSV, Markdown, HTML or a mail's header."""

from __future__ import annotations

import csv
import email
import email.policy
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from builders import placement
from hotslot.model import Totals
from hotslot.record.batch import Batch
from hotslot.report import forms, gather
from hotslot.report.advice import advice
from hotslot.report.efficiency import Job
from hotslot.report.gather import Asked
from hotslot.report.html.page import page
from hotslot.report.mail import Mail, message
from hotslot.report.period import Period
from hotslot.report.sheet import Sheet
from hotslot.report.sheets import jobs_sheet
from hotslot.report.table import console
from hotslot.report.user import summary
from hotslot.report.words import plain, short
from record.recorded import event, lease, new_store, seconds
from report.reported import part
from report.week import HOSTILE

PERIOD = Period(0.0, 86_400.0)
NASTY = st.sampled_from(HOSTILE)
names = st.one_of(
    NASTY, st.text(max_size=40), st.text("<>&\"'=+-@|`*_[]()\\\r\n\t#!~:/w.", max_size=20)
)
TAGS = {"table", "thead", "tbody", "tr", "th", "td", "p", "strong"}


def sheet_of(name: str) -> Sheet:
    """A report of one job whose every text is this."""
    texts = {"name": name, "user": name, "account": name, "partition": name, "outcome": name}
    row = part(totals=Totals(100, 400, 260, 150, 0, 3.9, 0), **texts)
    return jobs_sheet([Job((row,))], PERIOD, 200.0, 10)


@settings(deadline=None)
@given(names, st.sampled_from([40, 80, 200]))
def test_a_table_stays_within_its_width_and_is_printable(name: str, width: int) -> None:
    stream = io.StringIO()
    console(stream, width).print(forms.as_text(sheet_of(name)))
    assert stream.getvalue().replace("\n", "").isprintable()


@settings(deadline=None)
@given(names)
def test_a_spreadsheet_reads_one_row_and_no_formula(name: str) -> None:
    rows = list(csv.reader(io.StringIO(forms.as_csv(sheet_of(name)), newline="")))
    assert len(rows) == 2
    assert len(rows[0]) == len(rows[1])
    found = rows[1][rows[0].index("name")]
    assert found.removeprefix("'") == plain(name).removeprefix("'")
    for text in rows[1]:
        assert not re.match(r"\s*[=+@＝＋－＠]", text)
        assert not re.match(r"\s*-", text) or re.fullmatch(r"-?[\d.e-]+", text)


class Seen(HTMLParser):
    """What a browser would make of HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.cells: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.cells:
            self.cells[-1] += data


def seen(text: str) -> Seen:
    """Parse HTML."""
    found = Seen()
    found.feed(text)
    found.close()
    return found


@settings(deadline=None)
@given(names)
def test_markdown_shows_names_as_they_are(name: str) -> None:
    written = forms.as_markdown(sheet_of(name))
    found = seen(MarkdownIt("commonmark").enable("table").render(written))
    assert set(found.tags) <= TAGS
    columns = len(sheet_of(name).columns)
    assert len(found.cells) == 3 * columns
    shown = found.cells[columns + 2].strip()
    assert shown == (short(name, forms.LONGEST_NAME).strip() if name else "")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(names)
def test_the_page_has_the_same_elements_whatever_the_name(name: str) -> None:
    assert shape(name)[0] == shape("harmless" if name else "")[0]
    text = shape(name)[1]
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert not re.search("[<>&\u2028\u2029]", data)
    json.loads(data)


def shape(name: str) -> tuple[tuple[list[str], list[str]], str]:
    """Return the elements and attributes of a page of one job of this name, and the page."""
    of = replace(placement("7"), name=name, user=name, account=name, outcome=name)
    totals = Totals(100, 400, 260, 150, 0, 3.9, 0)
    bad = replace(event(1, at=120.0), reason=name, detail=name)
    with new_store() as store:
        one = lease(1, of=of, closed_at=200.0, totals=totals)
        store.append(Batch(leases=(one,), samples=tuple(seconds(1, 50)), events=(bad,)))
        text = page(store, Asked(PERIOD), 300.0)
    found = seen(text)
    return (found.tags, found.attributes), text


@settings(deadline=None)
@given(names)
def test_a_mail_has_its_own_headers_and_no_other(name: str) -> None:
    runs = [part(totals=Totals(100, 400, 260, 150, 0, 3.9, 0), name=name, user=name)]
    one = advice(name, name, runs * 3, {})
    assert one is not None
    with new_store() as store:
        of = replace(placement("7"), name=name, user=name)
        ended = lease(1, of=of, closed_at=200.0, totals=Totals(100, 400, 260, 150, 0, 3.9, 0))
        store.append(Batch(leases=(ended,)))
        sums = gather.sums(store, Asked(PERIOD), "user")
    told = summary(name, PERIOD, sums, [Job(tuple(runs))], [one])
    raw = message(told, Mail("a@example.org", "hotslot@example.org", at=0.0))
    letter = email.message_from_bytes(raw, policy=email.policy.default)
    assert letter.keys() == ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted",
                             "MIME-Version", "Content-Type"]  # fmt: skip
    assert letter["To"] == "a@example.org"
    assert not letter.defects
    assert [one.get_content_type() for one in letter.iter_parts()] == ["text/plain", "text/html"]
    html = letter.get_body(("html",))
    assert html is not None
    assert not {"script", "img", "iframe", "link", "a"} & set(seen(html.get_content()).tags)
    assert max(map(len, raw.split(b"\n"))) <= 998


@pytest.mark.parametrize(
    "address",
    ["a b@example.org", "a@b\nBcc: c@d", "a@b\r\n\r\nbody", "a,b@c", "<a@b>", "a", "@b", "a@",
     "ä@b.de", "a@b.de, c@d.de", "a@b(x)", "", "-oQ/tmp@\x00"],
)  # fmt: skip
def test_an_address_that_could_be_more_than_one_is_refused(address: str) -> None:
    told = summary("u", PERIOD, [], [], [])
    with pytest.raises(ValueError, match="is no mail address"):
        message(told, Mail(address, "hotslot@example.org"))
    with pytest.raises(ValueError, match="is no mail address"):
        message(told, Mail("a@example.org", address))
