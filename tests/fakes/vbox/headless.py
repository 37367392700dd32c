"""What runs in place of a VM: a process like VBoxHeadless, with a thread for each possible vCPU.

Started as ``python3 -ISE h PAD`` in a directory of its own that has ``h`` (a link to this file)
and ``vm``: the file of the machine's record, the command line to show, the number of vCPUs.
The PAD makes room for that command line. SIGUSR1: read the record again. Ends with SIGKILL, or
soon after its record is gone.
"""

import _thread
import marshal
import os
import signal
import time

TICK_S = 0.02
WORK_S = 0.0005


class Cpu:
    """A vCPU thread: it computes a little every 20 ms while the guest uses it, and else sleeps."""

    def __init__(self, index: int) -> None:
        self.name = f"EMT-{index}"
        self._asleep = _thread.allocate_lock()
        self._asleep.acquire()
        self._named = _thread.allocate_lock()
        self._named.acquire()
        self._runs = False
        _thread.start_new_thread(self._live, ())
        self._named.acquire()

    def run(self, runs: bool) -> None:
        """Begin or stop to compute."""
        if runs and not self._runs:
            self._runs = True
            self._asleep.release()
        self._runs = runs

    def _live(self) -> None:
        rename(self.name)
        self._named.release()
        while True:
            self._asleep.acquire()
            while self._runs:
                until = time.thread_time() + WORK_S
                while time.thread_time() < until:
                    pass
                time.sleep(TICK_S)


def rename(name: str) -> None:
    """Give this thread a name that the host sees."""
    with open(f"/proc/self/task/{_thread.get_native_id()}/comm", "w") as comm:
        comm.write(name)


def masquerade(arguments: list[str]) -> None:
    """Show another command line, in the place where the kernel keeps this process's own."""
    with open("/proc/self/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    text = "\0".join(arguments).encode() + b"\0"
    if len(text) != end - start:
        raise SystemExit(f"{len(text)} bytes of command line in a place of {end - start}")
    memory = os.open("/proc/self/mem", os.O_RDWR)
    os.pwrite(memory, text, start)
    os.close(memory)


def main() -> None:
    """Run the vCPUs that the record says are online."""
    with open("vm", "rb") as file:
        vm = marshal.load(file)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    rename("VBoxHeadless")
    masquerade(vm["arguments"])
    cpus = [Cpu(index) for index in range(vm["cpus"])]
    os.write(vm["ready"], b"1")
    os.close(vm["ready"])
    while True:
        try:
            with open(vm["record"], "rb") as file:
                record = marshal.load(file)
        except FileNotFoundError:
            return
        now = time.time()
        gone = {int(index) for index, at in record["ejecting"].items() if at <= now}
        later = [at - now for at in record["ejecting"].values() if at > now]
        for index, cpu in enumerate(cpus):
            runs = record["state"] == "running" and index in record["online"]
            cpu.run(runs and index not in gone)
        signal.sigtimedwait({signal.SIGUSR1}, min([1.0, *later]))


main()
