"""A Slurm cluster of real daemons and real VMs on one small machine, for tests and the demo.

    from testbed import Testbed

    with Testbed(workers=3, vcpus=4, cores=8) as bed:
        job = bed.run(["sbatch", "--parsable", "-c4", "--wrap", "nproc"]).stdout.strip()
        bed.wait_idle()
        print((bed.home / "alice" / f"slurm-{job}.out").read_text())
        print(bed.worker("w1").online())
"""

from .bed import DEFAULT_HOOK_CONF, Testbed
from .errors import TestbedError
from .worker import Worker

__all__ = ["DEFAULT_HOOK_CONF", "Testbed", "TestbedError", "Worker"]
