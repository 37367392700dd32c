"""Process 1 of a testbed's namespaces: reap orphans until the owner is gone, then exit.

The kernel ends every process of a PID namespace with its process 1. The owner's end is seen
twice: by a byte or the end of file on a pipe whose other end it holds, and by its pidfd, which
also tells when a child of the owner has inherited the pipe.
"""

import os
import select
import signal
import sys


def main(pipe: int, owner: int) -> None:
    signal.signal(signal.SIGCHLD, lambda *_: None)
    wakeup_in, wakeup_out = os.pipe()
    for descriptor in (wakeup_in, wakeup_out):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(wakeup_out)
    poll = select.poll()
    for descriptor in (pipe, owner, wakeup_in):
        poll.register(descriptor, select.POLLIN)
    os.write(1, b"ready\n")
    while True:
        for descriptor, _ in poll.poll():
            if descriptor != wakeup_in:
                return
            os.read(wakeup_in, 4096)
        _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
