"""Telling systemd that the agent is ready and alive (sd_notify): a datagram, nothing else."""

from __future__ import annotations

import os
import socket


def notify(words: str) -> None:
    """Send ``READY=1``, ``WATCHDOG=1``, ``STATUS=…`` to systemd; nothing when there is none."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
        try:
            channel.sendto(words.encode(), target)
        except OSError:
            return
