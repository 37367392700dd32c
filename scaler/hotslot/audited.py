"""The audit log that a configuration names, as the agent and commands keep it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import pwd
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hotslot import __version__
from hotslot.audit.chain import Draft, Kind
from hotslot.audit.pump import AuditLog
from hotslot.audit.watch import Watch
from hotslot.audit.writing import AuditFile, Keep
from hotslot.blanked import blank_text, blank_tree
from hotslot.config import Audit, Config
from hotslot.desk import Desk
from hotslot.errors import AuditError
from hotslot.loop import Loop
from hotslot.model import Event
from hotslot.settings import plain

log = logging.getLogger(__name__)

LAST_WRITE_S = 10.0
"""How long the agent waits at its end for the log to be written."""

NOBODY = 2**32 - 1
"""What the kernel says of a process that nobody's login began."""


def keep_of(audit: Audit) -> Keep:
    """Return how long files are written and kept."""
    return Keep(
        file_bytes=audit.file_mb * 1024 * 1024,
        file_s=audit.file_days * 86_400,
        keep_s=None if audit.keep_days is None else audit.keep_days * 86_400,
    )


@contextlib.contextmanager
def kept(config: Config) -> Iterator[AuditLog | None]:
    """Keep the log while the agent runs: its start with its settings, changes, its end."""
    path = config.audit_file
    if path is None:
        yield None
        return
    audit = AuditLog(AuditFile(path, keep_of(config.audit)))
    audit.start()
    audit.put(Kind.START, _settings(config), "the agent starts")
    why = "stopped"
    try:
        yield audit
    except BaseException as error:
        why = blank_text(f"ended by {type(error).__name__}: {error}")
        raise
    finally:
        audit.put(Kind.STOP, {"pid": os.getpid()}, why)
        if not audit.close(LAST_WRITE_S):
            log.error("the end of the audit log could not be written: %s", audit.state)


def _settings(config: Config) -> dict[str, Any]:
    """Return what is not as by default, and a hash of all settings, both without secrets."""
    whole = json.dumps(blank_tree(plain(config)), sort_keys=True).encode()
    return {
        "version": __version__,
        "pid": os.getpid(),
        "settings_sha256": hashlib.sha256(whole).hexdigest(),
        "settings": blank_tree(plain(config, changed=True)),
    }


def watch(audit: AuditLog, loop: Loop, desks: Iterable[Desk]) -> None:
    """Have the agent's parts tell the log of what they change, beside whom they tell already."""
    one = Watch(audit, loop.lease_on)
    before = loop.on_event

    def changed(event: Event) -> None:
        one.changed(event)
        before(event)

    loop.on_event = changed
    for desk in desks:
        desk.on_offer = partial(one.limits, desk.name)
        desk.on_resume = partial(one.resumed, desk.name)
        desk.on_requeue = one.requeued


def say(config: Config, kind: Kind, what: Mapping[str, Any], why: str) -> str:
    """Do as ``note`` does, and return what stops it, or '': a full disk must not stop a prune."""
    try:
        note(config, kind, what, why)
    except AuditError as error:
        return f"not in the audit log: {error}"
    return ""


def note(config: Config, kind: Kind, what: Mapping[str, Any], why: str) -> None:
    """Write what a command does, and who called it; AuditError when it cannot be written."""
    path = config.audit_file
    if path is None:
        return
    file = AuditFile(path, keep_of(config.audit))
    try:
        file.append([Draft(time.time(), kind, caller(), what, why)])
    finally:
        file.close()


def caller() -> str:
    """Return who runs this process, and whose login began it, as the kernel says.

    Worked: ``root (uid 0), logged in as alice (uid 1000)``.
    """
    uid = os.getuid()
    words = _user(uid)
    try:
        login = int(Path("/proc/self/loginuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return words
    return words if login in (NOBODY, uid) else f"{words}, logged in as {_user(login)}"


def _user(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
