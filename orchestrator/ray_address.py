"""A cluster's address: what the user wrote, checked and turned into its head's HOST:PORT."""

import os
import re
import subprocess
import sys

from datasets.errors import ConfigError

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]/:@\s]+):(\d{1,5})")
_LAST_PORT = 65535
_FIND_S = 60.0
_FIND = "from ray._private.services import canonicalize_bootstrap_address as f; print(f('auto'))"
_WRITE = "write HOST:PORT of the head node's GCS, as 192.0.2.10:6379, or auto"


def head_of(address: str) -> str:
    """The HOST:PORT of the head that `address` means: HOST:PORT itself, or `auto`.

    `auto` is Ray's: what RAY_ADDRESS says, else the cluster of this machine. What is neither
    raises `ConfigError`. Nothing is connected to.
    """
    if address != "auto":
        return _checked(address, "--address")
    if told := os.environ.get("RAY_ADDRESS", ""):
        return _checked(told, "RAY_ADDRESS (for --address auto)") if told != "auto" else _find()
    return _find()


def _checked(text: str, origin: str) -> str:
    if text.startswith("ray://"):
        raise ConfigError(
            f"{origin} {text!r} is a server of Ray Client, through which no trial can be run: give "
            "the head node's HOST:6379 from a machine of its network, or hand the command to the "
            "head with `ray job submit`"
        )
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found[2]) <= _LAST_PORT:
        raise ConfigError(f"{origin} {text!r} is no address of a Ray cluster: {_WRITE}")
    return text


def _find() -> str:
    """As Ray finds it; in a process of its own, since this one must not import Ray yet."""
    done = subprocess.run(
        [sys.executable, "-c", _FIND],
        capture_output=True,
        text=True,
        timeout=_FIND_S,
        check=False,
    )
    lines = done.stdout.split()
    if done.returncode or not lines or _ADDRESS.fullmatch(lines[-1]) is None:
        raise ConfigError(
            "--address auto: no Ray cluster runs on this machine; start one (`ray start --head`), "
            "or give its head node's HOST:PORT"
        )
    return lines[-1]
