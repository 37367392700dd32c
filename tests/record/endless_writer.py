"""Write batches until killed, saying on stdout which are on disk. Usage: DATABASE."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

from hotslot.model import JobPhase, Placement, Sample
from hotslot.record.batch import Batch, Beat, LeaseSample
from hotslot.record.store import Store
from hotslot.record.totals import plus
from hotslot.record.writer import Writer

writer = Writer(Store(Path(sys.argv[1])))
writer.start()
lease = writer.open_lease(Placement("slurm", "12", 0, "w1", 4, JobPhase.RUNNING), 1000.0)
for second in count(1001):
    sample = Sample(float(second), 1.0, 4, 4.0, 1.25, 0.0)
    lease = replace(lease, totals=plus(lease.totals, sample, 4))
    beat = Beat(1000.0, float(second))
    writer.submit(Batch((lease,), (LeaseSample(lease.id, sample),), beats=(beat,)))
    if second % 3:
        writer.flush(5.0)
        print(second - 1000, flush=True)
