"""Opening the files that commands write, also where somebody else may have put a link."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

from hotslot.errors import HotslotError


def open_out(path: Path) -> BinaryIO:
    """Open a file to write it anew; HotslotError where it is a symbolic link of somebody else's.

    Root writes exports into directories of users, with job names in them that are their users'
    words: through a link that could be any file. Own links and root's are followed, as /dev/stdout.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        file = os.open(path, flags | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        if path.lstat().st_uid not in (0, os.geteuid()):
            raise HotslotError(
                f"{path} is a symbolic link of somebody else's: not written; remove it, or name "
                "another file"
            ) from error
        file = os.open(path, flags, 0o666)
    return os.fdopen(file, "wb")
