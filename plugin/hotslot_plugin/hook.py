"""Tell the agent that a job starts or ends on this worker; for a start, wait for its go-ahead.

Run in the worker, ``python3 -I -S hook.py CALL [CONF]``: CALL is ``start`` or ``end`` for Slurm's
Prolog and Epilog, ``condor-start`` or ``condor-exit`` for HTCondor's PREPARE_JOB and JOB_EXIT.
It uses only modules that are built into the interpreter (``os``, ``socket`` and ``signal`` alone
would double its start), and sends or prints nothing that was not checked.
The exit status of an end is always 0. That of a start is 0 when the job may begin; else one line
is on stderr, which the daemon writes to its log, and the scheduler starts the job again: in Slurm
after exit status 1; in HTCondor, which would hold the job for it, after death by SIGKILL.
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
END_S = 2.0  # all that the end of a job may be held up in Slurm
EXIT_S = 8.0  # and in HTCondor, where the agent writes the job's figures into its ad meanwhile
WAIT_S = 60.0  # agent_wait_s, if hook.conf does not say
ANSWER_BYTES = 4096
AD_BYTES = 16 * 2**20  # arguments and environment of a job can be long
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
DIGITS = frozenset("0123456789")
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
NAME = DIGITS | LETTERS | frozenset("._-")
GLOBAL_ID = b'\nGlobalJobId = "'


class Call:
    """What the hook is run for: the poke's event, the seconds it may take (None: agent_wait_s),
    and what the scheduler does when they have passed.
    """

    def __init__(self, event: str, most_s: float | None, then: str) -> None:
        self.event, self.most_s, self.then = event, most_s, then


START = Call("start", None, "Slurm starts the job elsewhere")
END = Call("end", END_S, "the job ends")
CONDOR_START = Call("start", None, "HTCondor starts the job again")
CONDOR_EXIT = Call("exit", EXIT_S, "the job ends; its ad may lack its figures")
CALLS = {"start": START, "end": END, "condor-start": CONDOR_START, "condor-exit": CONDOR_EXIT}


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
    wait_s = number(found.get("agent_wait_s", f"{WAIT_S:g}"), f"{path}: agent_wait_s", 3600)
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


def condor_job_and_worker(ad: bytes, conf: Conf) -> tuple[str, str]:
    """Return CLUSTER.PROC@SCHEDD, from the ad's one ``GlobalJobId = "SCHEDD#CLUSTER.PROC#TIME"``,
    and this worker's name.
    """
    _, found, rest = (b"\n" + ad).partition(GLOBAL_ID)
    if not found or GLOBAL_ID in rest:
        raise ValueError("the job ad does not have one GlobalJobId")
    value = rest[:400].partition(b'"')[0].decode("ascii", "replace")
    schedd, _, numbers = value.rpartition("#")[0].rpartition("#")
    cluster, _, proc = numbers.partition(".")
    if not (
        (0 < len(schedd) <= 253 and (NAME | {"@"}).issuperset(schedd))
        and (0 < len(cluster) <= 10 and DIGITS.issuperset(cluster))
        and (0 < len(proc) <= 9 and DIGITS.issuperset(proc))
    ):
        raise ValueError(f"GlobalJobId: {shown(value)} is not SCHEDD#CLUSTER.PROC#TIME")
    return f"{numbers}@{schedd}", this_worker(conf)


def this_worker(conf: Conf) -> str:
    """Return the worker's name where no scheduler tells it: hook.conf's, else the machine's."""
    return conf.node or name(posix.uname().nodename, "the machine's name")


def read_ad(file: int) -> bytes:
    """Read a job ad to its end, or as much as any has."""
    pieces = [b""]
    while len(pieces) == 1 or (pieces[-1] and sum(map(len, pieces)) < AD_BYTES):
        pieces.append(posix.read(file, 65536))
    return b"".join(pieces)


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
        return parse_answer(exchange(conf, message, until))
    except OSError as error:
        return 0, in_words(error)


def exchange(conf: Conf, message: bytes, until: float) -> bytes:
    """Send one request to the agent, return what it answers until it closes."""
    # As bytes: text would go through the idna codec, whose import takes 6 ms.
    found = _socket.getaddrinfo(conf.host.encode(), conf.port, 0, _socket.SOCK_STREAM)
    connection = _socket.socket(*found[0][:3])
    try:
        connection.settimeout(left(until))
        connection.connect(found[0][4])
        connection.sendall(message)
        return receive(connection, until)
    finally:
        connection.close()


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


