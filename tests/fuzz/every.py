"""All targets, by name."""

from __future__ import annotations

from fuzz import agent_targets, guest_targets, hypervisor_targets, scheduler_targets
from fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (agent_targets, scheduler_targets, guest_targets, hypervisor_targets)
    for target in module.TARGETS
}
