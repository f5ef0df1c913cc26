"""What must hold before Ray is started or connected to: its environment, and a cluster there."""

import os
import re
import socket

from datasets.errors import ConfigError

_CONNECT_S = 5.0

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Ctrl-C is ours: Tune's handler would end the run as if it were done.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Our files hold the figures; Tune's CSV, JSON and TensorBoard copies would only cost time.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Each trial has two actors that hold no CPU, and Ray warns of so many processes on few cores.
    # The terminal is kept for progress.
    "RAY_DEDUP_LOGS_SKIP_REGEX": "PYTHON worker processes have been started on node",
}


def prepare_environment(address: str | None = None) -> None:
    """Set what Ray reads when it is imported, where the user has not; call it before that.

    An address `HOST:PORT` at which nothing listens, or whose cluster wants a token that is not
    here, raises `ConfigError`. Other addresses, as `auto`, are left to Ray.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    found = re.fullmatch(r"(ray://)?(\[?([^\[\]/]+?)\]?:(\d+))", address or "")
    if found is None:
        return
    client, place, host, port = found.groups()
    _check_listening(str(address), host, int(port))
    if client is None:
        from orchestrator.ray_token import agree_on_token

        agree_on_token(place)


def _check_listening(address: str, host: str, port: int) -> None:
    """Ray would try for over a minute."""
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"nothing answers at {address} ({error}): give --address the head node's HOST:PORT, as "
            "`ray start` prints it, from a machine that may reach it"
        ) from error
