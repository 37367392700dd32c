"""A stage of a real HTCondor pool: each scene is set up with jobs whose hooks wait for files."""

from __future__ import annotations

import json
import os
from pathlib import Path

from fakes.condor_record import Recorder
from hotslot_plugin.condor import HTCondor
from hotslot_plugin.condor_pool import Asker, Pool, bindings
from hotslot_plugin.condor_settings import parse
from live.cluster import eventually
from plugin.condor_conformance import WORKERS, CondorWords
from plugin.conformance import Scene
from testbed import Testbed

REPO = Path(__file__).resolve().parents[2]
SUBMIT_CONF = REPO / "config/condor/40-hotslot-submit.conf"

CONF = """\
NEGOTIATOR_INTERVAL = 2
"""

WORKER_CONF = """\
HotslotAdmitCpus = 4
HotslotGate = "open"
STARTD_ATTRS = $(STARTD_ATTRS) HotslotAdmitCpus HotslotGate
ADMITS = TARGET.RequestCpus <= MY.HotslotAdmitCpus && MY.NumDynamicSlots =?= 0
START = MY.PartitionableSlot =!= True || ($(ADMITS))
STARTER_JOB_HOOK_KEYWORD = HOTSLOT
HOTSLOT_HOOK_PREPARE_JOB = /home/hooks/prepare
HOTSLOT_HOOK_JOB_EXIT = /home/hooks/exit
HOTSLOT_HOOK_JOB_EXIT_TIMEOUT = 200
STARTD.ALLOW_WRITE = condor@$(UID_DOMAIN) root@$(UID_DOMAIN)
STARTD.ALLOW_ADMINISTRATOR = condor@$(UID_DOMAIN) root@$(UID_DOMAIN)
"""

_HOOK = """\
#!/bin/sh
while [ -e /home/hooks/hold-{hook} ]; do /bin/sleep 0.2; done
exit 0
"""

_JOB = """\
executable = /bin/sh
arguments = "-c '{script}'"
transfer_executable = false
should_transfer_files = no
initialdir = /home/alice
request_cpus = {cpus}
request_memory = 32
request_disk = 1M
batch_name = {name}
allowed_job_duration = 600
requirements = {requirements}
"""


