"""Ask a VirtualBox, fake or real, for the transcripts again."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Words
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fakes.vbox.calls import SEQUENCES, Sequence

FILE = Path(__file__).parents[2] / "transcripts" / "virtualbox" / "virtualbox-7.2.22.jsonl"
SHOWN = ("cpus", "cpuexecutioncap", "VMState", "SessionName", "platformArchitecture", "encryption")
"""What of showvminfo is compared; the rest is a machine's equipment."""
SAME = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"at line \d+ of file"), "at line N of file"),
    (re.compile(r"/[^'\"\n]*VirtualBox VMs(/[^'\"\n]*)?"), "FOLDER"),
    (re.compile(r"\d+\.\d+\.\d+(_Debian)?"), "VERSION"),
    (re.compile(r"VERSIONr\d+|'\d{5,}'"), "REVISION"),
    (re.compile(r"(?<=2005-)\d{4}"), "YEAR"),
    (re.compile(r"(Counter +=) '\d+'"), r"\1 'N'"),
    (re.compile(r" +@ \d{4}-.*"), ""),
    (re.compile(r" += "), " = "),
    (re.compile(r"\nUsage.*", re.DOTALL), ""),
)
"""What may differ between two VirtualBoxes, and what it is taken for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to."""

    rc: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """A call that a real VirtualBox answered."""

    name: str
    argv: tuple[str, ...]
    answer: Answer


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A call that was answered in another way than the transcript says."""

    sequence: str
    transcript: str
    argv: tuple[str, ...]
    expected: Answer
    got: Answer

    def __str__(self) -> str:
        call = shlex.join(self.argv)
        where = f"{self.sequence}: {call} (transcript {self.transcript or 'none'})"
        return f"{where}\n  expected {self.expected}\n  got      {self.got}"


@cache
def transcripts(path: Path = FILE) -> Mapping[str, Transcript]:
    """Read all transcripts, by name."""
    found = {}
    for call in map(json.loads, path.read_text().splitlines()):
        answer = Answer(call["rc"], call["stdout"], call["stderr"])
        found[call["name"]] = Transcript(call["name"], tuple(call["argv"]), answer)
    return found


Run = Callable[[Words[str]], Answer]
"""Makes a call: the arguments after VBoxManage."""
Provoke = Callable[[str], None]
"""Does something to a machine that no call can do."""


def mismatches(
    run: Run,
    sequences: Words[Sequence] = SEQUENCES,
    *,
    vm: str = "hotslot-calls",
    guest: str = "",
    provoke: Mapping[str, Provoke] | None = None,
) -> Iterator[Mismatch]:
    """Make the calls of the sequences that can be made and yield what differs.

    A sequence is left out when it needs a guest and ``guest`` is "", or a provocation that is not
    in ``provoke``: "settle": wait until the guest has the CPUs that it was given; "deaf": its next
    ejection comes after 10 s; "eject": wait until it came; "kill": kill -9 of the VM's process;
    "kill-vboxsvc": the same of VBoxSVC, after which no VM runs.
    """
    for sequence in sequences:
        if answerable(sequence, guest, provoke or {}):
            yield from differences(run, sequence, vm, guest, provoke or {})


def answerable(sequence: Sequence, guest: str, provoke: Mapping[str, Provoke]) -> bool:
    """Whether there is all that a sequence needs."""
    return sequence.provoked <= set(provoke) and bool(guest or not sequence.needs_guest)


def differences(
    run: Run, sequence: Sequence, vm: str, guest: str, provoke: Mapping[str, Provoke]
) -> Iterator[Mismatch]:
    """Make one sequence's calls."""
    for call, name in sequence.steps:
        words = call.format(vm=vm, guest=guest).split()
        if call.startswith("!"):
            provoke[words[0][1:]](words[1])
            continue
        got = run(words)
        theirs = transcripts().get(name)
        if name and theirs is None:
            raise KeyError(f"{sequence.name}: there is no transcript {name}")
        if theirs is None:
            expected, same = Answer(0, "", ""), got.rc == 0
        else:
            expected = essence(theirs.argv, as_if(theirs, words))
            same = expected == essence(words, _own(words, got, vm))
        if not same:
            yield Mismatch(sequence.name, name, tuple(words), expected, essence(words, got))


def as_if(transcript: Transcript, words: Words[str]) -> Answer:
    """Return a transcript's answer as if its call had these words."""
    answer = transcript.answer
    stdout, stderr = answer.stdout, answer.stderr
    for old, new in zip(transcript.argv, words, strict=False):
        for quote in "'\"":
            stdout = stdout.replace(f"{quote}{old}{quote}", f"{quote}{new}{quote}")
            stderr = stderr.replace(f"{quote}{old}{quote}", f"{quote}{new}{quote}")
    return Answer(answer.rc, stdout, stderr)


def essence(argv: Words[str], answer: Answer) -> Answer:
    """Return an answer without what may differ."""
    return Answer(answer.rc, _stdout(argv, answer), _alike(answer.stderr))


def _own(words: Words[str], got: Answer, vm: str) -> Answer:
    """Leave out of a list what is not a machine of the sequences."""
    if words not in (["list", "vms"], ["list", "runningvms"]):
        return got
    lines = got.stdout.splitlines(keepends=True)
    return Answer(got.rc, "".join(li for li in lines if li.startswith(f'"{vm}')), got.stderr)


def _stdout(argv: Words[str], answer: Answer) -> str:
    match list(argv):
        case ["showvminfo", *_] if answer.rc == 0:
            lines = [line for line in answer.stdout.splitlines() if line.split("=")[0] in SHOWN]
            return "\n".join(lines)
        case ["list", "hostinfo" | "systemproperties"]:
            keys = (line.partition(":")[0] for line in answer.stdout.splitlines())
            return "\n".join(key for key in keys if not key.startswith("Processor#"))
        case ["list", "vms" | "runningvms"]:
            return _alike(re.sub('".*"', '"NAME"', answer.stdout))
    return _alike(answer.stdout)


def _alike(text: str) -> str:
    for pattern, word in SAME:
        text = pattern.sub(word, text)
    return text
