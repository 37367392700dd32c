"""Debian packages: which mirror this machine uses, and what it must have installed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from . import progress
from .errors import TestbedError

HOST_PACKAGES = ("mmdebstrap", "debian-archive-keyring", "iproute2", "e2fsprogs", "util-linux")
_APT = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", "-o", "APT::Sandbox::User=root")


def mirror(etc: Path = Path("/etc")) -> str:
    """Return the URI from which this machine takes Debian's main archive."""
    release = _codename(etc)
    for uri, suites, components in _sources(etc / "apt"):
        if release in suites and "main" in components and uri.startswith(("http", "file:")):
            return uri.rstrip("/")
    raise TestbedError(
        f"no source of Debian {release} main in {etc}/apt/sources.list or sources.list.d/: "
        "the testbed takes its packages from the mirror that this machine uses"
    )


def _codename(etc: Path) -> str:
    for line in (etc / "os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise TestbedError(f"{etc}/os-release names no VERSION_CODENAME: is this Debian 12?")


def _sources(apt: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield URI, suites and components of each source, from both formats of apt."""
    lists = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    for path in lists:
        for line in path.read_text().splitlines() if path.is_file() else ():
            words = line.partition("#")[0].replace("[", " [ ").replace("]", " ] ").split()
            if words[:1] != ["deb"]:
                continue
            if "]" in words:
                words = ["deb", *words[words.index("]") + 1 :]]
            if len(words) > 3:
                yield words[1], [words[2]], words[3:]
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        for stanza in _stanzas(path.read_text()):
            if "deb" in stanza.get("types", "").split():
                for uri in stanza.get("uris", "").split():
                    suites = stanza.get("suites", "").split()
                    yield uri, suites, stanza.get("components", "").split()


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    stanza: dict[str, str] = {}
    key = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza = {}
        elif line[0] in " \t":
            stanza[key] += " " + line.strip()
        else:
            key, _, value = line.partition(":")
            key = key.lower()
            stanza[key] = value.strip()


def install_missing(packages: tuple[str, ...] = HOST_PACKAGES) -> None:
    """Install those of the packages that this machine lacks."""
    missing = [name for name in packages if not _installed(name)]
    if not missing:
        return
    log = Path("/var/log/hotslot-testbed-apt.log")
    progress.run_logged("apt-get update", [*_APT, "update"], log)
    install = ["env", "DEBIAN_FRONTEND=noninteractive", *_APT, "install", "--no-install-recommends"]
    progress.run_logged(f"installing {', '.join(missing)}", [*install, *missing], log)


def _installed(package: str) -> bool:
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    return answer.stdout == "installed"


def update_if_empty(package: str) -> None:
    """Fetch apt's lists if they do not know a package yet, as on a fresh machine."""
    known = subprocess.run(["apt-cache", "show", package], capture_output=True, check=False)
    if known.returncode != 0:
        log = Path("/var/log/hotslot-testbed-apt.log")
        progress.run_logged("apt-get update", [*_APT, "update"], log)
