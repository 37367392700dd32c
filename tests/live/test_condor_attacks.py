"""A user who wants more than his due, or to be counted for less: sizes and figures stay right."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from hotslot.client import ask
from live.cluster import eventually
from live.condor_cluster import RESULTS, CondorCluster
from live.condor_scenarios import check_history

FLOOD = """
import re, select, socket, sys, time
one = b''
for worker in sys.argv[2:]:
    body = b'event=start&job=1.0@x&worker=' + worker.encode()
    one += b'POST /v1/poke HTTP/1.1\\r\\nHost: a\\r\\nContent-Type: application/x-www-form-urlenc'
    one += b'oded\\r\\nContent-Length: %d\\r\\n\\r\\n' % len(body) + body
each = len(sys.argv[2:])
said, owed, lines, began = {}, {}, [], time.monotonic()
while time.monotonic() < began + float(sys.argv[1]):
    try:
        while len(lines) < 12:
            lines.append(socket.create_connection(('10.77.0.1', 8765), 10))
            lines[-1].sendall(one * (40 // each))
        for line in select.select(lines, [], [], 1)[0]:
            heard = line.recv(65536)
            codes = [code.decode() for code in re.findall(rb'HTTP/1.1 ([0-9]+)', heard)]
            owed[line] = owed.get(line, 0) + len(codes)
            line.sendall(one * (owed[line] // each))
            owed[line] %= each
            for code in codes:
                said[code] = said.get(code, 0) + 1
            if not heard:
                raise OSError
    except OSError as error:
        said[type(error).__name__] = said.get(type(error).__name__, 0) + 1
        for line in lines:
            line.close()
        lines, owed = [], {}
print(round(sum(said.values()) / (time.monotonic() - began)), 'a second:', sorted(said.items()))
"""


@pytest.mark.timeout(300)
def test_a_job_that_names_other_hooks_is_sized_and_counted_all_the_same(
    condor_cluster: CondorCluster,
) -> None:
    cluster = condor_cluster
    job = cluster.submit("nproc; sleep 2", '+HookKeyword = "X"', '+JobHookKeyword = "X"', cpus=4)
    cluster.wait_left(job)
    check_history(cluster, {job: "COMPLETED"})
    assert (cluster.home() / f"out.{job}").read_text().split() == ["4"]


@pytest.mark.timeout(300)
def test_forged_results_do_not_last(condor_cluster: CondorCluster) -> None:
    """In the submit file, by qedit while it runs, and by chirp from inside the job."""
    cluster = condor_cluster
    chirp = "/usr/libexec/condor/condor_chirp"
    forge = "; ".join(
        f"{chirp} {how} {name} 1e9"
        for how in ("set_job_attr", "set_job_attr_delayed")
        for name in RESULTS
    )
    job = cluster.submit(
        f"touch forged.$(Cluster); {forge}; sleep 8",
        "+WantIOProxy = true",
        "+WantDelayedUpdates = true",
        *(f"+{name} = 1e9" for name in RESULTS),
        "+HotslotRuns = {[Held = 1e9]}",
    )
    cluster.wait_file(f"forged.{job.partition('.')[0]}")
    for name in (*RESULTS, "HotslotRuns", "NumJobMatches"):
        cluster.bed.run(["condor_qedit", job, name, "1e9"], check=False)
    cluster.wait_left(job)
    check_history(cluster, {job: "COMPLETED"})
    assert [row.lease.placement.run for row in cluster.leases_of(job)] == [0]


@pytest.mark.timeout(300)
def test_hooks_that_a_job_calls_itself_end_nothing(condor_cluster: CondorCluster) -> None:
    cluster = condor_cluster
    call = "cat .job.ad | /usr/lib/hotslot/condor-job-exit; echo $?"
    mark = "touch /home/alice/called.$(Cluster)"
    script = f"cd $_CONDOR_SCRATCH_DIR; {call}; {call}; {mark}; sleep 45"
    job = cluster.submit(script, cpus=3)
    cluster.wait_file(f"called.{job.partition('.')[0]}")
    (row,) = cluster.leases_of(job)
    assert row.lease.closed_at is None
    cluster.wait_left(job)
    check_history(cluster, {job: "COMPLETED"})
    (row,) = cluster.leases_of(job)
    assert row.lease.totals.life_s > 44, "no second is lost by what the job said"


@pytest.mark.timeout(400)
def test_a_flood_from_inside_a_worker_stops_nobody(
    condor_cluster: CondorCluster, note: Callable[[str], None]
) -> None:
    """It pokes in the name of all workers; another one's job starts and ends meanwhile."""
    cluster = condor_cluster
    (cluster.home() / "flood.py").write_text(FLOOD)
    flood = cluster.submit("touch on.$(Cluster); python3 flood.py 40 c1 c2", cpus=1)
    cluster.wait_file(f"on.{flood.partition('.')[0]}")
    slowest = 0.0
    other = cluster.submit("true", cpus=1)
    until = time.monotonic() + 25
    while time.monotonic() < until:
        began = time.monotonic()
        ask(cluster.socket, "/v1/status")
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.2)
    cluster.wait_left(other)
    cluster.wait_left(flood)
    said = (cluster.home() / f"out.{flood}").read_text().strip()
    note(f"pokes from inside a worker for 40 s: {said}; slowest status {slowest:.2f} s")
    assert slowest < 3
    log = cluster.log.read_text()
    assert [log.count(f"pokes for {worker} more than") for worker in ("c1", "c2")] == [1, 1]
    check_history(cluster, {flood: "COMPLETED", other: "COMPLETED"})
    eventually(lambda: not cluster.unsettled(), 60, "all is idle", cluster.explain)
