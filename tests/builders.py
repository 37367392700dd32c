"""Builders of the model's values: every field has a plain default, a test names what matters."""

from __future__ import annotations

from hotslot.model import JobPhase, Placement, RunSummary, Sample


def placement(
    job_id: str = "12",
    worker: str = "w1",
    *,
    run: int = 0,
    cpus: int = 4,
    phase: JobPhase = JobPhase.RUNNING,
    outcome: str = "",
) -> Placement:
    """A job of alice's on a worker."""
    return Placement(
        scheduler="slurm",
        job_id=job_id,
        run=run,
        worker=worker,
        cpus=cpus,
        phase=phase,
        user="alice",
        name="train",
        outcome=outcome,
    )


def run_summary(
    placed: Placement | None = None, *, held: float = 260, used: float = 150
) -> RunSummary:
    """A run of 100 s of a job that asked for 4 CPUs."""
    return RunSummary(placed or placement(), 4, held, used, 3.9, 2, over=True)


def sample(
    at: float = 100.0,
    *,
    interval_s: float = 1.0,
    granted: int = 4,
    held: float | None = None,
    used: float = 1.0,
    waited: float = 0.0,
) -> Sample:
    """One second of a worker."""
    return Sample(
        at=at,
        interval_s=interval_s,
        granted_vcpus=granted,
        held_cores=float(granted) if held is None else held,
        used_cores=used,
        waited_cores=waited,
    )
