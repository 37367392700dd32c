"""All targets, by name."""

from __future__ import annotations

from fuzz import agent_targets, guest_targets, hypervisor_targets, scheduler_targets
from fuzz.target import Target

MODULES = (agent_targets, scheduler_targets, guest_targets, hypervisor_targets)

TARGETS: dict[str, Target] = {
    target.name: target for module in MODULES for target in module.TARGETS
}

MODULE_OF = {target.name: module.__name__ for module in MODULES for target in module.TARGETS}
