"""One target in a process of its own.

``python -m fuzz.one MODULE TARGET INPUTS SEED blind|guided``

Prints a line of JSON now and then, and at the end.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from fuzz.mutate import inputs, mutated
from fuzz.target import Target
from fuzz.trial import Trial, resident_mib

EVERY_S = 2.0
LONGEST_GUIDED = 16 * 1024


def main() -> None:
    module, name, most, seed, how = sys.argv[1:6]
    logging.disable()
    trial, report = Trial(_target(module, name, how)), os.fdopen(os.dup(1), "w")
    (guided if how == "guided" else blind)(
        trial, int(most), int(seed), teller(trial, int(most), report)
    )


def _target(module: str, name: str, how: str) -> Target:
    """Import the targets; for atheris, with each branch of hotslot's modules counted."""
    with contextlib.ExitStack() as stack:
        if how == "guided":
            atheris: Any = importlib.import_module("atheris")
            stack.enter_context(atheris.instrument_imports(include=["hotslot", "hotslot_plugin"]))
        targets: Sequence[Target] = importlib.import_module(module).TARGETS
    return next(target for target in targets if target.name == name)


def teller(trial: Trial, most: int, report: object) -> Callable[[], bool]:
    """Return what is called after each input: it tells how far the run is, and if it is over."""
    began, told, early = time.monotonic(), [time.monotonic()], [0.0]

    def tell() -> bool:
        over = trial.inputs >= most
        if trial.inputs == max(1, most // 10):
            early[0] = resident_mib()
        if over or (trial.inputs % 64 == 0 and time.monotonic() - told[0] > EVERY_S):
            told[0] = time.monotonic()
            line = {
                "inputs": trial.inputs,
                "accepted": trial.accepted,
                "seconds": told[0] - began,
                "early_mib": early[0],
                "mib": resident_mib(),
                "found": {what: data.hex() for what, data in trial.found.items()},
            }
            print(json.dumps(line), file=report, flush=True)  # type: ignore[call-overload]
        return over

    return tell


def blind(trial: Trial, most: int, seed: int, over: Callable[[], bool]) -> None:
    """Try real inputs, then changed ones; the same for the same seed."""
    for data in list(trial.target.seeds)[:most]:
        trial.take(data)
        if over():
            return
    make = inputs(trial.target, Random(seed))
    while True:
        trial.take(make())
        if over():
            return


def guided(trial: Trial, most: int, seed: int, over: Callable[[], bool]) -> None:
    """Let atheris choose: inputs that reach new branches are changed further."""
    atheris: Any = importlib.import_module("atheris")
    target: Target = trial.target
    corpus = Path(tempfile.mkdtemp())
    for number, seed_bytes in enumerate(target.seeds):
        (corpus / str(number)).write_bytes(seed_bytes)

    def take(data: bytes) -> None:
        trial.take(data)
        if over():  # libFuzzer never returns
            shutil.rmtree(corpus, ignore_errors=True)
            os._exit(0)

    def change(data: bytes, most_bytes: int, number: int) -> bytes:
        random = Random(number)
        if not data or random.random() < 0.05:
            data = target.seeds[number % len(target.seeds)]
        if random.random() < 0.5:
            return bytes(atheris.Mutate(data, most_bytes))
        return mutated(target, data, random)[:most_bytes]

    options = [f"-seed={seed}", f"-max_len={LONGEST_GUIDED}", "-timeout=60", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], *options, "-verbosity=0", str(corpus)], take, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
