"""How soon the hook is at work, as a multiple of ``python3 -S -E -c pass``: at most 2.

Each repetition runs every case once, one after the other, so that a busy machine slows all alike;
ratios are of medians. The hook runs to its end: it reads its configuration, finds nobody at the
agent's address, and leaves; what an agent would take is not in it.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOOK = Path(__file__).resolve().parents[1] / "plugin/hotslot_plugin/hook.py"
LIMIT = 2.0
IMPORTED = "import sys; sys.path.insert(0, {!r}); import hook; hook.main()"


def seconds(command: list[str]) -> float:
    """Return how long a command runs."""
    environment = {"SLURM_JOB_ID": "1", "SLURMD_NODENAME": "w1"}
    begun = time.perf_counter()
    subprocess.run(command, env=environment, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def cases(python: str, directory: Path) -> dict[str, list[str]]:
    """Return the commands to compare; the first is the measure."""
    conf = directory / "hook.conf"
    conf.write_text("agent=127.0.0.1:1\n")  # nobody listens there
    (directory / "hook.py").write_bytes(HOOK.read_bytes())
    as_prolog = [python, "-I", "-S", "-c", IMPORTED.format(str(directory))]
    return {
        "python3 -S -E -c pass": [python, "-S", "-E", "-c", "pass"],
        "python3 -I -S hook.py": [python, "-I", "-S", str(HOOK), "end", str(conf)],
        "as slurm-prolog runs it": [*as_prolog, "end", str(conf)],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the interpreter to start")
    parser.add_argument("--repetitions", type=int, default=101)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        commands = cases(options.python, Path(directory))
        for command in commands.values():  # fills caches
            seconds(command)
        took: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.repetitions):
            for name, command in commands.items():
                took[name].append(seconds(command))
    return report(took)


def report(took: dict[str, list[float]]) -> int:
    """Print medians and ratios; return 1 if a ratio is above the limit."""
    medians = {name: statistics.median(times) for name, times in took.items()}
    measure = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"{name:25} {median * 1e3:7.2f} ms  {median / measure:5.2f} x")
    worst = max(medians.values()) / measure
    print(f"limit {LIMIT:g} x: {'kept' if worst <= LIMIT else 'BROKEN'}")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
