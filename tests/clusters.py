"""A Ray cluster over the hosts of tests/hosts.py, brought up by `ray up` from a cluster file."""

import copy
import json
import os
import re
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.hosts import ROOT, Host, HostError, bridge, hosts
from tests.object_stores import s3

PORT = 6379
TOKEN_FILE = ".ray/auth_token"
# Ray looks for the token's file by itself when it starts a cluster, not when it connects to one.
WITH_TOKEN = "RAY_AUTH_MODE=token"
_ALIVE_S = 300
# Ray asks each node for a sign of life: here every second, three seconds for an answer, dead after
# three without: 12 s at most. Its own defaults take 65 s. Less would bury busy nodes of this
# machine's few cores alive.
_QUICK_DEATH = {
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "3",
}
_ENVIRONMENT = {
    **_QUICK_DEATH,
    "RAY_USAGE_STATS_ENABLED": "0",
    # The local provider knows autoscaler v1 only.
    "RAY_UP_enable_autoscaler_v2": "0",
    # Ray Client's server on the head, a process of its own for each client: 30 s by default, which
    # a busy machine can need more than.
    "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "120",
}
_SETUP = (
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
)
_START = ("head_start_ray_commands", "worker_start_ray_commands")


@dataclass(frozen=True)
class Cluster:
    """A running cluster; times in seconds by step."""

    laptop: Host
    head: Host
    workers: tuple[Host, ...]
    storage: str
    token: str
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """What `--address` takes on the cluster's hosts; Ray takes no driver from elsewhere."""
        return f"{self.head.address}:{PORT}"

    @property
    def dashboard(self) -> str:
        """Where jobs are submitted to, from the head: others may be kept from it."""
        return "http://127.0.0.1:8265"

    @property
    def nodes(self) -> tuple[Host, ...]:
        """All hosts that run Ray."""
        return (self.head, *self.workers)


def variant(
    shipped: Mapping[str, Any],
    head: Host,
    workers: tuple[Host, ...],
    *,
    venv: str | None = None,
    cpus: int = 1,
) -> dict[str, Any]:
    """A shipped file for the local provider, changed only in what is this machine's.

    `venv` is where the shipped set-up makes its virtual environment, if its start commands call
    that by its path; the one that runs this takes its place.
    """
    config = copy.deepcopy(dict(shipped))
    workers_at = [host.address for host in workers]
    config["provider"] |= {"head_ip": head.address, "worker_ips": workers_at}
    config["provider"].pop("external_head_ip", None)
    config |= {"min_workers": len(workers), "max_workers": len(workers)}
    config["auth"] = {"ssh_user": head.user, "ssh_private_key": "~/.ssh/id_ed25519"}
    config |= {name: [] for name in _SETUP}
    if venv:
        link = f"mkdir -p {os.path.dirname(venv)} && ln -sfn {shlex.quote(sys.prefix)} {venv}"
        config["setup_commands"] = [link]
    for name in _START:
        config[name] = [_smaller(command, cpus) for command in shipped[name]]
    return config


def _smaller(command: str, cpus: int) -> str:
    """A start command with few CPUs and a small object store; others as they are."""
    command = re.sub(r" --(num-cpus|object-store-memory)[= ]\S+", "", command)
    return re.sub(
        r"\bray start\b", f"ray start --num-cpus={cpus} --object-store-memory=100000000", command
    )


@contextmanager
def cluster(shipped: Mapping[str, Any], *, workers: int = 2, **changes: Any) -> Iterator[Cluster]:
    """Yield a cluster of `workers` and a head, brought up from a laptop that is a host too.

    `changes` are `variant`'s. The storage is an S3 server on this machine, in the environment of
    all hosts and of this process.
    """
    names = ["laptop", "head", *(f"worker{number}" for number in range(1, workers + 1))]
    clock = _Clock()
    with ExitStack() as stack:
        net = stack.enter_context(bridge())
        storage = stack.enter_context(s3(net.address))
        clock.lap("storage")
        aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        made = stack.enter_context(hosts(net, names, {**aws, **_ENVIRONMENT}))
        clock.lap("hosts")
        laptop, head, *others = made
        one = Cluster(laptop, head, tuple(others), storage, secrets.token_hex(32), clock.seconds)
        _furnish(laptop, one.token, variant(shipped, head, one.workers, **changes))
        _ray(laptop, "up", "--no-config-cache")
        clock.lap("up")
        await_nodes(one, *one.nodes)
        clock.lap("alive")
        yield one
        clock.lap("tests")
        _ray(laptop, "down")
        clock.lap("down")


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name], self._last = round(now - self._last, 1), now
        print(f"{name}: {self.seconds[name]} s")


