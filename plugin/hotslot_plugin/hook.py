"""Tell the agent that a job starts or ends on this worker; for a start, wait for its go-ahead.

Run in the worker by Slurm's Prolog and Epilog: ``python3 -I -S hook.py start|end [CONF]``.
It uses only modules that are built into the interpreter (``os``, ``socket`` and ``signal`` alone
would double its start), and sends or prints nothing that was not checked.
Exit status: for ``end`` always 0; for ``start`` 0 when the job may begin and 1 when Slurm should
start it elsewhere, with one line on stderr, which slurmd writes to its log.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]
import _socket
import _thread
import posix
import sys
from time import monotonic, sleep

CONF = "/etc/hotslot/hook.conf"
ATTEMPT_S = 20.0  # one try: the agent may look the job up for 10 s and hold the answer for 5
SLICE_S = 0.2
END_S = 2.0  # all that the end of a job may be held up
ANSWER_BYTES = 4096
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
DIGITS = frozenset("0123456789")
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
NAME = DIGITS | LETTERS | frozenset("._-")


class Conf:
    """The settings of hook.conf; ``node`` is '' when the environment names it."""

    def __init__(self, host: str, port: int, wait_s: float, node: str) -> None:
        self.host, self.port, self.wait_s, self.node = host, port, wait_s, node
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def shown(value: object) -> str:
    """Return a value fit for a log line: printable ASCII, at most 80 characters."""
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."


def name(value: str, where: str) -> str:
    """Check a node's name: letters, digits, dot, dash, underscore; at most 63."""
    if not 0 < len(value) <= 63 or not NAME.issuperset(value):
        raise ValueError(f"{where}: {shown(value)} is not a node name")
    return value


def number(value: str, where: str, most: int) -> float:
    """Check a plain decimal number from 1 to ``most``."""
    plain = 0 < len(value) <= 8 and DIGITS.issuperset(value.replace(".", "0", 1))
    if not plain or value == "." or not 1 <= float(value) <= most:
        raise ValueError(f"{where}: {shown(value)} is not a number from 1 to {most}")
    return float(value)


def host_port(value: str, where: str) -> tuple[str, int]:
    """Split HOST:PORT or [V6]:PORT."""
    host, _, port = value.rpartition(":")
    allowed = NAME
    if host[:1] + host[-1:] == "[]":
        host, allowed = host[1:-1], NAME | {":"}
    if not 0 < len(host) <= 253 or not allowed.issuperset(host) or not DIGITS.issuperset(port):
        raise ValueError(f"{where}: {shown(value)} is not HOST:PORT, like 192.168.56.1:8765")
    return host, int(number(port, where, 65535))


def parse_conf(text: str, path: str) -> Conf:
    """Read KEY=VALUE lines; blank lines and lines that start with # are skipped."""
    found: dict[str, str] = {}
    for count, line in enumerate(text.splitlines(), 1):
        key, equals, value = (part.strip() for part in line.partition("="))
        if not line.strip() or key[:1] == "#":
            continue
        if key not in ("agent", "agent_wait_s", "node") or not equals:
            raise ValueError(
                f"{path} line {count}: {shown(line)}: known: agent, agent_wait_s, node"
            )
        if key in found:
            raise ValueError(f"{path} line {count}: {key} is given twice")
        found[key] = value
    if "agent" not in found:
        raise ValueError(f"{path}: agent=HOST:PORT is missing; it says where hotslotd listens")
    host, port = host_port(found["agent"], f"{path}: agent")
    wait_s = number(found.get("agent_wait_s", "60"), f"{path}: agent_wait_s", 3600)
    return Conf(host, port, wait_s, name(found["node"], f"{path}: node") if "node" in found else "")


def read_conf(path: str) -> Conf:
    """Read the configuration file."""
    try:
        file = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            text = posix.read(file, 65536).decode()
        finally:
            posix.close(file)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {in_words(error)}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not UTF-8 text") from None
    return parse_conf(text, path)


def job_and_worker(environ: dict[bytes, bytes], conf: Conf) -> tuple[str, str]:
    """Return the job's id and this node's name, checked."""
    found = []
    for key in ("SLURM_JOB_ID", "SLURMD_NODENAME"):
        found.append(environ.get(key.encode(), b"").decode("ascii", "replace"))
        if not found[-1] and not (conf.node and key == "SLURMD_NODENAME"):
            raise ValueError(f"{key}: is not set; slurmd runs this as Prolog or Epilog")
    job, node = found
    if len(job) > 18 or not DIGITS.issuperset(job):
        raise ValueError(f"SLURM_JOB_ID: {shown(job)} is not a job id")
    return job, conf.node or name(node, "SLURMD_NODENAME")