def tell(conf: Conf, message: bytes, until: float) -> tuple[int, str]:
    """Poke once; whatever comes of it, the job's end goes on."""
    status, words = ask(conf, message, until)
    return 0, "" if status == 200 else f"agent at {conf.address}: {words}"


def wait(call: Call, conf: Conf, worker: str, message: bytes, until: float) -> tuple[int, str]:
    """Poke until the agent says what to do, or time is over."""
    pause, last, failure = FIRST_PAUSE_S, "nothing tried", ""
    jitter = 0.75 + posix.getpid() % 64 / 128  # workers that wait together poke apart
    while monotonic() < until:
        asked = monotonic()
        status, last = ask(conf, message, min(until, asked + ATTEMPT_S))
        decided = verdict(conf, worker, status, last)
        # HTCondor starts a job again at once and on the same worker: a failure must take its time.
        if decided is not None and (decided[0] == 0 or call is not CONDOR_START):
            return decided
        failure = decided[1] if decided is not None else ""
        if status == 202:  # the agent has held the poke: again at once, but never in a tight loop
            pause, again = FIRST_PAUSE_S, asked + FIRST_PAUSE_S
        else:
            pause, again = min(pause * 2, LONGEST_PAUSE_S), monotonic() + pause * jitter
        sleep(max(0.0, min(again, until) - monotonic()))
    return 1, failure or gave_up(call, conf, last)


def gave_up(call: Call, conf: Conf, last: str) -> str:
    """Say that no useful answer came in all that time."""
    waited_s = conf.wait_s if call.most_s is None else call.most_s
    said = f"agent at {conf.address} did not answer for {waited_s:g} s (last: {last})"
    return f"{said}; {call.then}"


def leave(call: Call, status: int, words: str) -> None:
    """End the process at once, its other thread with it."""
    line = f"hotslot: {words}".encode("ascii", "replace")
    again = bool(status) and call is CONDOR_START
    try:
        posix.write(2, line + b"\n" if words else b"")
        if again:  # the job's log has it, too
            posix.write(1, b'HookStatusMessage = "%s"\n' % line.translate(None, b'"\\'))
    finally:
        if again:
            posix.kill(posix.getpid(), _signal.SIGKILL)
        posix._exit(status if call.event == "start" else 0)


def work(call: Call, conf: Conf, environ: dict[bytes, bytes], until: float) -> tuple[int, str]:
    """Do what the hook is called for; ValueError when Slurm's environment is odd."""
    if call in (START, END):
        job, worker = job_and_worker(environ, conf)
    else:
        try:
            job, worker = condor_job_and_worker(read_ad(0), conf)
        except ValueError as odd:  # the job's own doing: it starts, and the agent finds it itself
            return 0, f"{odd}; going on"
    message = request(call.event, job, worker, conf.address)
    return tell(conf, message, until) if call is END else wait(call, conf, worker, message, until)


def poke(call: Call, path: str, environ: dict[bytes, bytes], began: float) -> tuple[int, str]:
    """Work in a second thread: a name service or a pipe that hangs is not waited for."""
    try:
        conf = read_conf(path)
    except ValueError as mistake:
        return late(call, began + WAIT_S, str(mistake))
    until = began + (conf.wait_s if call.most_s is None else call.most_s)
    answers: list[tuple[int, str]] = []
    done = _thread.allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            answers.append(work(call, conf, environ, until))
        except ValueError as mistake:
            answers.append((1, str(mistake)))
        except Exception as error:
            answers.append((1, f"a defect of the hook: {type(error).__name__}: {shown(error)}"))
        done.release()

    _thread.start_new_thread(run, ())
    # In slices: a signal that comes just before a wait begins ends only that wait.
    while monotonic() < until + 0.5 and not done.acquire(True, SLICE_S):
        pass
    status, words = answers[0] if answers else (1, gave_up(call, conf, "the name service hangs"))
    return (status, words) if status == 0 else late(call, until, words)


def late(call: Call, until: float, words: str) -> tuple[int, str]:
    """Fail; for HTCondor not before time is up, since it starts the job again at once."""
    while call is CONDOR_START and monotonic() < until:
        sleep(SLICE_S)
    return 1, words


def main() -> None:
    """Run as one of CALLS; never returns."""
    began = monotonic()
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in CALLS:
        leave(START, 2, f"usage: hook.py {'|'.join(CALLS)} [CONF]")
    call = CALLS[sys.argv[1]]
    for signal in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP):
        _signal.signal(signal, lambda *_: leave(call, 1, "stopped while waiting for the agent"))
    leave(call, *poke(call, sys.argv[2] if len(sys.argv) == 3 else CONF, posix.environ, began))


if __name__ == "__main__":
    main()
