"""A stage of a real Slurm: each scene is set up with jobs whose hooks wait for files."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from hotslot_plugin.slurm import Slurm, connect
from live.cluster import eventually
from plugin.conformance import Scene
from plugin.slurm_conformance import WORKERS, SlurmWords
from testbed import Testbed

RECORDER = Path(__file__).resolve().parents[1] / "fakes" / "slurm_record.py"

SLURM_CONF = """\
Prolog=/home/hooks/prolog
Epilog=/home/hooks/epilog
PrologEpilogTimeout=150
"""

_HOOK = """\
#!/bin/sh
cd /home/hooks
while [ -e hold-{hook} ] || [ -e "hold-{hook}.$SLURMD_NODENAME" ]; do /bin/sleep 0.2; done
[ ! -e "fail-{hook}.$SLURMD_NODENAME" ]
"""


class LiveStage(SlurmWords):
    """Scenes of a testbed without an agent; one at a time.

    With HOTSLOT_RECORD set to a directory, what Slurm says in them is kept there.
    """

    def __init__(self, bed: Testbed) -> None:
        self.bed = bed
        self._current: Scene | None = None
        self._current_name = ""
        self._gone = False
        self._hooks = bed.home / "hooks"
        self._hooks.mkdir(mode=0o755)
        for hook in ("prolog", "epilog"):
            path = self._hooks / hook
            path.write_text(_HOOK.format(hook=hook))
            path.chmod(0o755)

    def scene(self, name: str) -> Scene:
        """Show a scene: the last one if it is the same, else clear the stage and set it up."""
        if self._current is None or name != self._current_name:
            self.clear()
            self._current = Scene(self.scheduler(name), getattr(self, f"_{name}")(), WORKERS)
            self._current_name = name
            self._keep(name)
        return self._current

    def scheduler(self, scene: str = "", partition: str = "") -> Slurm:
        """Connect to the testbed's Slurm from outside its namespaces."""
        target = ["-t", str(self.bed.namespaces.pid1), "-m", "-p", "-u", "-n", "-i"]
        command = ["nsenter", *target, *self.bed.scontrol_prefix]
        record = os.environ.get("HOTSLOT_RECORD")
        if record and scene:
            command = [sys.executable, str(RECORDER), str(Path(record, scene)), *command, "--"]
        settings = {"source": "scontrol", "command": command, "timeout_s": 60.0}
        return connect({**settings, "partition": partition})

    def clear(self) -> None:
        """End all jobs and wait until every node is idle."""
        for held in [*self._hooks.glob("hold-*"), *self._hooks.glob("fail-*")]:
            held.unlink()
        if self._gone:
            self.bed.start_slurmctld()
            self._gone = False
        self.bed.run(["scancel", "--user=alice"], user="root")
        for condition in self.scheduler().conditions([w.name for w in self.bed.workers]):
            if condition.drained:
                self.scheduler().resume(condition.worker)
        self.bed.wait_idle(timeout=120)
        self._current = None

    def submit(self, name: str, *options: str, script: str = "sleep 120") -> str:
        """Submit a batch job of alice's; return its id."""
        words = ["sbatch", "--parsable", "--output=/dev/null", f"--job-name={name}", *options]
        return self.bed.run(words, input=f"#!/bin/sh\n{script}\n").stdout.strip()

    def until(self, job_id: str, state: str, reason: str = "") -> None:
        """Wait until squeue says so of all its parts; a state may go on with ``:NODES``."""

        def there() -> bool:
            words = [
                "squeue",
                "--noheader",
                "--states=all",
                "--format=%T:%D:%r",
                f"--jobs={job_id}",
            ]
            said = self.bed.run(words, user="root").stdout.split()
            return bool(said) and all(
                line.startswith(state) and line.endswith(reason) for line in said
            )

        eventually(there, 120, f"job {job_id} {state} {reason}")

    def _hold(self, name: str) -> None:
        (self._hooks / f"hold-{name}").touch()

    def _keep(self, name: str) -> None:
        record = os.environ.get("HOTSLOT_RECORD")
        if record and self._current is not None:
            scene = {"jobs": dict(self._current.jobs)}
            Path(record, name).mkdir(parents=True, exist_ok=True)
            Path(record, name, "scene.json").write_text(json.dumps(scene) + "\n")

    def _one_and_two(self) -> dict[str, str]:
        one = self.submit("one", "--ntasks=4", "--nodes=1", "--nodelist=w1")
        two = self.submit("two", "--ntasks=5", "--nodes=2", "--nodelist=w2,w3")
        return {"one": one, "two": two}

    def _prolog(self) -> dict[str, str]:
        self._hold("prolog")
        jobs = self._one_and_two()
        for job_id in jobs.values():
            self.until(job_id, "RUNNING", "Prolog")
        return jobs

    def _running(self) -> dict[str, str]:
        asked = "--comment=my run; hotslot:min=2,burst=no"
        one = self.submit("one", "--ntasks=4", "--nodes=1", "--nodelist=w1", asked)
        self.until(one, "RUNNING", "None")
        return {"one": one}

    def _borrower(self) -> dict[str, str]:
        return self._running()

    def _completing(self) -> dict[str, str]:
        self._hold("epilog.w3")
        two = self.submit("two", "--ntasks=5", "--nodes=2", "--nodelist=w2,w3", script="true")
        self.until(two, "COMPLETING:1")
        return {"two": two}

    def _ended(self) -> dict[str, str]:
        one = self.submit("one", "--ntasks=4", "--nodes=1", script="true")
        two = self.submit("two", "--ntasks=5", "--nodes=2", script="true")
        failed = self.submit("failed", script="exit 3")
        self.until(one, "COMPLETED")
        self.until(two, "COMPLETED")
        self.until(failed, "FAILED")
        return {"one": one, "two": two, "failed": failed}

    def _cancelled(self) -> dict[str, str]:
        self._hold("prolog")
        one = self.submit("one", "--ntasks=4", "--nodes=1")
        self.until(one, "RUNNING", "Prolog")
        self.bed.run(["scancel", one])
        self.until(one, "COMPLETING")
        return {"one": one}

    def _requeued(self) -> dict[str, str]:
        self._hold("epilog")
        jobs = self._running()
        self.bed.run(["scontrol", "requeue", jobs["one"]], user="root")
        self.until(jobs["one"], "COMPLETING")
        return jobs

    def _waiting(self) -> dict[str, str]:
        jobs = self._running()
        self.bed.run(["scontrol", "requeue", jobs["one"]], user="root")
        self.until(jobs["one"], "PENDING")
        return jobs

    def _array(self) -> dict[str, str]:
        array = self.submit("array", "--array=0-1")
        self.until(array, "RUNNING", "None")
        words = ["squeue", "--noheader", "--format=%K %A", f"--jobs={array}"]
        lines = self.bed.run(words, user="root").stdout.splitlines()
        return dict(sorted(line.split()[:2] for line in lines))

    def _het(self) -> dict[str, str]:
        words = ["sbatch", "--parsable", "--output=/dev/null", "--ntasks=2", ":", "--ntasks=3"]
        leader = self.bed.run(words, input="#!/bin/sh\nsleep 120\n").stdout.strip()
        self.until(leader, "RUNNING", "None")
        return {"leader": leader, "other": str(int(leader) + 1)}

    def _drained(self) -> dict[str, str]:
        (self._hooks / "fail-prolog.w2").touch()
        one = self.submit("one", "--nodelist=w2", "--no-requeue")
        eventually(lambda: "drained" in self.bed.node_states()["w2"], 60, "w2 drained")
        return {"one": one}

    def _resumed(self) -> dict[str, str]:
        jobs = self._drained()
        (self._hooks / "fail-prolog.w2").unlink()
        self.scheduler("resumed").resume("w2")
        eventually(lambda: self.bed.node_states()["w2"] == "idle", 60, "w2 idle")
        return jobs

    def _away(self) -> dict[str, str]:
        self.bed.kill_slurmctld()
        self._gone = True
        return {"one": "1"}
