"""Run commands for the tests, as root, in a worker VM.

One JSON line in: argv, input, timeout. One JSON line out: returncode, stdout, stderr.
"""

import json
import socketserver
import subprocess
import sys

PORT = 7077


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            request = json.loads(line)
            self.wfile.write(json.dumps(execute(**request)).encode() + b"\n")


def execute(argv: list[str], input: str | None, timeout: float) -> dict[str, object]:
    try:
        done = subprocess.run(
            argv,
            check=False,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no end within {timeout} s"}
    except OSError as error:
        return {"error": str(error)}
    return {"returncode": done.returncode, "stdout": done.stdout, "stderr": done.stderr}


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    Server((sys.argv[1], PORT), Handler).serve_forever()
