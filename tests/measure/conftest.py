"""Settings of the property tests here."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A machine that is busy with virtual machines makes an example slow, not wrong.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
