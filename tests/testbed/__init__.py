r"""A Slurm cluster, or an HTCondor pool, of real daemons and VMs: for tests and the demo.

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

HTCondor is there as well: `Testbed(workers=0, condor_workers=2)` has a pool with the worker VMs
c1, c2, … at 10.77.0.51, .52, … (`bed.condor_workers`, `bed.worker("c1")`), whose central manager
and schedd run on the controller. Both kinds of workers can be mixed; Slurm is left out when it has
no nodes. Users authenticate by FS, workers' daemons and the agent with tokens (condor_conf.py).

    job = bed.condor_submit("executable = /bin/hostname\noutput = out\nqueue")
    bed.run(["condor_q"])
    bed.condor_wait_idle()
    bed.host([python, "-c", "import htcondor2; ..."], env={"CONDOR_CONFIG": str(bed.condor_config)})
    bed.kill_condor("schedd")  # its master starts it again

With hooks=True a worker of HTCondor starts no job unless an agent admits it.

Controller and host share the address 10.77.0.1. /home is the same everywhere: `bed.home`.
"""

from .bed import Testbed
from .beside import Beside
from .cluster_files import DEFAULT_HOOK_CONF
from .errors import TestbedError
from .worker import Worker

__all__ = ["DEFAULT_HOOK_CONF", "Beside", "Testbed", "TestbedError", "Worker"]
