"""The network of a testbed: a bridge with the controller's address, a tap a worker."""

from __future__ import annotations

CTL_ADDRESS = "10.77.0.1"
BRIDGE = "hs0"


def worker_address(number: int) -> str:
    """Return a worker's address: w1 has 10.77.0.11."""
    return f"10.77.0.{10 + number}"


def tap(number: int) -> str:
    return f"hs0w{number}"


def mac(number: int) -> str:
    return f"52:54:00:77:00:{number:02x}"


def setup_script(workers: int) -> str:
    """Return the shell commands which make the network in a fresh network namespace."""
    lines = [
        "ip link set lo up",
        f"ip link add {BRIDGE} type bridge",
        f"ip addr add {CTL_ADDRESS}/24 dev {BRIDGE}",
        f"ip link set {BRIDGE} up",
    ]
    for n in range(1, workers + 1):
        lines.append(f"ip tuntap add dev {tap(n)} mode tap")
        lines.append(f"ip link set {tap(n)} master {BRIDGE} up")
    return "\n".join(lines)
