"""A cluster's address: what the user wrote, checked and turned into its head's HOST:PORT."""

import os
import re
import sys
from pathlib import Path

from datasets.errors import ConfigError

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]/:@\s]+):(\d{1,5})")
_LAST_PORT = 65535
_WRITE = "write HOST:PORT of the head node's GCS, as 192.0.2.10:6379, or auto"


def head_of(address: str) -> str:
    """The HOST:PORT of the head that `address` means: HOST:PORT itself, or `auto`.

    `auto` is Ray's: what RAY_ADDRESS says, else the cluster that was started or joined last on this
    machine, as `ray start` notes it (docs.ray.io, `ray.init`). What is neither raises
    `ConfigError`. Nothing is connected to.
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
    path = _noted_in()
    try:
        noted = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise _none_found(
            f"no Ray cluster runs on this machine, or it was started with --temp-dir ({path} is "
            "not there); start one (`ray start --head`)"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise _none_found(f"{path}, where `ray start` notes its cluster, can't be read") from error
    return _checked(noted, f"{path} (for --address auto)")


def _noted_in() -> Path:
    root = os.environ.get("RAY_TMPDIR")
    if root is None and sys.platform.startswith("linux"):
        root = os.environ.get("TMPDIR")
    return Path(root or "/tmp") / "ray" / "ray_current_cluster"


def _none_found(why: str) -> ConfigError:
    return ConfigError(f"--address auto: {why}, or give the head node's HOST:PORT")
