"""When a failed change may be tried again."""

from __future__ import annotations

from hotslot.act.backoff import BackOff

GROW, SHRINK = 1, -1


def test_pauses_double_up_to_a_minute() -> None:
    back_off = BackOff()
    now = 1000.0
    for pause in (1, 2, 4, 8, 16, 32, 60, 60):
        back_off.failed(now, GROW)
        assert not back_off.allows(now + pause - 0.1, GROW)
        assert back_off.allows(now + pause, GROW)
        now += pause


def test_the_other_direction_is_free_and_starts_its_own_pauses() -> None:
    back_off = BackOff()
    for _ in range(5):
        back_off.failed(1000.0, GROW)
    assert back_off.allows(1000.0, SHRINK)
    back_off.failed(1000.0, SHRINK)
    assert back_off.allows(1001.0, SHRINK)
    assert back_off.allows(1000.0, GROW)


def test_clearing_forgets_how_long_the_last_pause_was() -> None:
    back_off = BackOff()
    for _ in range(5):
        back_off.failed(1000.0, GROW)
    back_off.clear()
    assert back_off.allows(1000.0, GROW)
    back_off.failed(1000.0, GROW)
    assert back_off.allows(1001.0, GROW)
