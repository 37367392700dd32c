"""Which names of VMs hotslot passes on; pure.

A name becomes a word of a command line, a folder, a line of a settings file and a host's name.
"""

from __future__ import annotations

import re

_NEW = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_MOST = 255


def problem_of_new(name: str) -> str:
    """Say why a worker may not be called so; '' if it may.

    The same as a worker's name in the configuration, and no empty part between dots: it is a host
    name, too.
    """
    if not _NEW.fullmatch(name):
        return f"{name[:80]!r}: {_why(name)}"
    if ".." in name or name.endswith("."):
        return f"{name!r}: a dot stands between letters or digits"
    return ""


def problem_of_known(name: str) -> str:
    """Say why VirtualBox is not asked for a VM of this name; '' if it can be."""
    if not name or len(name) > _MOST or not name.isprintable():
        return f"{name[:80]!r} is no name of a VM"
    if name.startswith("-") or "/" in name or name in (".", ".."):
        return f"{name[:80]!r} is no name of a VM: hotslot passes no such words to VBoxManage"
    return ""


def _why(name: str) -> str:
    if not name:
        return "a name has at least one letter or digit"
    if not (name[0].isascii() and name[0].isalnum()):
        return "a name begins with a letter or a digit"
    if len(name) > 63:
        return f"a name has at most 63 characters, this one has {len(name)}"
    return "a name has ASCII letters, digits, dots, dashes and underscores only"
