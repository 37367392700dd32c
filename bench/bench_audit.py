"""What the audit log costs: microseconds and bytes an entry, for the agent and for its thread.

Printed in one run, beside what is compared with: a bare append of the same bytes. On another disk
fdatasync takes another time; the ratio to it stays.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from hotslot.audit.chain import Draft, Head, Kind, read, written
from hotslot.audit.pump import AuditLog
from hotslot.audit.verify import verify
from hotslot.audit.writing import AuditFile, Keep

ENTRIES = 20_000
WHAT = {
    "worker": "n1-w07",
    "from_vcpus": 16,
    "to_vcpus": 9,
    "got_vcpus": 9,
    "result": "applied",
    "lease": 123456,
    "job": "4711_12",
    "user": "alice",
    "scheduler": "slurm",
}
WHY = "peak of 60 s is 7.4 of 16 cores; 7 idled for longer than a change costs"


def timed(began: float, count: int) -> float:
    return (time.perf_counter() - began) / count * 1e6


def main() -> None:
    """Measure and print."""
    draft = Draft(time.time(), Kind.VCPUS, "hotslotd", WHAT, WHY)
    began = time.perf_counter()
    head, lines = Head(), []
    for _ in range(ENTRIES):
        raw, head = written(draft, head)
        lines.append(raw)
    make_us = timed(began, ENTRIES)
    began = time.perf_counter()
    for raw in lines:
        read(raw[:-1])
    read_us = timed(began, ENTRIES)
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "audit.log"
        # The log is told more than its bound only here: an agent has some entries a second.
        log = AuditLog(AuditFile(path, Keep(file_bytes=1 << 30)), bound=ENTRIES)
        began = time.perf_counter()
        for _ in range(ENTRIES):
            log.put(Kind.VCPUS, WHAT, WHY)
        put_us = timed(began, ENTRIES)
        began = time.perf_counter()
        log.start()
        log.close(600)
        batch_us = timed(began, ENTRIES)
        one = AuditFile(path)
        began = time.perf_counter()
        for _ in range(200):
            one.append([draft])
        single_us = timed(began, 200)
        began = time.perf_counter()
        verdict = verify([path])
        verify_us = timed(began, verdict.lines)
        with (Path(made) / "bare").open("ab", buffering=0) as bare:
            began = time.perf_counter()
            for raw in lines[:200]:
                bare.write(raw)
                os.fdatasync(bare.fileno())
            bare_us = timed(began, 200)
    if verdict.broken is not None:
        sys.exit(f"the chain is broken: {verdict.broken}")
    print(f"an entry                       {len(lines[-1])} bytes")
    print(f"put by the agent               {put_us:8.1f} µs")
    print(f"made into a line               {make_us:8.1f} µs")
    print(f"written, 500 at once, synced   {batch_us:8.1f} µs")
    ratio, lines_s = single_us / bare_us, 1e6 / verify_us
    print(f"written, one by one, synced    {single_us:8.1f} µs, {ratio:.2f} bare ones")
    print(f"a bare append, synced          {bare_us:8.1f} µs")
    print(f"read back                      {read_us:8.1f} µs")
    print(f"verified                       {verify_us:8.1f} µs, {lines_s:,.0f} lines a second")


if __name__ == "__main__":
    main()
