"""The HTCondor configuration of a testbed: a site's own, which hotslot's files come on top of."""

from __future__ import annotations

from pathlib import Path

from .network import CTL_ADDRESS

DOMAIN = "hotslot.test"
AGENT_ACCOUNT = "hotslot"
AGENT = f"{AGENT_ACCOUNT}@{DOMAIN}"
"""Who the agent is to HTCondor: it reads everything, and edits jobs as a queue super user."""
WORKER = f"execute@{DOMAIN}"
"""Who the workers' daemons are to the collector, where they may advertise themselves."""

# Debian's own 00-htcondor-9.0.config says `use security:recommended_v9_0`: whoever writes has
# authenticated. What it leaves open is narrowed here to this pool's own identities.
#
# Time limits: as in slurm_conf.py. A schedd would learn after 40 minutes that a VM was killed,
# and a collector would show it for 15: here it is one minute and two.
_COMMON = """\
CONDOR_HOST = {ctl}
TRUST_DOMAIN = {domain}
UID_DOMAIN = {domain}
FILESYSTEM_DOMAIN = {domain}
DEFAULT_DOMAIN_NAME = {domain}
TRUST_UID_DOMAIN = True
NETWORK_INTERFACE = 10.77.0.*
ENABLE_IPV6 = False

SEC_DEFAULT_AUTHENTICATION_METHODS = FS, IDTOKENS
ALLOW_WRITE = *@{domain}
ALLOW_DAEMON = condor@{domain}
ALLOW_NEGOTIATOR = condor@{domain}
ALLOW_ADMINISTRATOR = condor@{domain} root@{domain}
ALLOW_ADVERTISE_MASTER = condor@{domain} {worker}
ALLOW_ADVERTISE_STARTD = condor@{domain} {worker}
ALLOW_ADVERTISE_SCHEDD = condor@{domain}

ENABLE_KERNEL_TUNING = False
MASTER_UPDATE_INTERVAL = 30
MASTER_BACKOFF_CONSTANT = 1
MASTER_BACKOFF_CEILING = 2
UPDATE_INTERVAL = 30
TCP_KEEPALIVE_INTERVAL = 20
SHUTDOWN_GRACEFUL_TIMEOUT = 20
"""

_CONTROLLER = """\
DAEMON_LIST = MASTER COLLECTOR NEGOTIATOR SCHEDD

CLASSAD_LIFETIME = 120
COLLECTOR_UPDATE_INTERVAL = 30
NEGOTIATOR_UPDATE_INTERVAL = 30
NEGOTIATOR_INTERVAL = 2
NEGOTIATOR_CYCLE_DELAY = 1
NEGOTIATOR_MIN_INTERVAL = 1
SCHEDD_INTERVAL = 5
SCHEDD_MIN_INTERVAL = 1
ALIVE_INTERVAL = 10
JOB_DEFAULT_LEASE_DURATION = 60
SHADOW_QUEUE_UPDATE_INTERVAL = 10
"""

# What a startd looks for when it starts, and an emulated guest would take seconds to say no to:
# file transfer by URL, containers, benchmarks.
_WORKER = """\
DAEMON_LIST = MASTER STARTD
NUM_CPUS = {vcpus}
MEMORY = {memory_mb}
NUM_SLOTS = 1
NUM_SLOTS_TYPE_1 = 1
SLOT_TYPE_1 = 100%
SLOT_TYPE_1_PARTITIONABLE = True
CLAIM_WORKLIFE = 0
CLAIM_PARTITIONABLE_LEFTOVERS = False

STARTER_UPDATE_INTERVAL = 10
ENABLE_URL_TRANSFERS = False
DOCKER =
SINGULARITY =
RUNBENCHMARKS = False
"""

# NETWORK_HOSTNAME: a client looks its machine's name up, 20 times 3 s apart when no DNS answers.
_CLIENT = """\
CONDOR_HOST = {ctl}
SCHEDD_HOST = ctl.{domain}
NETWORK_HOSTNAME = host1.{domain}
TRUST_DOMAIN = {domain}
UID_DOMAIN = {domain}
ENABLE_IPV6 = False
LOCAL_DIR = {directory}
LOG = {directory}
SEC_TOKEN_DIRECTORY = {directory}/tokens.d
SEC_TOKEN_SYSTEM_DIRECTORY = {directory}/tokens.d
SEC_CLIENT_AUTHENTICATION = OPTIONAL
SEC_CLIENT_AUTHENTICATION_METHODS = IDTOKENS
"""


def controller_conf(*, hotslot: bool) -> str:
    """Return the configuration of central manager and schedd; hotslot's own names its agent."""
    own = "" if hotslot else f"QUEUE_SUPER_USERS = $(QUEUE_SUPER_USERS), {AGENT}\n"
    return _common() + _CONTROLLER + own


def worker_conf(*, vcpus: int, memory_mb: int) -> str:
    """Return the configuration of a worker: one partitionable slot with all it can have."""
    return _common() + _WORKER.format(vcpus=vcpus, memory_mb=memory_mb)


def client_conf(directory: Path) -> str:
    """Return a client's whole configuration; its token is in tokens.d below the directory."""
    return _CLIENT.format(ctl=CTL_ADDRESS, domain=DOMAIN, directory=directory)


def _common() -> str:
    return _COMMON.format(ctl=CTL_ADDRESS, domain=DOMAIN, worker=WORKER)
