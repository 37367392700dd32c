"""Whether hardware virtualisation really works here.

/dev/kvm and KVM_CREATE_VM prove little: there are machines on which the firmware runs under KVM
and an ordinary Linux then never starts. So the probe boots the workers' own kernel.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from . import progress
from .cache import cache_dir
from .errors import TestbedError

_PROBE_LIMIT_S = 15
_SCRIPT = """
mount --rbind /dev "$1/dev"
mount --bind "$2" "$1/mnt"
exec chroot "$1" qemu-system-x86_64 -accel kvm -cpu host -m 256 -nodefaults -display none \
  -no-reboot -net none -serial stdio -kernel /mnt/vmlinuz -initrd /mnt/initramfs \
  -append 'console=ttyS0 quiet panic=-1 hotslot.probe'
"""


def choose(root: Path, kernel: Path) -> str:
    """Return `kvm` or `tcg`: what HOTSLOT_ACCEL says, else what a probe finds."""
    forced = os.environ.get("HOTSLOT_ACCEL", "")
    if forced:
        if forced not in ("tcg", "kvm"):
            raise TestbedError(f"HOTSLOT_ACCEL is {forced!r}: use tcg or kvm")
        return forced
    if not Path("/dev/kvm").exists():
        return "tcg"
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    verdict = cache_dir() / f"accel-{boot_id}-{kernel.name}"
    if not verdict.exists():
        progress.say("/dev/kvm exists: trying a guest (at most 15 s) …")
        found = "kvm" if _guest_runs(root, kernel) else "tcg"
        for old in cache_dir().glob("accel-*"):
            old.unlink(missing_ok=True)
        verdict.write_text(found)
        progress.say(f"guests will run with {found.upper()}")
    return verdict.read_text()


def _guest_runs(root: Path, kernel: Path) -> bool:
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
    try:
        done = subprocess.run(
            [*unshare, "sh", "-euc", _SCRIPT, "sh", str(root), str(kernel)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return b"HOTSLOT-PROBE-OK" in done.stdout
