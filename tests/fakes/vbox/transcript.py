"""What the real VBoxManage 7.2.22 said, found by the transcript's name.

Imported by a command that must start in milliseconds: nothing here imports much.
"""

from __future__ import annotations

from fakes.vbox import disk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FILE = __file__.rpartition("/fakes/")[0] + "/transcripts/virtualbox/virtualbox-7.2.22.jsonl"

UNPROVEN = {
    "hostonlyif-create": (
        ["hostonlyif", "create"],
        "Interface 'vboxnet0' was successfully created\n",
        "0%...10%...20%...30%...40%...50%...60%...70%...80%...90%...100%\n",
    ),
    "hostonlyif-ipconfig": (["hostonlyif", "ipconfig", "vboxnet0", "--ip", "192.168.56.1"], "", ""),
    "list-hostonlyifs": (
        ["list", "hostonlyifs"],
        "Name:            vboxnet0\n"
        "GUID:            786f6276-656e-4074-8000-0a0027000000\n"
        "DHCP:            Disabled\n"
        "IPAddress:       192.168.56.1\n"
        "NetworkMask:     255.255.255.0\n"
        "IPV6Address:     \n"
        "IPV6NetworkMaskPrefixLength: 0\n"
        "HardwareAddress: 0a:00:27:00:00:00\n"
        "MediumType:      Ethernet\n"
        "Wireless:        No\n"
        "Status:          Up\n"
        "VBoxNetworkName: HostInterfaceNetworking-vboxnet0\n\n",
        "",
    ),
}
"""Answers with exit code 0 that nobody has recorded, as manuals show them: what needs the host's
kernel modules. By name: argv, stdout, stderr."""


class Answer:
    """What a call came to; ``seconds`` is how long the real one took.

    The fake takes ``wait_s`` and then does ``then``, before it says so.
    """

    __slots__ = ("argv", "rc", "seconds", "stderr", "stdout", "then", "wait_s")

    def __init__(
        self,
        rc: int,
        stdout: str = "",
        stderr: str = "",
        seconds: float = 0.0,
        argv: list[str] | None = None,
    ) -> None:
        self.rc = rc
        self.stdout = stdout
        self.stderr = stderr
        self.seconds = seconds
        self.argv = argv or []
        self.wait_s = 0.0
        self.then: Callable[[], None] = _nothing

    def after(self, wait_s: float, then: Callable[[], None] | None = None) -> Answer:
        """Say it ``wait_s`` later, having done ``then``."""
        self.wait_s, self.then = wait_s, then or _nothing
        return self


def _nothing() -> None:
    pass


def recorded(name: str) -> Answer:
    """Return one transcript, or the UNPROVEN answer of this name; KeyError if there is neither."""
    if name in UNPROVEN:
        argv, stdout, stderr = UNPROVEN[name]
        return Answer(0, stdout, stderr, 0.0, argv)
    start = f'{{"name": "{name}",'
    for line in disk.read(FILE).split("\n"):
        if line.startswith(start):
            call = disk.parse(line)
            seconds = call["seconds"] or 0.0
            return Answer(call["rc"], call["stdout"], call["stderr"], seconds, call["argv"])
    raise KeyError(name)


def say(name: str, *, vm: str = "", swap: dict[str, str] | None = None) -> Answer:
    """Return a transcript as if it was about machine ``vm``, with further words swapped."""
    answer = recorded(name)
    words = dict(swap or {})
    if vm and len(answer.argv) > 1:
        theirs = answer.argv[1] if answer.argv[0] != "guestproperty" else answer.argv[2]
        words |= {f"'{theirs}'": f"'{vm}'", f'"{theirs}"': f'"{vm}"'}
    for old, new in words.items():
        answer.stdout = answer.stdout.replace(old, new)
        answer.stderr = answer.stderr.replace(old, new)
    return answer
