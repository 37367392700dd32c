"""Random load and random faults on a testbed, both schedulers; repeatable by its seed."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from live.campaign_acts import Acts
from live.campaign_cluster import AGENT_WAIT_S, CampaignCluster
from live.campaign_faults import FAULTS
from live.campaign_gather import gather
from live.campaign_plan import ALL_KINDS, FaultKind, Plan, PlannedFault, PlannedJob, make_plan
from live.campaign_story import Injected, Story, Submitted
from live.campaign_vms import Vms
from live.cluster import eventually
from testbed import Testbed
from testbed.errors import TestbedError

MOST_WAITING = 5
"""Jobs of one scheduler that wait at once: the next one comes when there are fewer."""

TRY_AGAIN_S = 2.0
EMPTY_WITHIN_S = 420.0
SETTLED_WITHIN_S = 180.0

Say = Callable[[str], None]


@dataclass
class Counts:
    """How far the campaign is."""

    submitted: int = 0
    running: int = 0
    waiting: int = 0
    injected: int = 0
    skipped: int = 0


class Campaign:
    """Does what a plan says and tells the story of it."""

    def __init__(
        self,
        cluster: CampaignCluster,
        seed: int,
        minutes: float,
        say: Say = lambda _: None,
        kinds: Sequence[FaultKind] = ALL_KINDS,
    ) -> None:
        slurm = [worker.name for worker in cluster.bed.workers]
        condor = [worker.name for worker in cluster.bed.condor_workers]
        self.cluster = cluster
        self.plan: Plan = make_plan(seed, minutes * 60, slurm, condor, kinds)
        self.counts = Counts()
        self._say = say
        self._began = 0.0
        self._stop = threading.Event()
        self._acts = Acts(cluster, self.plan.jobs)
        self._vms = Vms([*cluster.bed.workers, *cluster.bed.condor_workers], say)
        self._submitted: list[Submitted] = []
        self._injected: list[Injected] = []
        self._left: list[str] = []
        self._failure: BaseException | None = None

    def run(self) -> Story:
        """Run the campaign to its end and gather what there is to judge."""
        self._began = time.time()
        threads = [
            *(self._thread(self._submit, name) for name in ("slurm", "htcondor")),
            self._thread(self._inject),
        ]
        watchers = [self._thread(self._watch), self._thread(self._watch_vms)]
        for thread in (*threads, *watchers):
            thread.start()
        try:
            for thread in threads:
                thread.join()
            self._await_empty()
            self._await_settled()
        finally:
            self._stop.set()
            for watcher in watchers:
                watcher.join()
        if self._failure is not None:
            raise self._failure
        faults = [*self._injected, *self._vms.ended]
        return gather(self.cluster, self.plan, self._began, self._submitted, faults, self._left)

    def _thread(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        def guarded() -> None:
            try:
                work(*arguments)
            except BaseException as error:  # noqa: BLE001 - told to whoever waits
                self._failure = self._failure or error
                self._stop.set()

        return threading.Thread(target=guarded, name=f"campaign-{work.__name__}", daemon=True)

    @property
    def passed_s(self) -> float:
        """Seconds since the campaign began."""
        return time.time() - self._began

    def _until(self, at_s: float) -> bool:
        """Wait until so many seconds have passed; False when all is to end."""
        return not self._stop.wait(max(0.0, at_s - self.passed_s))

    # --- jobs ---------------------------------------------------------------------------------

    def _submit(self, scheduler: str) -> None:
        for job in self.plan.jobs:
            if job.scheduler != scheduler:
                continue
            while self._until(job.at_s) and self._acts.waiting(scheduler) >= MOST_WAITING:
                if self.passed_s > self.plan.seconds or self._stop.wait(0.5):
                    return
            if self._stop.is_set() or self.passed_s > self.plan.seconds:
                return
            self._submit_surely(job)

    def _submit_surely(self, job: PlannedJob) -> None:
        """Try until the scheduler takes it; one that answers too late may have it twice."""
        while not self._stop.is_set():
            asked = time.time()
            with suppress(TestbedError, subprocess.TimeoutExpired):
                job_id = self._submit_once(job)
                self._submitted.append(Submitted(job, job_id, asked, time.time()))
                self.counts.submitted += 1
                self._acts.expect(job.scheduler)
                return
            self._stop.wait(TRY_AGAIN_S)

    def _submit_once(self, job: PlannedJob) -> str:
        phases = " ".join(f"{phase.busy}:{phase.seconds:g}" for phase in job.phases)
        command = f"sh /home/alice/load.sh {job.exit_code} {phases}"
        if job.scheduler == "slurm":
            return self.cluster.sbatch(f"-c{job.cpus}", "-J", job.name, wrap=command)
        return self.cluster.submit(command, f"batch_name = {job.name}", cpus=job.cpus)

    def _watch(self) -> None:
        while not self._stop.wait(1.0):
            self._acts.look()
            self.counts.running, self.counts.waiting = self._acts.running, self._acts.in_queue

    def _watch_vms(self) -> None:
        while not self._stop.wait(1.0):
            self._vms.look()

    def _await_empty(self) -> None:
        deadline = time.monotonic() + EMPTY_WITHIN_S
        self._say("nothing new comes; the queues are to empty")
        while not self._stop.wait(1.0) and not self._acts.is_empty:
            if time.monotonic() > deadline:
                self._left.append(f"not empty after {EMPTY_WITHIN_S:g} s: {self._acts.names}")
                return

    def _await_settled(self) -> None:
        if self._failure is not None:
            return
        try:
            self.cluster.wait_settled(SETTLED_WITHIN_S)
            self.cluster.bed.condor_wait_idle(SETTLED_WITHIN_S)
            eventually(self.cluster.record_is_written, SETTLED_WITHIN_S, "all is written")
        except (AssertionError, TestbedError) as error:
            self._left.append(f"not idle after {SETTLED_WITHIN_S:g} s: {error}")

    # --- faults -------------------------------------------------------------------------------

    def _inject(self) -> None:
        for fault in self.plan.faults:
            if not self._until(fault.at_s) or self.passed_s > self.plan.seconds:
                return
            self._inject_one(fault)

    def _inject_one(self, fault: PlannedFault) -> None:
        began = time.time()
        where = f" on {fault.worker}" if fault.worker else ""
        try:
            FAULTS[fault.kind](self.cluster, fault)
        except TestbedError as error:
            self.counts.skipped += 1
            self._say(f"{fault.kind}{where}: not done: {str(error).splitlines()[0]}")
            return
        done = Injected(fault.kind, fault.worker, began, time.time(), fault.step_s)
        self._injected.append(done)
        self.counts.injected += 1
        self._say(f"{done.name}{where}, {done.ended - began:.1f} s")


@contextmanager
def campaign_cluster(cores: int) -> Iterator[CampaignCluster]:
    """Start a testbed of two workers of each scheduler, of up to 4 vCPUs, and an agent."""
    hook_conf = f"agent=10.77.0.1:8765\nagent_wait_s={AGENT_WAIT_S:g}\n"
    with (
        Testbed(workers=2, condor_workers=2, vcpus=4, cores=cores, hook_conf=hook_conf) as bed,
        CampaignCluster(bed, cores) as cluster,
    ):
        yield cluster
