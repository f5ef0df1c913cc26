"""Several hosts on this machine: namespaces with a network, processes and files of their own.

Each has its own address on a bridge, its own name, `/tmp`, `/dev/shm`, `/run` and home, and a real
sshd on port 22. All goes when the context ends or this process dies, whatever ran in them; only an
empty bridge and a folder outlive a killed process, until the next one deletes them.
"""

import itertools
import json
import os
import pwd
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.host_needs import NAMESPACES, tool

ROOT = Path(__file__).resolve().parent.parent
_FILES = Path("/var/tmp")
_START_S = 20
_numbers = itertools.count(1)
_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "5",
    "IdentitiesOnly": "yes",
    "IdentityAgent": "none",
    "LogLevel": "ERROR",
    "StrictHostKeyChecking": "no",
    "UserKnownHostsFile": "/dev/null",
}


class HostError(RuntimeError):
    """A host could not be started, or a command on it failed."""


@dataclass(frozen=True)
class Bridge:
    """The switch that the hosts' cables end in; `address` is this machine's on it."""

    name: str
    address: str

    def place(self, number: int) -> str:
        """The address of the host with this number, from 1."""
        return f"{self.address.rpartition('.')[0]}.{10 + number}"


@dataclass(frozen=True)
class Host:
    """One of the hosts; `files` holds its sshd's log."""

    name: str
    address: str
    user: str
    key: Path
    files: Path
    cable: str

    def command(self, command: str) -> list[str]:
        """The words that run a shell command on the host from this machine."""
        options = [word for pair in _OPTIONS.items() for word in ("-o", "=".join(pair))]
        target = f"{self.user}@{self.address}"
        return ["ssh", "-F", "/dev/null", "-i", str(self.key), *options, target, command]

    def run(self, command: str, *, content: str = "", timeout: float = 60) -> str:
        """Run a shell command over SSH; what it printed, or `HostError` with all of its output.

        `content` is what it reads.
        """
        words = self.command(command)
        done = subprocess.run(
            words, input=content, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            raise HostError(
                f"{self.name}: `{command}` ended with {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start a shell command over SSH, its output and errors in one pipe."""
        return subprocess.Popen(
            self.command(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def cut_off(self) -> None:
        """Pull the cable: nothing is refused, nothing arrives."""
        _ip("link", "set", self.cable, "down")

    def plug_in(self) -> None:
        """Put the cable back."""
        _ip("link", "set", self.cable, "up")


@contextmanager
def bridge() -> Iterator[Bridge]:
    """Yield a bridge on which this machine has an address in a private net that is free."""
    _delete_orphans()
    one = Bridge(f"fer{os.getpid()}n{next(_numbers)}", f"{_free_net()}.1")
    _ip("link", "add", one.name, "type", "bridge")
    try:
        _ip("address", "add", f"{one.address}/24", "dev", one.name)
        _ip("link", "set", one.name, "up")
        yield one
    finally:
        _ip("link", "delete", one.name)


@contextmanager
def hosts(
    on: Bridge, names: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[list[Host]]:
    """Yield a host for each name, all with SSH up; `environment` is what their sessions get.

    Each sees this checkout and the virtual environment at their paths here, and runs Python from
    them. They reach each other and the bridge, by name too, and nothing else.
    """
    user = pwd.getpwuid(os.getuid())
    # Not in /tmp: the hosts cover that.
    with tempfile.TemporaryDirectory(prefix=f"{on.name}-", dir=_FILES) as folder:
        places = {name: on.place(number) for number, name in enumerate(names, start=1)}
        key = _make_keys(Path(folder))
        made = [
            Host(name, place, user.pw_name, key, Path(folder) / name, f"{on.name}-{number}")
            for number, (name, place) in enumerate(places.items(), start=1)
        ]
        with ExitStack() as stack:
            for host in made:
                _prepare(host, places, environment or {})
                stack.enter_context(_running(host, on, user.pw_dir))
            for host in made:
                _await_ssh(host)
            yield made


@contextmanager
def _running(host: Host, on: Bridge, home: str) -> Iterator[None]:
    visible = sorted({str(ROOT), sys.prefix, sys.base_prefix})
    sshd = str(tool("sshd"))
    script = ["bash", str(ROOT / "tests" / "host.sh"), str(host.files), host.address, on.address]
    # The host dies with us, and with it all that runs on it and its end of the cable.
    apart = ["setpriv", "--pdeathsig", "KILL", *NAMESPACES, "--mount-proc", "--kill-child"]
    process = subprocess.Popen(
        [*apart, *script, home, sshd, *visible],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=(host.files / "log").open("w"),
        text=True,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise HostError(f"{host.name} does not start:\n{(host.files / 'log').read_text()}")
        inside = str(process.pid)
        _ip("link", "add", host.cable, "type", "veth", "peer", "eth0", "netns", inside)
        _ip("link", "set", host.cable, "master", on.name, "up")
        yield
    finally:
        _end(process)
        with suppress(HostError):  # the cable goes with the namespace that its other end is in
            _ip("link", "delete", host.cable)


def _end(process: subprocess.Popen[str]) -> None:
    """Kill the host's first process: the kernel kills the others before that one is gone."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    with suppress(OSError):
        for child in children.read_text().split():
            os.kill(int(child), signal.SIGKILL)
        process.wait(timeout=10)
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _make_keys(folder: Path) -> Path:
    """The key pair of all hosts; returns the private one's path."""
    for name in ("host", "user"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(words, check=True)
    return folder / "user"


def _prepare(host: Host, places: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Write what host.sh reads."""
    (host.files / "home").mkdir(parents=True)
    path = f"{sys.prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    # Login shells set PATH anew, and `ray up` reads this file after.
    (host.files / "home" / ".bashrc").write_text(f"export PATH={shlex.quote(path)}\n")
    lines = ["127.0.0.1 localhost", *(f"{place} {name}" for name, place in places.items())]
    (host.files / "hosts").write_text("\n".join(lines) + "\n")
    # No name server: a name that is not in the file above fails at once.
    (host.files / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    settings = {"PATH": path, "PYTHONPATH": str(ROOT), **environment}
    pairs = " ".join(f'"{name}={value}"' for name, value in settings.items())
    (host.files / "sshd_config").write_text(
        f"HostKey {host.key.parent / 'host'}\n"
        f"AuthorizedKeysFile {host.key.with_suffix('.pub')}\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\nPidFile none\n"
        # `ray up` opens many sessions at once.
        "MaxStartups 100\nMaxSessions 100\n"
        f"SetEnv {pairs}\n"
    )


def _await_ssh(host: Host) -> None:
    end = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection((host.address, 22), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                log = (host.files / "log").read_text()
                raise HostError(f"{host.name}: no SSH after {_START_S} s: {error}\n{log}") from None
            time.sleep(0.05)


def _free_net() -> str:
    """The first three numbers of a private net that no interface of this machine has."""
    taken = {place["local"] for link in _links() for place in link["addr_info"]}
    nets = [f"10.77.{number}" for number in range(1, 255)]
    return random.choice([net for net in nets if not any(one.startswith(net) for one in taken)])


def _delete_orphans() -> None:
    """Bridges and folders whose process was killed, and cables: a dead host's last packets, which
    nobody takes, hold its network for a minute."""
    for link in _links():
        if _is_orphan(link["ifname"]):
            with suppress(HostError):  # another one of us deletes it too
                _ip("link", "delete", link["ifname"])
    for folder in _FILES.glob("fer*-*"):
        if _is_orphan(folder.name.partition("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)


def _is_orphan(name: str) -> bool:
    found = re.fullmatch(r"fer(\d+)n\d+(-\d+)?", name)
    return found is not None and not Path(f"/proc/{found[1]}").exists()


def _links() -> list[dict]:
    return json.loads(_ip("-json", "address", "show"))


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostError(f"`ip {' '.join(words)}`: {done.stderr.strip()}")
    return done.stdout
