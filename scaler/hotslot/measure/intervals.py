"""From two readings to what a worker did in between."""

from __future__ import annotations

from collections.abc import Collection

from hotslot.model import Reading, Sample, VcpuTimes

NS_PER_S = 1e9
_UNBORN = VcpuTimes(run_ns=0, wait_ns=0)


def sample(
    previous: Reading,
    current: Reading,
    *,
    at: float,
    granted_vcpus: int,
    held_cores: float,
    plugged: Collection[int] | None = None,
) -> Sample | None:
    """Return what the worker did between two readings; None if they do not make an interval.

    They do not when they are of two processes, or the second is not after the first.
    A thread that is new counts from 0; one that ended contributes nothing, so at most its last
    interval is lost; one whose times went backwards is another thread under the same vCPU and
    contributes nothing, either. ``plugged`` are the vCPUs that count (default: all): VirtualBox
    has threads of others, too, which take a few percent of a core each while several are plugged.
    Worked: 2 s apart, vCPU 0 ran 2.0 s more, vCPU 1 is new, ran 0.5 s and waited 0.5 s:
    used 1.25 cores, waited 0.25.
    """
    interval_s = current.monotonic_s - previous.monotonic_s
    if interval_s <= 0 or _process(previous) != _process(current):
        return None
    counted = current.vcpus
    if plugged is not None:
        counted = {vcpu: current.vcpus[vcpu] for vcpu in set(plugged) if vcpu in current.vcpus}
    run_ns, wait_ns = _grown(previous.vcpus, counted)
    return Sample(
        at=at,
        interval_s=interval_s,
        granted_vcpus=granted_vcpus,
        held_cores=held_cores,
        used_cores=run_ns / NS_PER_S / interval_s,
        waited_cores=wait_ns / NS_PER_S / interval_s,
    )


def _process(reading: Reading) -> tuple[int, float]:
    return reading.pid, reading.born_s


def _grown(before: dict[int, VcpuTimes], after: dict[int, VcpuTimes]) -> tuple[int, int]:
    """Add up what the vCPUs ran and waited, in ns."""
    run_ns = wait_ns = 0
    for vcpu, now in after.items():
        then = before.get(vcpu, _UNBORN)
        if now is then:  # asleep, as most are: readings share what has not changed
            continue
        if now.run_ns >= then.run_ns and now.wait_ns >= then.wait_ns:
            run_ns += now.run_ns - then.run_ns
            wait_ns += now.wait_ns - then.wait_ns
    return run_ns, wait_ns
