"""The page in a real browser: clicked through, by keyboard, dark, on a phone, on paper.

Names in it are hostile, and there is no network to ask.

HOTSLOT_SCREENSHOTS=DIRECTORY keeps what it looked like.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from hotslot.record.history import History
from hotslot.report.gather import Asked
from hotslot.report.html.page import page
from hotslot.report.period import Period
from report.week import DAY, MONDAY, week
from testbed.apt import install_missing

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

PERIOD = Period(MONDAY, MONDAY + 7 * DAY)
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
OVERVIEW = "() => document.querySelector('[data-chart=overview] canvas').toDataURL()"
DRAWN = "() => [...document.querySelectorAll('canvas')].map(one => one.toDataURL().length)"
BLANK = 2000
"""Characters of a picture with something on it, at least."""


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a week."""
    home = tmp_path_factory.mktemp("page")
    week(home / "hotslot.db")
    with History(home / "hotslot.db") as history:
        text = page(history, Asked(PERIOD), PERIOD.until)
    (home / "week.html").write_text(text, encoding="utf-8")
    return home / "week.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as Debian has it."""
    install_missing(("chromium", "fonts-dejavu-core"))
    path = shutil.which("chromium")
    assert path is not None
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Shown:
    """A page that was opened, and all that it said and asked for."""

    def __init__(self, browser: Browser, html: Path, **context: Any) -> None:
        settings = {"viewport": DESK, "offline": True, "reduced_motion": "reduce", **context}
        self.context = browser.new_context(**settings)
        self.page: Page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", self._say)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", lambda dialog: self.said.append(f"dialog {dialog.message}"))
        self.page.goto(html.as_uri())
        self.url = html.as_uri()

    def _say(self, message: ConsoleMessage) -> None:
        self.said.append(message.text)

    def keep(self, name: str) -> None:
        """Keep a screenshot if somebody wants to look."""
        if folder := os.environ.get("HOTSLOT_SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"{name}.png")

    def check(self) -> None:
        """Nothing was wrong, nothing was asked for, nobody has taken the page over."""
        assert self.said == []
        assert self.asked == [self.url]
        assert self.page.title().startswith("hotslot report")
        assert "owned" not in self.page.title()
        self.context.close()


@pytest.fixture
def shown(browser: Browser, html: Path) -> Iterator[Shown]:
    """The page at a desk; checked when the test has passed through it."""
    opened = Shown(browser, html)
    yield opened
    opened.check()


def test_it_is_one_small_file_without_an_address_in_it(html: Path) -> None:
    text = html.read_text()
    assert len(text.encode()) < 1_000_000
    assert "http://" not in text
    assert text.count("https://") == text.count("https://github.com/leeoniya/uPlot")


def test_it_is_clicked_through(shown: Shown) -> None:
    shown.keep("desk")
    for name in ("Users", "Most idle", "Gave most back", "Timelines", "Overview"):
        shown.page.get_by_role("navigation").get_by_role("link", name=name).click()
    shown.page.locator("#users").scroll_into_view_if_needed()
    shown.keep("users")
    shown.page.locator("#worst tbody a").first.click()
    expect(shown.page.locator("#job-1")).to_be_in_viewport()
    expect(shown.page.locator("#job-1 canvas").first).to_be_visible()
    shown.page.locator("#job-1 summary").first.click()
    expect(shown.page.locator("#job-1 details table").first).to_be_visible()
    shown.keep("job")
    shown.page.get_by_text("Day by day, as a table").click()
    expect(shown.page.locator("#overview table.sortable")).to_be_visible()


def test_a_mark_says_why_when_pointed_at(shown: Shown) -> None:
    job = shown.page.locator("article").first
    job.scroll_into_view_if_needed()
    mark, tip = job.locator(".mark").first, job.locator(".tip").first
    mark.hover()
    expect(tip).to_be_visible()
    expect(tip).to_contain_text("its request")
    shown.keep("tip")
    shown.page.mouse.move(5, 5)
    expect(tip).to_be_hidden()


def test_a_mark_says_why_to_who_uses_the_keyboard_alone(shown: Shown) -> None:
    chart = shown.page.locator("article .chart").first
    chart.scroll_into_view_if_needed()
    expect(chart.locator("canvas")).to_be_visible()
    chart.focus()
    legend = chart.locator(".u-legend .u-value").first
    shown.page.keyboard.press("ArrowRight")
    shown.page.keyboard.press("ArrowRight")
    expect(legend).not_to_have_text("–")
    shown.page.keyboard.press("Tab")
    marks, tip = chart.locator(".mark"), chart.locator(".tip")
    expect(marks.first).to_be_focused()
    expect(tip).to_contain_text("1 → 8 vCPUs, applied")
    shown.page.keyboard.press("ArrowRight")
    expect(marks.nth(1)).to_be_focused()
    expect(tip).to_contain_text("cores would have done")
    assert "cores would have done" in (marks.nth(1).get_attribute("aria-label") or "")
    shown.page.keyboard.press("Escape")
    expect(tip).to_be_hidden()


def test_the_first_tab_leads_past_the_navigation(shown: Shown) -> None:
    shown.page.keyboard.press("Tab")
    expect(shown.page.get_by_text("Skip to the report")).to_be_focused()


def test_a_heading_sorts_down_and_up(shown: Shown) -> None:
    table = shown.page.locator("#users table")
    button = table.get_by_role("button", name="used/asked")
    shares = "rows => rows.map(row => Number(row.querySelectorAll('td.n')[4].dataset.v))"
    for order in ("descending", "ascending"):
        button.click()
        expect(table.locator(f"th[aria-sort={order}]")).to_have_count(1)
        found = table.locator("tbody tr").evaluate_all(shares)
        assert len(found) > 3
        assert found == sorted(found, reverse=order == "descending")
    table.get_by_role("button", name="user", exact=True).click()
    table.get_by_role("button", name="user", exact=True).click()
    known = ("alice", "bob", "carol", "dave")
    people = [one for one in table.locator("tbody th").all_inner_texts() if one in known]
    assert people == sorted(known, reverse=True)


def test_it_turns_dark_and_its_charts_with_it(shown: Shown) -> None:
    shown.page.locator("[data-chart=overview] canvas").wait_for()
    light = shown.page.evaluate(OVERVIEW)
    background = "() => getComputedStyle(document.body).backgroundColor"
    assert shown.page.evaluate(background) == "rgb(255, 255, 255)"
    shown.page.emulate_media(color_scheme="dark")
    assert shown.page.evaluate(background) == "rgb(20, 23, 26)"
    shown.page.wait_for_function(f"(light) => ({OVERVIEW})() !== light", arg=light)
    shown.keep("dark")
    shown.page.emulate_media(color_scheme="light")
    shown.page.wait_for_function(f"(light) => ({OVERVIEW})() === light", arg=light)


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_it_fits_its_window(browser: Browser, html: Path, width: int) -> None:
    shown = Shown(browser, html, viewport={**PHONE, "width": width})
    for name in ("top", "users", "job-1"):
        if name != "top":
            shown.page.locator(f"#{name}").scroll_into_view_if_needed()
        shown.keep(f"{width}-{name}")
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    widest = "boxes => Math.max(...boxes.map(box => box.getBoundingClientRect().right))"
    assert shown.page.locator(".chart").evaluate_all(widest) <= width
    shown.check()


def test_charts_follow_the_window(shown: Shown) -> None:
    canvas = shown.page.locator("[data-chart=overview] canvas")
    canvas.wait_for()
    shown.page.set_viewport_size({"width": 500, "height": 800})
    shown.page.wait_for_function(
        "document.querySelector('[data-chart=overview] canvas').getBoundingClientRect().width < 500"
    )


def test_on_paper_every_chart_is_drawn_and_light(
    browser: Browser, html: Path, tmp_path: Path
) -> None:
    shown = Shown(browser, html, color_scheme="dark")
    made = shown.page.pdf(path=tmp_path / "week.pdf", format="A4", print_background=True)
    assert made.startswith(b"%PDF")
    assert made.count(b"/Type /Page\n") + made.count(b"/Type /Page ") + made.count(b"/Page") > 3
    shown.page.emulate_media(media="print")
    shown.page.wait_for_timeout(300)
    assert shown.page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    charts = shown.page.locator(".chart").count()
    drawn = shown.page.evaluate(DRAWN)
    assert len(drawn) == charts > 10
    assert min(drawn) > BLANK
    if folder := os.environ.get("HOTSLOT_SCREENSHOTS"):
        shutil.copy(tmp_path / "week.pdf", folder)
    shown.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_no_barrier(
    browser: Browser, html: Path, scheme: str, viewport: dict[str, int]
) -> None:
    shown = Shown(browser, html, color_scheme=scheme, viewport=viewport)
    shown.page.locator("article .chart").first.scroll_into_view_if_needed()
    shown.page.locator("article .mark").first.wait_for(state="attached")
    shown.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    found = Axe().run(shown.page, options=options)
    words = [
        (one["id"], [node["html"][:200] for node in one["nodes"][:3]])
        for one in found.response["violations"]
    ]
    assert words == []
    assert len(found.response["passes"]) > 20
    shown.check()


def test_its_policy_forbids_scripts_and_networks(browser: Browser, html: Path) -> None:
    """Whatever got in by a hole in the escaping could neither run nor leave."""
    text = html.read_text()
    holed = html.with_name("holed.html")
    bad = (
        "<script>document.title='owned'</script>"
        "<img src='x.png' onerror=\"document.title='owned'\">"
        "<style>@import 'other.css'; body { display: none }</style>"
        "<form action='there'><button id='send'>s</button></form>"
    )
    holed.write_text(text.replace('<main id="main">', f'<main id="main">{bad}'))
    shown = Shown(browser, holed)
    tried = "fetch('http://192.0.2.1/').then(() => 'left', () => 'forbidden')"
    assert shown.page.evaluate(tried) == "forbidden"
    shown.page.evaluate("document.getElementById('send').click()")
    time.sleep(0.3)
    assert shown.page.evaluate("document.title").startswith("hotslot report")
    assert shown.page.url == holed.as_uri()
    assert shown.page.evaluate("document.querySelector('h1').checkVisibility()")
    assert any("Content Security Policy" in one for one in shown.said)
    shown.context.close()
