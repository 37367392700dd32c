"""What commands write goes where it was told to, not where somebody else's link leads."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hotslot.errors import HotslotError
from hotslot.out_file import open_out
from hotslot.report_out import write

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make others' links")


def put(path: Path) -> None:
    with open_out(path) as file:
        file.write(b"figures")


def put_report(path: Path) -> None:
    write(b"figures", path)


@pytest.mark.parametrize("put", [put, put_report])
def test_a_file_is_made_or_written_anew(tmp_path: Path, put: Callable[[Path], None]) -> None:
    path = tmp_path / "out.csv"
    put(path)
    path.write_text("longer than the figures")
    put(path)
    assert path.read_text() == "figures"


@as_root
@pytest.mark.parametrize("put", [put, put_report])
@pytest.mark.parametrize("there", [True, False])
def test_a_link_of_somebody_else_is_not_followed(
    tmp_path: Path, put: Callable[[Path], None], there: bool
) -> None:
    victim, link = tmp_path / "victim", tmp_path / "out.csv"
    if there:
        victim.write_text("as it was")
    link.symlink_to(victim)
    os.chown(link, 1000, 1000, follow_symlinks=False)
    with pytest.raises(HotslotError, match="a symbolic link of somebody else's: not written"):
        put(link)
    assert victim.exists() == there
    assert not there or victim.read_text() == "as it was"


def test_ones_own_link_is_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "november.html", tmp_path / "latest.html"
    link.symlink_to(target)
    put(link)
    assert target.read_text() == "figures"


def test_what_cannot_be_written_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        put(tmp_path / "no-such-folder" / "out.csv")
