"""Secrets made blank, in settings and in text: pure.

What is called a secret, what looks like one, and what is known to be one elsewhere. A secret that
is none of these, such as a bare password in a job's name, cannot be told from a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

BLANK = "***"

LEAST = 6
"""Characters of a known secret that is looked for in text; a shorter one may be any word."""

_CALLED = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|credential|api[-_]?key|private[-_]?key"
    r"|access[-_]?key|auth(?:orization)?|cookie|session[-_]?id|signature"
)
_NAME = re.compile(rf"(?i)(?:^|[-_.]|(?<=[a-z]))(?:{_CALLED})s?(?:$|[-_.])")
_FILE_NAME = re.compile(r"(?i)[-_](?:file|path|dir|cert)$")
_KEY = re.compile(r"(?i)[a-z][-_.]?key$")
_FLAG = re.compile(rf"(?i)^--?[a-z0-9_-]*(?:{_CALLED})s?$")

_PATTERNS = (
    # A block of a key, even if its end is cut off.
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.S), BLANK),
    (re.compile(r"(?i)\b(bearer|basic|negotiate)(\s+)[A-Za-z0-9._~+/=-]{6,}"), rf"\1\2{BLANK}"),
    # scheme://user:password@host; also scheme://token@host
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}://)[^\s/@'\"<>]{1,500}@"), rf"\1{BLANK}@"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,2}"), BLANK),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), BLANK),
    (re.compile(r"\b(?:gh[pousr]_|glpat-|xox[abprs]-|sk-)[A-Za-z0-9_-]{10,}"), BLANK),
    # password=…, "token": "…", --api-key …, X_SECRET='…'
    (
        re.compile(
            rf"(?i)((?:{_CALLED})s?[\"']?\s{{0,5}}[=:]\s{{0,5}})"
            r"(\\?\"[^\"\n]{0,500}\"?|'[^'\n]{0,500}'?|[^\s,;&}\]\"']{1,500})"
        ),
        rf"\1{BLANK}",
    ),
    (
        re.compile(
            rf"(?i)((?<![\w-])--?[a-z0-9_-]{{0,40}}(?:{_CALLED})s?\s{{1,5}})(?!-)[^\s,;\"']{{1,500}}"
        ),
        rf"\1{BLANK}",
    ),
)


def is_secret_name(name: str) -> bool:
    """Whether a key is called like a secret; one that names a file of it is not."""
    return bool(_NAME.search(name)) and not _FILE_NAME.search(name)


def _is_secret(name: str, value: object) -> bool:
    """Whether a value is a secret by its key's name; a ``…key`` may be the path of a file."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        return False
    is_path = isinstance(value, str) and value.startswith("/")
    return is_secret_name(name) or (bool(_KEY.search(name)) and not is_path)


def blank_text(text: str, known: Iterable[str] = ()) -> str:
    """Return text with what is a known secret, or looks like one, made blank."""
    for secret in sorted({one for one in known if len(one) >= LEAST}, key=len, reverse=True):
        text = text.replace(secret, BLANK)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def blank_tree(value: Any, known: Iterable[str] = ()) -> Any:
    """Return plain values (of YAML or JSON) with secrets made blank, by key or by look."""
    known = tuple(known)
    if isinstance(value, Mapping):
        return {
            blank_text(str(key), known): BLANK
            if _is_secret(str(key), one)
            else blank_tree(one, known)
            for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return _blank_list(list(value), known)
    return blank_text(value, known) if isinstance(value, str) else value


def _blank_list(values: list[Any], known: tuple[str, ...]) -> list[Any]:
    """Make blank what follows a flag: ``[--password, hunter2]``."""
    flags = [isinstance(one, str) and _FLAG.fullmatch(one) is not None for one in values]
    return [
        BLANK if after_flag and isinstance(one, str) else blank_tree(one, known)
        for one, after_flag in zip(values, [False, *flags], strict=False)
    ]


def secrets_in(tree: Any) -> set[str]:
    """Return the values of keys that are called like secrets, and what follows such flags."""
    if isinstance(tree, Mapping):
        own = {str(one) for key, one in tree.items() if _is_secret(str(key), one)}
        return own.union(*(secrets_in(one) for one in tree.values()))
    if isinstance(tree, list | tuple):
        pairs = zip(tree, list(tree)[1:], strict=False)
        own = {
            two
            for one, two in pairs
            if isinstance(one, str) and isinstance(two, str) and _FLAG.fullmatch(one)
        }
        return own.union(*(secrets_in(one) for one in tree))
    return set()
