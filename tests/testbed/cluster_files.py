"""The files that make a root or a guest a member of this testbed's cluster."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from . import network, slurm_conf
from .errors import TestbedError

REPO = Path(__file__).resolve().parents[2]
DEFAULT_HOOK_CONF = f"agent={network.CTL_ADDRESS}:8765\nagent_wait_s=60\n"
_JOB_SUBMIT = REPO / "config/slurm/job_submit.lua"
_HOOKS = {
    "usr/lib/hotslot/hook.py": REPO / "plugin/hotslot_plugin/hook.py",
    "usr/lib/hotslot/slurm-prolog": REPO / "prolog/slurm-prolog",
    "usr/lib/hotslot/slurm-epilog": REPO / "epilog/slurm-epilog",
}
_CONDOR_SUBMIT = {
    "etc/condor/config.d/40-hotslot-submit.conf": REPO / "config/condor/40-hotslot-submit.conf",
}
_CONDOR_WORKER = {
    "etc/condor/config.d/40-hotslot-worker.conf": REPO / "config/condor/40-hotslot-worker.conf",
    "usr/lib/hotslot/condor-prepare-job": REPO / "prolog/condor-prepare-job",
    "usr/lib/hotslot/condor-job-exit": REPO / "epilog/condor-job-exit",
    "usr/lib/hotslot/condor-gate": REPO / "packaging/worker/condor-gate",
    "usr/lib/hotslot/hook.py": REPO / "plugin/hotslot_plugin/hook.py",
}
_CONDOR_GATE = REPO / "plugin/hotslot_plugin/gate.py"


def members_files(conf: str, addresses: Mapping[str, str]) -> dict[str, bytes]:
    """Return what controller and workers share, by path: Slurm's configuration, munge's key."""
    return {
        "etc/hosts": slurm_conf.hosts(addresses).encode(),
        "etc/munge/munge.key": secrets.token_bytes(128),
        "etc/slurm/slurm.conf": conf.encode(),
        "etc/slurm/gres.conf": b"Name=vm Count=1\n",
        "etc/slurm/cgroup.conf": slurm_conf.CGROUP_CONF.encode(),
        "etc/slurm/job_submit.lua": _JOB_SUBMIT.read_bytes(),
    }


def hook_files(hook_conf: str) -> dict[str, bytes]:
    """Return the hooks of this repository and their configuration, by path in a worker."""
    return {"etc/hotslot/hook.conf": hook_conf.encode(), **_shipped(_HOOKS)}


def condor_submit_files() -> dict[str, bytes]:
    """Return hotslot's part of the schedd's configuration, by path on the controller."""
    return _shipped(_CONDOR_SUBMIT)


def condor_worker_files(hook_conf: str, node: str) -> dict[str, bytes]:
    """Return hotslot's part of a worker of HTCondor, by path: configuration, hooks, gate."""
    conf = f"{hook_conf.rstrip()}\nnode={node}\n"
    files = {"etc/hotslot/hook.conf": conf.encode(), **_shipped(_CONDOR_WORKER)}
    if _CONDOR_GATE.exists():
        files["usr/lib/hotslot/gate.py"] = _CONDOR_GATE.read_bytes()
    return files


def _shipped(paths: Mapping[str, Path]) -> dict[str, bytes]:
    for path in paths.values():
        if not path.exists():
            raise TestbedError(f"{path} is missing; hooks=False does without")
    return {name: path.read_bytes() for name, path in paths.items()}