def _furnish(laptop: Host, token: str, config: Mapping[str, Any]) -> None:
    """Give the laptop what its user has: the key, the token, the cluster file."""
    put(laptop, ".ssh/id_ed25519", laptop.key.read_text())
    put(laptop, TOKEN_FILE, token)
    put(laptop, "cluster.yaml", yaml.safe_dump(config, sort_keys=False))


def put(host: Host, path: str, content: str) -> None:
    """Write a file below the home that its owner alone may read."""
    words = f"umask 077; mkdir -p {os.path.dirname(path) or '.'}; cat > {path}"
    host.run(words, content=content)


def _ray(laptop: Host, verb: str, *options: str) -> None:
    """`ray up` or `ray down`, from the checkout: paths in the cluster file are relative to it."""
    words = ["ray", verb, "--yes", *options]
    command = f"cd {shlex.quote(str(ROOT))} && {shlex.join(words)} ~/cluster.yaml"
    print(laptop.run(command, timeout=300))


def ask(host: Host, cluster: Cluster, script: str, *words: str, timeout: float = 120) -> Any:
    """Run a Python script on a node, connected to the cluster; what it tells by `tell(value)`."""
    return _told(host.run(_command(host, cluster, script, *words), timeout=timeout))


def start(host: Host, cluster: Cluster, script: str, *words: str) -> subprocess.Popen[str]:
    """As `ask`, but return once the script has printed "ready"; the rest is in its pipe."""
    process = host.start(_command(host, cluster, script, *words))
    assert process.stdout is not None
    read = []
    for line in process.stdout:
        if line == "ready\n":
            return process
        read.append(line)
    process.wait()
    raise HostError(f"{host.name}: a script ended before it was ready:\n{''.join(read)}")


def answer(process: subprocess.Popen[str], timeout: float = 120) -> Any:
    """What a started script tells."""
    output, _ = process.communicate(timeout=timeout)
    if process.returncode:
        raise HostError(output)
    return _told(output)


def _told(output: str) -> Any:
    """The value, among what Ray prints."""
    (line,) = re.findall("^told: (.*)$", output, re.MULTILINE)
    return json.loads(line)


def _command(host: Host, cluster: Cluster, script: str, *words: str) -> str:
    """What runs the script on the host, where it is put."""
    path = f"/tmp/{secrets.token_hex(4)}.py"
    connect = f"ray.init(address={cluster.address!r}, log_to_driver=False)\n"
    put(host, path, f"{PREAMBLE}{connect}{script}")
    return f"{WITH_TOKEN} {shlex.join(['python', path, *words])}"


PREAMBLE = """
import json, sys, time, ray
def tell(value):
    print("told:", json.dumps(value), flush=True)
"""
ALIVE = """
def alive():
    return sorted(one["NodeManagerAddress"] for one in ray.nodes() if one["Alive"])
print("ready", flush=True)
begin = time.monotonic()
while alive() != sorted(sys.argv[2:]):
    if time.monotonic() - begin > float(sys.argv[1]):
        sys.exit(f"alive: {alive()}, not {sorted(sys.argv[2:])}")
    time.sleep(0.2)
tell(round(time.monotonic() - begin, 1))
"""


def await_nodes(cluster: Cluster, *among: Host, seconds: float = _ALIVE_S) -> float:
    """Wait until just these nodes are alive as the head sees it; the seconds that it took."""
    return float(answer(watch_nodes(cluster, *among, seconds=seconds), timeout=seconds + 60))


def watch_nodes(cluster: Cluster, *among: Host, seconds: float = _ALIVE_S) -> subprocess.Popen[str]:
    """Begin to wait until just these nodes are alive; `answer` gives the seconds."""
    addresses = [host.address for host in among]
    return start(cluster.head, cluster, ALIVE, str(seconds), *addresses)


def memory_mb(host: Host) -> int:
    """What the host's processes hold, without what they share."""
    output = host.run("cat /proc/[0-9]*/smaps_rollup 2>/dev/null || true")
    return sum(int(kB) for kB in re.findall(r"^Pss: +(\d+)", output, re.MULTILINE)) // 1024
