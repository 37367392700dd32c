"""A Slurm cluster of real daemons and real VMs on one small machine, for tests and the demo.

    from testbed import Testbed

    with Testbed(workers=3, vcpus=4, cores=8) as bed:
        job = bed.run(["sbatch", "--parsable", "-c4", "--wrap", "nproc"]).stdout.strip()
        bed.wait_idle()
        print((bed.home / "alice" / f"slurm-{job}.out").read_text())
        print(bed.worker("w1").online())

As root, on a bare Debian 12. What is slow to make (two roots, a kernel) is made once and cached
outside the repository (cache.py); `python3 -m testbed build` makes it beforehand, and
`python3 -m testbed up` gives a shell in a testbed.

Everything runs in private PID, mount, network, UTS and IPC namespaces (namespaces.py) and ends
with the process that owns the testbed, however that ends. There are three places:

- the controller, a trixie root with slurmctld, slurmdbd, MariaDB: `bed.run(argv, user=...)`;
- the host, where an agent runs: this machine's own files, the testbed's processes and network:
  `bed.host(argv)`, `bed.popen_host(argv)`; it calls Slurm's commands by `bed.scontrol_prefix`
  and finds QEMU's monitors at `worker.qmp`;
- the workers w1, w2, … at 10.77.0.11, .12, …: `bed.worker("w1").exec(argv)`.

A node beside the VMs (`Testbed(workers=0, beside=["v1"])`, `bed.node("v1")`) is a slurmd in
namespaces of its own, for a VM that something else than the testbed runs.

Controller and host share the address 10.77.0.1. /home is the same everywhere: `bed.home`.
"""

from .bed import Testbed
from .beside import Beside
from .cluster_files import DEFAULT_HOOK_CONF
from .errors import TestbedError
from .worker import Worker

__all__ = ["DEFAULT_HOOK_CONF", "Beside", "Testbed", "TestbedError", "Worker"]