def request(event: str, job: str, worker: str, address: str) -> bytes:
    """Return the poke as an HTTP request; all parts must have been checked."""
    body = f"event={event}&job={job}&worker={worker}"
    return (
        f"POST /v1/poke HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def parse_answer(answer: bytes) -> tuple[int, str]:
    """Return an answer's HTTP status and its words; (0, what came) when it is not HTTP."""
    head, _, body = answer.partition(b"\r\n\r\n")
    parts = head.split(b"\r\n")[0].split(b" ")
    if not parts[0].startswith(b"HTTP/1.") or len(parts) < 2 or not parts[1].isdigit():
        return 0, f"an answer that is not HTTP: {shown(answer[:40])}" if answer else "no answer"
    text = body[:200].decode("ascii", "replace").replace("_", " ")
    return int(parts[1][:4]), "".join(c if " " <= c <= "~" else " " for c in text).strip()


def in_words(error: OSError) -> str:
    """Return an error in words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, _socket.gaierror):
        return f"the name cannot be resolved: {error.args[-1]}"
    return posix.strerror(error.errno).lower() if error.errno else shown(error)


def ask(conf: Conf, message: bytes, until: float) -> tuple[int, str]:
    """Send one poke, return the answer; (0, why) when there is none. ``until``: monotonic s."""
    try:
        # As bytes: text would go through the idna codec, whose import takes 6 ms.
        found = _socket.getaddrinfo(conf.host.encode(), conf.port, 0, _socket.SOCK_STREAM)
        connection = _socket.socket(*found[0][:3])
        try:
            connection.settimeout(left(until))
            connection.connect(found[0][4])
            connection.sendall(message)
            return parse_answer(receive(connection, until))
        finally:
            connection.close()
    except OSError as error:
        return 0, in_words(error)


def receive(connection: _socket.socket, until: float) -> bytes:
    """Read until the agent closes, there is too much, or time is up."""
    answer, piece = b"", b"."
    while piece and len(answer) < ANSWER_BYTES:
        connection.settimeout(left(until))
        piece = connection.recv(ANSWER_BYTES - len(answer))
        answer += piece
    return answer


def left(until: float) -> float:
    """Return the seconds left; TimeoutError when there are none (0 would mean: do not wait)."""
    seconds = until - monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def verdict(conf: Conf, worker: str, status: int, words: str) -> tuple[int, str] | None:
    """Return the exit status and message that the answer to a start decides; None: poke again."""
    if status == 200 and words.startswith("ready"):
        return 0, ""
    # A refused hint does not fail the prolog, which would drain the node: were the job here
    # after all, the agent would find it within a minute.
    refusals = {404: "no such job", 409: "runs elsewhere", 410: "over"}
    if status in refusals and refusals[status] in words:
        return 0, f"agent at {conf.address}: {words}; going on"
    if status == 421 and "unknown worker" in words:
        return 1, (
            f"agent at {conf.address} does not manage worker {worker}: in hook.conf set agent= to "
            "this host's agent or node= to the name it knows, or add the worker to its hotslot.yaml"
        )
    return None


def end(conf: Conf, _: str, message: bytes, began: float) -> tuple[int, str]:
    """Poke once; whatever comes of it, the job's end goes on."""
    status, words = ask(conf, message, began + END_S)
    return 0, "" if status == 200 else f"agent at {conf.address}: {words}"


def start(conf: Conf, worker: str, message: bytes, began: float) -> tuple[int, str]:
    """Poke until the agent says what to do, or ``agent_wait_s`` is over."""
    until, pause, last = began + conf.wait_s, FIRST_PAUSE_S, "nothing tried"
    jitter = 0.75 + posix.getpid() % 64 / 128  # workers that wait together poke apart
    while monotonic() < until:
        asked = monotonic()
        status, last = ask(conf, message, min(until, asked + ATTEMPT_S))
        decided = verdict(conf, worker, status, last)
        if decided is not None:
            return decided
        if status == 202:  # the agent has held the poke: again at once, but never in a tight loop
            pause, again = FIRST_PAUSE_S, asked + FIRST_PAUSE_S
        else:
            pause, again = min(pause * 2, LONGEST_PAUSE_S), monotonic() + pause * jitter
        sleep(max(0.0, min(again, until) - monotonic()))
    return 1, gave_up(conf, last)


def gave_up(conf: Conf, last: str) -> str:
    """Say that no useful answer came in all that time."""
    said = f"agent at {conf.address} did not answer for {conf.wait_s:g} s (last: {last})"
    return f"{said}; Slurm starts the job elsewhere"


def leave(event: str, status: int, words: str) -> None:
    """End the process at once, its other thread with it."""
    try:
        posix.write(2, f"hotslot: {words}\n".encode("ascii", "replace") if words else b"")
    finally:
        posix._exit(status if event == "start" else 0)


def poke(event: str, path: str, environ: dict[bytes, bytes], began: float) -> tuple[int, str]:
    """Do the event's work in a second thread: a name service that hangs is not waited for."""
    try:
        conf = read_conf(path)
        job, worker = job_and_worker(environ, conf)
    except ValueError as mistake:
        return 1, str(mistake)
    answers: list[tuple[int, str]] = []
    done = _thread.allocate_lock()
    done.acquire()

    def work() -> None:
        try:
            message = request(event, job, worker, conf.address)
            answers.append((start if event == "start" else end)(conf, worker, message, began))
        except Exception as error:
            answers.append((1, f"a defect of the hook: {type(error).__name__}: {shown(error)}"))
        done.release()

    _thread.start_new_thread(work, ())
    limit = conf.wait_s if event == "start" else END_S
    until = began + limit + 0.5
    # In slices: a signal that comes just before a wait begins ends only that wait.
    while monotonic() < until and not done.acquire(True, SLICE_S):
        pass
    return answers[0] if answers else (1, gave_up(conf, "the name service hangs"))


def main() -> None:
    """Run as ``start`` or ``end``; never returns."""
    began = monotonic()
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in ("start", "end"):
        leave("start", 2, "usage: hook.py start|end [CONF]")
    event = sys.argv[1]
    for signal in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP):
        _signal.signal(signal, lambda *_: leave(event, 1, "stopped while waiting for the agent"))
    leave(event, *poke(event, sys.argv[2] if len(sys.argv) == 3 else CONF, posix.environ, began))


if __name__ == "__main__":
    main()