class CondorStage(CondorWords):
    """Scenes of a testbed without an agent; one at a time.

    With HOTSLOT_RECORD set to a directory, what the bindings answer in them is kept there.
    """

    def __init__(self, bed: Testbed) -> None:
        self.bed = bed
        self._current: Scene | None = None
        self._current_name = ""
        self._is_drained = self._away_now = False
        self._hooks = bed.home / "hooks"
        self._hooks.mkdir(mode=0o755)
        for hook in ("prepare", "exit"):
            path = self._hooks / hook
            path.write_text(_HOOK.format(hook=hook))
            path.chmod(0o755)
        words = ["condor_status", "-schedd", "-af", "Name"]
        self.schedd = bed.run(words).stdout.strip()
        machines = bed.run(["condor_status", "-af", "Machine"]).stdout.split()
        self._machines = {machine.partition(".")[0]: machine for machine in machines}
        self._plain = self.scheduler()

    def scene(self, name: str) -> Scene:
        """Show a scene: the last one if it is the same, else clear the stage and set it up."""
        if self._current is None or name != self._current_name:
            self.clear()
            jobs = getattr(self, f"_{name}")()
            self._current = Scene(self.scheduler(name), jobs, WORKERS)
            self._current_name = name
            self._keep(name, jobs)
        return self._current

    def scheduler(self, scene: str = "", python: str = "") -> HTCondor:
        """Connect to the testbed's pool from outside its namespaces."""
        enter = ["nsenter", "-t", str(self.bed.namespaces.pid1), "-n"]
        settings = {"config": str(self.bed.condor_config), "command": enter, "timeout_s": 30.0}
        settings["python"] = python
        asker: Asker = bindings(parse(settings))
        record = os.environ.get("HOTSLOT_RECORD")
        if record and scene and not Path(record, scene).exists():
            asker = Recorder(asker, Path(record, scene))
        return HTCondor(Pool(asker, (), 30.0))

    def clear(self) -> None:
        """Remove all jobs and wait until every worker is free."""
        if self._current is not None:
            self._current.scheduler.close()
            self._current = None
        for held in self._hooks.glob("hold-*"):
            held.unlink()
        if self._away_now:
            self.bed.start_condor()
            self._away_now = False
            eventually(lambda: self.bed.run(["condor_q"], check=False).returncode == 0, 90, "back")
        if self._is_drained:
            self.act("condor_drain", "-cancel", self._machines["c2"])
            self._is_drained = False
        self.bed.run(["condor_rm", "-all"], user="root", check=False)
        eventually(lambda: not self._numbers(), 120, "the queue is empty")
        self.bed.condor_wait_idle(180)

    def close(self) -> None:
        """Clear the stage and end what was started for asking."""
        self.clear()
        self._plain.close()

    def act(self, *argv: str) -> None:
        """Run a command as root."""
        self.bed.run(list(argv), user="root")

    def submit(
        self, name: str, *lines: str, script: str = "sleep 300", cpus: int = 4, on: str = "c1"
    ) -> str:
        """Submit a job of alice's for a worker; return its id."""
        wanted = f'regexp("^{on}", TARGET.Machine)'
        text = _JOB.format(script=script, cpus=cpus, name=name, requirements=wanted)
        last = "" if any(line.startswith("queue") for line in lines) else "queue\n"
        text += "".join(f"{line}\n" for line in lines) + last
        return f"{self.bed.condor_submit(text)}@{self.schedd}"

    def until(self, job_id: str, status: int, *, executing: bool = False) -> None:
        """Wait until a job has this JobStatus, and is past its hooks."""
        names = ["JobStatus", "JobCurrentStartExecutingDate >= JobCurrentStartDate"]

        def there() -> bool:
            number = job_id.partition("@")[0]
            words = ["condor_q", "-allusers", number, "-af", *names]
            said = self.bed.run(words, user="root", check=False).stdout.split()
            return said[:1] == [str(status)] and (not executing or said[1:] == ["true"])

        eventually(there, 120, f"job {job_id} has status {status}")

    def until_over(self, job_id: str) -> None:
        """Wait until a job has left the queue."""
        number = job_id.partition("@")[0]
        eventually(lambda: number not in self._numbers(), 120, f"job {job_id} is over")

    def _numbers(self) -> list[str]:
        words = ["condor_q", "-allusers", "-af:j", "JobStatus"]
        done = self.bed.run(words, user="root", check=False)
        return done.stdout.split()[::2] if done.returncode == 0 else ["?"]

    def _hold(self, name: str) -> None:
        (self._hooks / f"hold-{name}").touch()

    def _keep(self, name: str, jobs: dict[str, str]) -> None:
        record = os.environ.get("HOTSLOT_RECORD")
        if record and not Path(record, name, "scene.json").exists():
            Path(record, name).mkdir(parents=True, exist_ok=True)
            Path(record, name, "scene.json").write_text(json.dumps({"jobs": jobs}) + "\n")

    # --- scenes ---------------------------------------------------------------------------------

    def _prolog(self) -> dict[str, str]:
        self._hold("prepare")
        jobs = {"one": self.submit("one"), "two": self.submit("two", on="c2", cpus=2)}
        for job_id in jobs.values():
            self.until(job_id, 2)
        busy = dict.fromkeys(WORKERS, "Claimed/Busy")
        eventually(lambda: self._states() == busy, 60, "both are being started")
        return jobs

    def _states(self) -> dict[str, str]:
        return {c.worker: c.state for c in self._plain.conditions(WORKERS)}

    def _running(self) -> dict[str, str]:
        one = self.submit("one", "+HotslotMin = 2", "+hotslotburst = False")
        self.until(one, 2, executing=True)
        return {"one": one}

    def _borrower(self) -> dict[str, str]:
        return self._running()

    def _queued(self) -> dict[str, str]:
        jobs = self._running()
        return {**jobs, "two": self.submit("two", cpus=3)}

    def _suspended(self) -> dict[str, str]:
        jobs = self._running()
        self.act("condor_suspend", jobs["one"].partition("@")[0])
        self.until(jobs["one"], 7)
        return jobs

    def _ended(self) -> dict[str, str]:
        jobs = {
            "one": self.submit("one", script="true"),
            "failed": self.submit("failed", script="exit 3", on="c2"),
        }
        for job_id in jobs.values():
            self.until_over(job_id)
        killed = self.submit("killed", script="kill -9 $$")
        self.until_over(killed)
        return {**jobs, "killed": killed}

    def _cancelled(self) -> dict[str, str]:
        jobs = self._running()
        self._hold("exit")
        self.act("condor_rm", jobs["one"].partition("@")[0])
        self.until(jobs["one"], 3)
        return jobs

    def _requeued(self) -> dict[str, str]:
        jobs = self._running()
        self._hold("exit")
        self.act("condor_hold", jobs["one"].partition("@")[0])
        self.until(jobs["one"], 5)
        return jobs

    def _waiting(self) -> dict[str, str]:
        jobs = self._running()
        self.act("condor_hold", jobs["one"].partition("@")[0])
        self.until(jobs["one"], 5)
        eventually(lambda: not self._plain.placements(WORKERS), 120, "its startd has let it go")
        return jobs

    def _vacated(self) -> dict[str, str]:
        jobs = self._running()
        number = jobs["one"].partition("@")[0]
        self.act("condor_vacate_job", number)

        def again() -> bool:
            words = ["condor_q", "-allusers", number, "-af", "NumJobMatches", "JobStatus"]
            return self.bed.run(words, user="root", check=False).stdout.split() == ["2", "2"]

        eventually(again, 120, "it runs again")
        self.until(jobs["one"], 2, executing=True)
        return jobs

    def _startd_killed(self) -> dict[str, str]:
        jobs = self._running()
        self.bed.worker("c1").kill_condor("startd")
        eventually(lambda: self._states()["c1"] == "Unclaimed/Idle", 120, "it is back")
        return jobs

    def _reconnected(self) -> dict[str, str]:
        jobs = self._running()
        number = jobs["one"].partition("@")[0]
        self.bed.kill_condor("schedd")

        def again() -> bool:
            words = ["condor_q", "-allusers", number, "-af", "NumShadowStarts", "JobStatus"]
            return self.bed.run(words, user="root", check=False).stdout.split() == ["2", "2"]

        eventually(again, 120, "the schedd has it again")
        self.until(jobs["one"], 2, executing=True)
        return jobs

    def _array(self) -> dict[str, str]:
        first = self.submit("array", "queue 2", cpus=2, on="c[12]")
        second = first.replace(".0@", ".1@")
        self.until(first, 2, executing=True)
        self.until(second, 2, executing=True)
        return {"0": first, "1": second, "cluster": first.partition(".")[0]}

    def _drain(self) -> None:
        self.act("condor_drain", "-graceful", "-reason", "for a test", self._machines["c2"])
        self._is_drained = True

    def _drained(self) -> dict[str, str]:
        self._drain()
        eventually(lambda: "Drained" in self._states()["c2"], 60, "c2 is drained")
        return {}

    def _resumed(self) -> dict[str, str]:
        jobs = self._drained()
        self.act("condor_drain", "-cancel", self._machines["c2"])
        self._is_drained = False
        eventually(lambda: "Drained" not in self._states()["c2"], 60, "c2 is not drained")
        return jobs

    def _away(self) -> dict[str, str]:
        self.bed.kill_condor("master")
        for daemon in ("schedd", "collector", "negotiator"):
            self.bed.kill_condor(daemon)
        self._away_now = True
        return {"one": f"1.0@{self.schedd}"}
