"""Add transcripts that calls.py names and nobody has recorded: record.py VBOXMANAGE [WORD …].

Asks a real VirtualBox of the transcripts' version on which machines without a guest can start.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence

from fakes.vbox.calls import SEQUENCES
from fakes.vbox.compare import FILE, Answer, answerable, transcripts

VM = "w1"


def record(command: Sequence[str]) -> None:
    """Make the calls and write down the missing answers."""
    for sequence in SEQUENCES:
        if not answerable(sequence, "", {}):
            continue
        for call, name in sequence.steps:
            words = call.format(vm=VM).split()
            begun = time.monotonic()
            answer = ask(command, words)
            seconds = round(time.monotonic() - begun, 3)
            if name and name not in transcripts():
                line = {"name": name, "argv": words, "rc": answer.rc, "seconds": seconds}
                line |= {"stdout": answer.stdout, "stderr": answer.stderr}
                lines = [*FILE.read_text().splitlines(), json.dumps(line)]
                FILE.write_text("\n".join(sorted(lines)) + "\n")
                transcripts.cache_clear()
                print(name, answer)


def ask(command: Sequence[str], words: Sequence[str]) -> Answer:
    """Make one call."""
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    return Answer(done.returncode, done.stdout, done.stderr)


if __name__ == "__main__":
    record(sys.argv[1:])
