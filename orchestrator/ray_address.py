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
    words = [sys.executable, "-c", _FIND]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_FIND_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise _none_found(f"Ray does not answer within {_FIND_S:.0f} s") from error
    lines = done.stdout.split()
    if done.returncode == 0 and lines and _ADDRESS.fullmatch(lines[-1]):
        return lines[-1]
    errors = done.stderr.strip().splitlines()
    if done.returncode == 0 or not errors or "ConnectionError" in errors[-1]:
        raise _none_found("no Ray cluster runs on this machine; start one (`ray start --head`)")
    raise _none_found(f"Ray can't look for a cluster: {errors[-1]}")


def _none_found(why: str) -> ConfigError:
    return ConfigError(f"--address auto: {why}, or give the head node's HOST:PORT")
