"""The network of a testbed: a bridge with the controller's address, a tap a worker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

CTL_ADDRESS = "10.77.0.1"
BRIDGE = "hs0"


@dataclass(frozen=True, slots=True)
class Seat:
    """A worker VM's place on the bridge, and the scheduler whose daemons it runs."""

    name: str
    role: str
    octet: int

    @property
    def address(self) -> str:
        return f"10.77.0.{self.octet}"

    @property
    def tap(self) -> str:
        return f"{BRIDGE}{self.name}"

    @property
    def mac(self) -> str:
        return f"52:54:00:77:00:{self.octet:02x}"


def slurm_seat(number: int) -> Seat:
    """Return the seat of a worker of Slurm: w1 has 10.77.0.11."""
    return Seat(f"w{number}", "slurm", 10 + number)


def condor_seat(number: int) -> Seat:
    """Return the seat of a worker of HTCondor: c1 has 10.77.0.51."""
    return Seat(f"c{number}", "condor", 50 + number)


def beside_address(number: int) -> str:
    """Return the address of a node beside the VMs: the first has 10.77.0.101."""
    return f"10.77.0.{100 + number}"


def setup_script(seats: Iterable[Seat]) -> str:
    """Return the shell commands which make the network in a fresh network namespace."""
    lines = [
        "ip link set lo up",
        f"ip link add {BRIDGE} type bridge",
        f"ip addr add {CTL_ADDRESS}/24 dev {BRIDGE}",
        f"ip link set {BRIDGE} up",
    ]
    for seat in seats:
        lines.append(f"ip tuntap add dev {seat.tap} mode tap")
        lines.append(f"ip link set {seat.tap} master {BRIDGE} up")
    return "\n".join(lines)


def beside_script(number: int, namespace: str) -> str:
    """Return the shell commands which make a network namespace, kept as a file, on the bridge."""
    link = f"hs0b{number}"
    inside = "\n".join(
        [
            "ip link set lo up",
            f"ip link set {link}p name eth0",
            f"ip addr add {beside_address(number)}/24 dev eth0",
            "ip link set eth0 up",
            f"ip route add default via {CTL_ADDRESS}",
        ]
    )
    return f"""
touch {namespace}
unshare --net={namespace} true
ip link add {link} type veth peer name {link}p
ip link set {link} master {BRIDGE} up
ip link set {link}p netns {namespace}
nsenter --net={namespace} sh -euc '{inside}'
"""
