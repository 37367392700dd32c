"""A real VirtualBox with a real guest, on a machine without its kernel driver, for tests.

    from vbox import VirtualBox

    with VirtualBox(tmp_path) as vbox:
        vbox.create("v1")
        vbox.boot("v1")
        vbox.snapshot("v1")
        guest = vbox.restored("v1")
        vbox.manage("controlvm", "v1", "plugcpu", "1")
        print(guest.online())

As root, on a bare Debian 12. VirtualBox 7.2 from Debian's unstable runs its VMs in its own
interpreter (host/headless.c), which carries out some 8 million guest instructions a second: enough
for a small Linux with VBoxService, which takes and gives CPUs as any guest does, not for slurmd.
So the guest is made for it (recipes/guest.sh), and a test restores a booted one.

Everything runs in namespaces of its own and ends with the process that owns the rig, however that
ends. Its processes are visible from outside with their threads, `EMT-0` and so on.

`python3 -m vbox build` makes what is cached outside the repository (testbed/cache.py): a build
root (1.5 minutes), the guest's kernel (7 to 14 minutes on two cores), the guest (2 s) and
VirtualBox's root (1 minute). A guest boots in some 30 s of CPU time and is restored in a second.

What was measured of VirtualBox without its driver, and is no fault of a test: from the first plug
on, the threads of vCPUs that are not plugged run in vain, each as much as one that is, so that the
guest slows down by as many; a plug is online in the guest 2 to 10 s after its command.
"""

from .guest import Guest
from .rig import VirtualBox

__all__ = ["Guest", "VirtualBox"]
