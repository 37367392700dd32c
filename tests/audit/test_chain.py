"""Whatever is done to written lines is found; what is cut off at the end, with the head."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot.audit.chain import (
    GENESIS,
    WHAT_BYTES,
    WORDS,
    Break,
    Chain,
    Draft,
    Head,
    Kind,
    NotALine,
    read,
    torn,
    written,
)

TEXT = st.text(max_size=30)
WHAT = st.dictionaries(TEXT, st.one_of(st.none(), st.integers(), TEXT), max_size=3)
DRAFTS = st.lists(
    st.builds(
        Draft, st.floats(0, 4e9), st.sampled_from([Kind.VCPUS, Kind.LIMITS]), TEXT, WHAT, TEXT
    ),
    min_size=2,
    max_size=12,
)
BEGIN = Draft(0.0, Kind.FILE, "hotslot", {"after": None}, "a new file")


def lines_of(drafts: list[Draft]) -> list[bytes]:
    head, lines = Head(), []
    for draft in [BEGIN, *drafts]:
        raw, head = written(draft, head)
        lines.append(raw[:-1])
    return lines


def broken(lines: list[bytes]) -> Break | None:
    chain = Chain()
    for number, raw in enumerate(lines):
        if found := chain.take(raw, str(number)):
            return found
    return chain.end()


@given(DRAFTS)
def test_what_was_written_is_whole_and_reads_the_same(drafts: list[Draft]) -> None:
    lines = lines_of(drafts)
    assert broken(lines) is None
    for draft, raw in zip(drafts, lines[1:], strict=True):
        line = read(raw)
        assert (line.who, line.why, dict(line.what)) == (draft.who, draft.why, dict(draft.what))
        assert raw.isascii()
        assert b"\n" not in raw


@given(DRAFTS, st.data())
def test_any_edit_is_found_at_its_line(drafts: list[Draft], data: st.DataObject) -> None:
    lines = lines_of(drafts)
    number = data.draw(st.integers(0, len(lines) - 1))
    raw = bytearray(lines[number])
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte not in (raw[at], ord("\n"))))
    lines[number] = bytes(raw)
    found = broken(lines)
    assert found is not None
    assert found.where == str(number)


@given(DRAFTS, st.data())
def test_any_deletion_before_the_end_is_found(drafts: list[Draft], data: st.DataObject) -> None:
    lines = lines_of(drafts)
    begin = data.draw(st.integers(0, len(lines) - 2))
    end = data.draw(st.integers(begin + 1, len(lines) - 1))
    assert broken(lines[:begin] + lines[end:]) is not None


@given(DRAFTS, st.data(), st.binary(max_size=60))
def test_any_insertion_is_found(drafts: list[Draft], data: st.DataObject, extra: bytes) -> None:
    lines = lines_of(drafts)
    extra = data.draw(st.sampled_from([extra.replace(b"\n", b""), *lines, lines_of([])[0]]))
    at = data.draw(st.integers(0, len(lines)))
    assert broken([*lines[:at], extra, *lines[at:]]) is not None


@given(DRAFTS, st.data())
def test_any_other_order_is_found(drafts: list[Draft], data: st.DataObject) -> None:
    lines = lines_of(drafts)
    other = data.draw(st.permutations(lines).filter(lambda found: found != lines))
    assert broken(other) is not None


@given(DRAFTS, st.data())
def test_what_is_cut_off_at_the_end_is_found_with_the_head_only(
    drafts: list[Draft], data: st.DataObject
) -> None:
    lines = lines_of(drafts)
    kept = read(lines[-1]).hash
    cut = lines[: data.draw(st.integers(1, len(lines) - 1))]
    assert broken(cut) is None
    assert kept not in {read(raw).hash for raw in cut}


@given(DRAFTS, st.integers(0, 11))
def test_who_hashes_anew_from_a_line_on_is_found_with_the_head_only(
    drafts: list[Draft], at: int
) -> None:
    kept = read(lines_of(drafts)[-1]).hash
    forged = [*drafts]
    forged[at % len(drafts)] = Draft(1.0, Kind.VCPUS, "nobody", {"forged": True})
    lines = lines_of(forged)
    assert broken(lines) is None
    assert kept not in {read(raw).hash for raw in lines}


LEFT = st.binary(min_size=1, max_size=80).filter(lambda left: not left.startswith(b"\n"))


@given(DRAFTS, LEFT, st.integers(1, 11))
def test_what_a_crash_left_is_accepted_with_its_mark_alone(
    drafts: list[Draft], left: bytes, at: int
) -> None:
    before = lines_of(drafts[:at])
    head = read(before[-1]).head
    left = left.removesuffix(b"\n")
    mark, head = written(torn(5.0, left), head)
    after, _ = written(drafts[-1], head)
    lines = [*before, *left.split(b"\n"), mark[:-1], after[:-1]]
    chain = Chain()
    assert [chain.take(raw, str(n)) for n, raw in enumerate(lines)] == [None] * len(lines)
    assert chain.end() is None
    assert chain.torn == [str(len(before))]
    changed = bytes([left[0] ^ 1]) + left[1:]
    if b"\n" not in changed[:1]:
        assert broken([*before, *changed.split(b"\n"), *lines[-2:]]) is not None
    assert broken([*before, *lines[-2:]]) is not None, "the mark alone"
    assert broken([*before, *left.split(b"\n"), lines[-1]]) is not None, "without its mark"
    assert broken([*before, *left.split(b"\n")]) is not None, "not marked yet"


@given(st.binary(max_size=300))
def test_any_bytes_are_a_line_or_are_not(raw: bytes) -> None:
    with pytest.raises(NotALine):
        read(raw)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b"1",
        b'{"seq":true,"at":1,"kind":"vcpus","who":"","what":{},"why":"","prev":""}',
        b'{"seq":1,"at":1,"kind":"vcpus","who":"","what":[],"why":"","prev":""}',
        b"[" * 5000 + b"}",
    ],
)
def test_a_right_hash_is_not_enough(body: bytes) -> None:
    body = body if body.endswith(b"}") else body[:-1] + b"}"
    digest = hashlib.sha256(body).hexdigest().encode()
    with pytest.raises(NotALine):
        read(body[:-1] + b',"hash":"' + digest + b'"}')


def test_hostile_words_are_bounded_and_stay_one_line() -> None:
    hostile = "x\n\x1b[2J\u202e\udc80" + "y" * 5000
    raw, _ = written(Draft(0.0, Kind.VCPUS, hostile, {"job": hostile}, hostile), Head())
    assert raw.count(b"\n") == 1
    assert len(read(raw[:-1]).why) == WORDS
    big, _ = written(Draft(0.0, Kind.START, "x", {str(n): "z" * 900 for n in range(99)}), Head())
    assert len(big) < WHAT_BYTES
    assert read(big[:-1]).what["too_long_bytes"] > WHAT_BYTES


def test_the_form_is_as_documented() -> None:
    """Anybody can follow the chain with sha256sum: docs/security.md shows how."""
    raw, head = written(Draft(1.0004, Kind.RESUME, "hotslotd", {"worker": "w1"}, "why"), Head())
    value = json.loads(raw)
    assert list(value) == ["seq", "at", "kind", "who", "what", "why", "prev", "hash"]
    assert (value["seq"], value["at"], value["prev"]) == (1, 1.0, GENESIS)
    body = raw.rstrip(b"\n").partition(b',"hash"')[0] + b"}"
    assert hashlib.sha256(body).hexdigest() == value["hash"] == head.hash


def test_what_is_not_plain_stops_nothing() -> None:
    raw, _ = written(Draft(0.0, Kind.VCPUS, "x", {"n": float("nan"), "o": object()}), Head())
    assert "nan" in read(raw[:-1]).what["not_plain"]


def test_more_than_a_crash_can_leave_is_broken_at_once() -> None:
    chain = Chain()
    assert chain.take(lines_of([])[0], "1") is None
    for number in range(2, 100):
        if found := chain.take(b"x" * 100_000, str(number)):
            break
    assert found == Break("2", "is not a whole line")
    assert number < 15
