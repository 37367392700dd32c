"""The SQL of docs/schema.md runs, answers, and names what is there."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from hotslot.record.store import Store
from record.lives import Life, a_life, live

DOCS = Path(__file__).parents[2] / "docs" / "schema.md"
TEXT = DOCS.read_text(encoding="utf-8")
QUESTIONS = re.findall(r"^### ([^\n]*\?)\n\n```sql\n(.*?)```", TEXT, re.DOTALL | re.MULTILINE)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A record of a job that was saturated a minute ago, with a failed attempt."""
    now = float(int(time.time()))
    store = Store(tmp_path / "hotslot.db", host="n1")
    slow = Life(a_life("12", now - 60).of, now - 60, granted=(4, 2, 2, 2, 2), used=2.0)
    live(store, [slow, a_life("13", now - 50)])
    store._db.execute("UPDATE changes SET result = 'guest refused'")
    return store


def test_there_are_five_questions() -> None:
    assert len(QUESTIONS) == 5


@pytest.mark.parametrize(("question", "sql"), QUESTIONS)
def test_a_question_is_answered(store: Store, question: str, sql: str) -> None:
    (answer, *_) = store._rows(sql.strip().removesuffix(";"))
    assert all(value is not None for value in answer.values())
    if "slowed down" in question:
        assert (answer["job"], answer["saturated_s"]) == ("12", 4.0)


def test_the_months_add_up(store: Store) -> None:
    (question,) = [sql for name, sql in QUESTIONS if "month by month" in name]
    (month,) = store._rows(question.strip().removesuffix(";"))
    assert month["returned_pct"] == round(100 * (8 + 6) / 40, 1)


@pytest.mark.parametrize(
    "view",
    [
        *("lease_log", "event_log", "idle_event_log", "decision_log", "sample_log", "daily_log"),
        "host_ledger",
    ],
)
def test_every_column_of_a_view_is_documented(store: Store, view: str) -> None:
    columns = {row[1] for row in store.select(f"PRAGMA table_info({view})")}
    words = set(re.findall(r"`([a-z_0-9]+)`", TEXT))
    assert columns - words - {"minute_at", "span_s"} == set()


def test_every_table_is_documented(store: Store) -> None:
    tables = store.select("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")
    names = {name for (name,) in tables if not name.startswith("sqlite_")}
    assert names <= set(re.findall(r"`([a-z_0-9]+)`", TEXT))
