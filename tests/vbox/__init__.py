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
root, the guest's kernel, the guest and VirtualBox's root.
"""

from .guest import Guest
from .rig import VirtualBox

__all__ = ["Guest", "VirtualBox"]
