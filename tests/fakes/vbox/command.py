"""One call of the fake VBoxManage."""

from __future__ import annotations

import os
import sys
import time

from fakes.vbox import disk, faults, settings
from fakes.vbox.control import controlvm
from fakes.vbox.debug import debugvm
from fakes.vbox.show import guestproperty, lists, showvminfo
from fakes.vbox.snapshots import snapshot
from fakes.vbox.start import startvm
from fakes.vbox.transcript import Answer, recorded, say
from fakes.vbox.world import World

STALL_S = 10.1
MOMENT_S = 0.5
"""For how long a .vbox file is gone or half there; the real one is so for a millisecond."""
GARBAGE = b'\x00\xff\xfeVMState="\n<CpuTree>\n' + bytes(range(128, 256))

VERBS = {
    "list": lists,
    "showvminfo": showvminfo,
    "createvm": settings.createvm,
    "modifyvm": settings.modifyvm,
    "clonevm": settings.clonevm,
    "unregistervm": settings.unregistervm,
    "discardstate": settings.discardstate,
    "hostonlyif": settings.hostonlyif,
    "snapshot": snapshot,
    "startvm": startvm,
    "controlvm": controlvm,
    "debugvm": debugvm,
    "guestproperty": guestproperty,
}


def main(path: str, argv: list[str]) -> int:
    """Answer a call and return the exit code."""
    answer = carry_out(World(path), argv)
    sys.stdout.buffer.write(answer.stdout.encode(errors="surrogateescape"))
    sys.stderr.write(answer.stderr)
    return answer.rc


def carry_out(world: World, argv: list[str]) -> Answer:
    """Do what a call asks for, or go wrong as ordered."""
    with world.locked():
        world.log(argv)
        befalling = faults.take(world.faults, argv)
    if faults.HANG in befalling:
        while os.path.exists(world.fake):
            time.sleep(0.2)
    if faults.STALL in befalling:
        world.wait(STALL_S)
    if faults.GARBAGE in befalling:
        return Answer(0, GARBAGE.decode(errors="surrogateescape"))
    with world.locked():
        gone = faults.SVC_GONE in befalling
        answer = _svc_gone(world) if gone else _answer(world, argv, befalling)
    world.wait(answer.wait_s)
    with world.locked():
        answer.then()
        spoilt = [m for m in world.machines() if m.name in argv or m.uuid in argv]
    for machine in spoilt:
        for fault in befalling & {faults.FILE_GONE, faults.FILE_HALF}:
            _spoil(machine.file, MOMENT_S * world.time_scale, half=fault == faults.FILE_HALF)
    _decorate(answer, befalling)
    return answer


def _answer(world: World, argv: list[str], befalling: set[str]) -> Answer:
    words = argv[1:] if argv[:1] in (["-q"], ["--nologo"]) else argv
    if words[:1] in (["-v"], ["-V"], ["--version"]):
        return recorded("version")
    if not words or words[0] not in VERBS:
        return say("unknown-command", swap={"'frobnicate'": f"'{' '.join(words[:1])}'"})
    return VERBS[words[0]](world, words[1:], befalling)


def _svc_gone(world: World) -> Answer:
    """VBoxSVC was killed: all VMs end with it, and no call works for a while."""
    for machine in world.machines():
        if machine.up:
            machine.end()
            machine.become("poweroff")
            world.save(machine)
    answer = recorded("svckill-1-immediately")
    return answer.after(answer.seconds)


def _decorate(answer: Answer, befalling: set[str]) -> None:
    if faults.WRAPPER in befalling:
        warning = recorded("debian-wrapper-list-vms").stdout.partition('"')[0]
        answer.stdout = warning + answer.stdout
    if faults.PROGRESS in befalling:
        answer.stderr = recorded("poweroff").stderr + answer.stderr


def _spoil(file: str, for_s: float, *, half: bool) -> None:
    """Take a .vbox file away, or half of it, and put it back later."""
    whole = disk.read(file)
    os.unlink(file)
    if half:
        disk.write(file, whole[: len(whole) // 2])
    if os.fork() == 0:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)
        time.sleep(for_s)
        if os.path.exists(os.path.dirname(file)) and whole.startswith(disk.read(file)):
            disk.write(file, whole)
        os._exit(0)
