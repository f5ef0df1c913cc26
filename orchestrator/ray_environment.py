"""What must hold when Ray is started or connected to: its environment, and a cluster there."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

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
    group for that. Ray starts each with a `preexec_fn`, so Python runs what is told to it for
    forks; another process that is forked meanwhile, by any thread, has a session of its own too.
    """
    _tell_forks()
    if sys.platform.startswith("linux"):
        _apart.set()
    try:
        yield
    finally:
        _apart.clear()


_apart = threading.Event()


@cache  # what Python is told for forks can't be taken back
def _tell_forks() -> None:
    os.register_at_fork(after_in_child=_begin_session)


def _begin_session() -> None:
    if _apart.is_set():
        with suppress(OSError):  # it has one already
            os.setsid()
