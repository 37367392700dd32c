"""Users, accounts and job names under other names: the same one for the same name, always."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

KINDS = {"user": "user", "account": "account", "job_name": "job"}
"""Keys whose values are names, and how their pseudonyms begin."""

NOBODYS = frozenset({"", "root", "hotslot", "-"})

LEAST = 3
"""Letters of a name that is looked for in text; a shorter one is replaced where it has a key."""

_WHO = re.compile(r"([^\s,]+) \(uid \d+\)")
_TOKEN = re.compile(r"\w+(?:[.+@-]\w+)*")
_WORD = re.compile(r"\w+")


class Pseudonyms:
    """Gives names others; the same on each call on this host, since ``key`` is the host's own.

    Nobody who does not know the key can try names out. ``learn`` first from all that has names,
    then ``hide`` them in it.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, str] = {}
        self._many_words: list[str] = []

    def name(self, kind: str, name: str) -> str:
        """Return a name's pseudonym, like ``user-3fa9c1d2``."""
        if name in NOBODYS:
            return name
        digest = hmac.new(
            self._key, f"{kind} {name}".encode("utf-8", "surrogatepass"), hashlib.sha256
        )
        return f"{kind}-{digest.hexdigest()[:8]}"

    def learn(self, value: Any) -> None:
        """Take in the names that have keys in plain values, and who called commands."""
        if isinstance(value, Mapping):
            for key, one in value.items():
                if key in KINDS and isinstance(one, str):
                    self._learn(KINDS[key], one)
                elif key == "who" and isinstance(one, str):
                    for found in _WHO.findall(one):
                        self._learn("user", found)
                else:
                    self.learn(one)
        elif isinstance(value, list | tuple):
            for one in value:
                self.learn(one)

    def _learn(self, kind: str, name: str) -> None:
        if name in NOBODYS or name in self._known:
            return
        self._known[name] = self.name(kind, name)
        if not _TOKEN.fullmatch(name) and len(name) >= LEAST:
            self._many_words.append(name)
            self._many_words.sort(key=len, reverse=True)

    def hide(self, value: Any) -> Any:
        """Return plain values or text with all known names replaced."""
        if isinstance(value, Mapping):
            return {
                key: self.name(KINDS[key], one)
                if key in KINDS and isinstance(one, str)
                else self.hide(one)
                for key, one in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.hide(one) for one in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        for name in self._many_words:
            text = text.replace(name, self._known[name])
        return _TOKEN.sub(self._token, text)

    def _token(self, found: re.Match[str]) -> str:
        whole = self._word(found[0])
        return _WORD.sub(lambda one: self._word(one[0]), found[0]) if whole == found[0] else whole

    def _word(self, word: str) -> str:
        return self._known.get(word, word) if len(word) >= LEAST else word
