"""Bindings' processes in a bad way: condor_child.py HOW; see test_condor_process.py."""

from __future__ import annotations

import json
import os
import signal
import sys
import time


def main() -> None:
    how = sys.argv[1]
    if how == "exit":
        sys.exit("no module named htcondor2")
    print(json.dumps({"version": "fake"}), flush=True)
    for _ in sys.stdin:
        if how == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if how == "hang":
            time.sleep(600)
        if how == "babble":
            print("ERROR: SECMAN", flush=True)
        if how == "flood":
            while True:
                sys.stdout.write("x" * 65536)
        if how == "refuse":
            error = "HTCondorException: failed to connect to collector"
            print(json.dumps({"error": error}), flush=True)
        if how == "odd":
            print(json.dumps({"found": 5}), flush=True)


if __name__ == "__main__":
    main()
