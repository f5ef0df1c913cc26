"""What must hold when Ray is started or connected to: its environment, and a cluster there."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from orchestrator.ray_address import head_of

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Ctrl-C is ours: Tune's handler would end the run as if it were done.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Workers that Ray starts ahead, one a core, have not our environment and are never used.
    "RAY_prestart_worker_first_driver": "0",
    "RAY_enable_worker_prestart": "0",
    # Each trial has two actors that hold no CPU, and Ray warns of so many processes on few cores.
    # The terminal is kept for progress.
    "RAY_DEDUP_LOGS_SKIP_REGEX": "PYTHON worker processes have been started on node",
}


def prepare_environment(address: str | None = None) -> None:
    """Set what Ray reads when it is imported, where the user has not; call it before that.

    An address that is none, at which no head of a cluster answers, or whose cluster wants a token
    that is not here, raises `ConfigError`: Ray itself would try for minutes.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if address is None:
        return
    from orchestrator.ray_token import agree_on_token

    agree_on_token(head_of(address))


@contextmanager
def daemons_apart() -> Iterator[None]:
    """Within the block Ray's daemons, and all that they start, begin in sessions of their own.

    Else a SIGTERM to this process' group (`timeout`, a shell's or a batch system's kill) ends them
    before the trials have stopped, and Ray ends this process for want of them, after a minute. On
    Linux alone, where they end with this process even if it is killed: elsewhere Ray needs the
    group for that.
    """
    from ray._private import services

    start = services.ConsolePopen
    if sys.platform.startswith("linux"):
        services.ConsolePopen = partial(start, start_new_session=True)
    try:
        yield
    finally:
        services.ConsolePopen = start
