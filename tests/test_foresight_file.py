"""What the forecast has learned outlives its agent; a file that is no such thing hurts nobody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotslot import foresight_file
from hotslot.decide.forecast import Forecast, Foresight, Outlook


def learned() -> Forecast:
    """Three hours of a job that wants two of its eight vCPUs, and never more."""
    forecast = Forecast(Foresight(horizon_s=60, risk=0.1))
    for second in range(10_800):
        wish = 8 if second < 60 else 2
        forecast.see(1.0, [Outlook("1", "alice train", wish, 8, granted=True)])
    return forecast


def test_a_new_forecast_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    path = foresight_file.beside(tmp_path / "hotslot.db")
    old, new = learned(), Forecast(Foresight(horizon_s=60, risk=0.1))
    assert foresight_file.remember(old.remembered(), path)
    assert foresight_file.recall(new, path)
    assert new.told == old.told > 0
    job = [Outlook("2", "alice train", 2, 8, granted=True)]
    assert new.see(1.0, job) == old.see(1.0, job)
    assert new.see(1.0, job) != Forecast(Foresight(horizon_s=60, risk=0.1)).see(1.0, job)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_without_a_file_it_begins_anew(tmp_path: Path) -> None:
    assert not foresight_file.recall(Forecast(), tmp_path / "nothing")


@pytest.mark.parametrize(
    "said", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"host": [NaN]}']
)
def test_what_is_no_such_file_is_left_out(tmp_path: Path, said: bytes) -> None:
    path = tmp_path / "forecast"
    path.write_bytes(said)
    forecast = Forecast()
    foresight_file.recall(forecast, path)
    assert forecast.remembered() == Forecast().remembered()


def test_a_file_that_never_ends_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "forecast"
    path.write_bytes(b" " * (foresight_file.MOST_BYTES + 1) + b"{}")
    assert not foresight_file.recall(Forecast(), path)


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=70) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=40,
)


@given(host=values, account=values, families=values)
def test_whatever_it_recalls_it_goes_on(host: object, account: object, families: object) -> None:
    forecast = Forecast()
    forecast.recall({"host": host, "account": account, "families": families})
    keep = forecast.see(1.0, [Outlook("1", "a", 1, 4, granted=True)])
    assert 0 <= keep <= 3


def test_a_place_that_cannot_be_written_is_said_and_hurts_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert not foresight_file.remember(Forecast().remembered(), tmp_path / "no" / "such" / "place")
    assert "not kept" in caplog.text


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "forecast"
    victim.write_text("precious")
    path.symlink_to(victim)
    path.with_name(path.name + ".new").symlink_to(victim)
    assert foresight_file.remember(Forecast().remembered(), path)
    assert victim.read_text() == "precious"
    assert "families" in json.loads(path.read_text())
