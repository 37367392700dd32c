"""Collecting all parts, without secrets, into an archive that only who made it can read."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hotslot.blanked import blank_text, blank_tree, is_secret_name, secrets_in
from hotslot.config import Config
from hotslot.doctor.asking import NotCollected, text_of, within
from hotslot.doctor.parts import Part
from hotslot.doctor.pseudonyms import Pseudonyms
from hotslot.errors import HotslotError


@dataclass(frozen=True, slots=True)
class Collected:
    """A part as it is in the archive; ``problem`` says why there is none, or ''."""

    file: str
    about: str
    seconds: float
    bytes: int
    problem: str
    text: str


def known_secrets(config: Config | None, tree: Any) -> set[str]:
    """Return what is a secret by its name in the configuration or the environment, and what the
    files of the configuration hold that are called like secrets."""
    found = secrets_in(tree)
    found |= {value for name, value in os.environ.items() if is_secret_name(name)}
    if config is not None:
        for path in (config.agent.metrics_token_file, config.agent.metrics_tls_key):
            if path is not None:
                found |= set(text_of(path).splitlines())
    return {one.strip() for one in found}


def collect(
    wanted: Iterable[Part],
    secrets: Iterable[str],
    pseudonyms: Pseudonyms | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Collected]:
    """Collect parts one after another; one that fails has a problem instead of text."""
    secrets = tuple(secrets)
    raw: list[tuple[Part, float, Any, str]] = []
    for part in wanted:
        tell(part.about)
        began = time.monotonic()
        value, problem = None, ""
        try:
            value = blank_tree(within(part.limit_s, part.collect), secrets)
        except NotCollected as error:
            problem = blank_text(str(error), secrets)
        raw.append((part, time.monotonic() - began, value, problem))
    if pseudonyms is not None:
        for _, _, value, _ in raw:
            pseudonyms.learn(value)
    done = []
    for part, seconds, found, why in raw:
        value, problem = found, why
        if pseudonyms is not None:
            value, problem = pseudonyms.hide(found), pseudonyms.hide(why)
        text = "" if problem else _text(value)
        size = len(text.encode("utf-8", "replace"))
        done.append(Collected(part.file, part.about, round(seconds, 2), size, problem, text))
    return done


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=1, default=str)


def write(path: Path, collected: Iterable[Collected], facts: dict[str, Any]) -> int:
    """Write a new .tar.gz that its owner alone can read, and return its bytes.

    HotslotError when there is a file of this name already, or a symbolic link: neither is written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.open(path, flags, 0o600)
    except OSError as error:
        raise HotslotError(f"{path} cannot be made: {error.strerror}") from error
    name = path.name.removesuffix(".gz").removesuffix(".tar")
    try:
        with (
            os.fdopen(file, "wb") as raw,
            tarfile.open(fileobj=raw, mode="w:gz", format=tarfile.PAX_FORMAT) as tar,
        ):
            parts = list(collected)
            listed = [{k: v for k, v in asdict(one).items() if k != "text"} for one in parts]
            _add(tar, f"{name}/manifest.json", json.dumps({**facts, "parts": listed}, indent=1))
            for one in parts:
                if not one.problem:
                    _add(tar, f"{name}/{one.file}", one.text)
        return path.stat().st_size
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def _add(tar: tarfile.TarFile, name: str, text: str) -> None:
    raw = text.encode("utf-8", "replace")
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(raw), 0o600, int(time.time())
    tar.addfile(member, io.BytesIO(raw))
