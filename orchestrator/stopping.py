"""`fer-orch stop`: what Ctrl-C does, from elsewhere than the run's own terminal."""

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from rich.console import Console

from datasets.errors import ConfigError
from orchestrator.run_lock import SILENCE_S, Driver, driver_of
from orchestrator.run_store import RunStore
from trainers.interruption import STOP_FILE

# Each look at an object store is a request.
_LOOK_EVERY_S = 0.5
_STORAGE_LOOK_EVERY_S = 5.0


def stop_run(
    store: RunStore,
    address: str | None,
    console: Console,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Let a run's trials stop with a checkpoint at their next step; returns once its driver ended.

    A driver on this machine is asked itself, another one through the board of its run, at
    `address` or where the driver has noted its cluster. Raises `ConfigError` where nobody drives
    the run, or who does can't be asked.
    """
    store.look()
    driver = driver_of(store)
    if driver is None:
        store.trials()  # one that is no run is told so
        raise ConfigError(f"nobody drives {store.place}: there is nothing to stop")
    _ask(store, driver, address or driver.address)
    console.print(
        f"{driver.called} stops {store.place}: each trial checkpoints at its next step; Ctrl-C "
        "here only ends the waiting",
        highlight=False,
        soft_wrap=True,
    )
    _await_end(store, driver, pause)
    console.print("stopped; the run's own command continues it", highlight=False)


def _await_end(store: RunStore, driver: Driver, pause: Callable[[float], None]) -> None:
    """Return once a driver drives a run no more."""
    pause_s = _LOOK_EVERY_S if store.storage is None else _STORAGE_LOOK_EVERY_S
    last, heard_at = driver, time.monotonic()
    while True:
        with suppress(OSError):  # storage that is away for now
            now = driver_of(store)
            if now is None or not now.is_same(driver):
                return
            if now != last:
                last, heard_at = now, time.monotonic()
        # Here the lock tells it, and one that lives writes nothing.
        is_elsewhere = store.storage is not None and driver.host != socket.gethostname()
        if is_elsewhere and time.monotonic() - heard_at > SILENCE_S:
            raise ConfigError(
                f"{driver.called} has not been heard of for {SILENCE_S:.0f} s: it was killed, or "
                f"can't reach {store.place}; the run's own command continues it"
            )
        pause(pause_s)


def _ask(store: RunStore, driver: Driver, address: str) -> None:
    if driver.host == socket.gethostname():
        # Twice would end the trials at once.
        if not (store.root / STOP_FILE).exists():
            _interrupt(driver)
        return
    if not address:
        raise ConfigError(
            f"{driver.called} drives {store.place}: give the command there, or with --address "
            "HOST:6379, the head of its Ray cluster"
        )
    _ask_board(store, driver, address)


def _interrupt(driver: Driver) -> None:
    try:
        os.kill(driver.pid, signal.SIGINT)
    except ProcessLookupError:
        return  # it has just ended
    except PermissionError as error:
        raise ConfigError(f"{driver.called} is another user's: ask them") from error


def _ask_board(store: RunStore, driver: Driver, address: str) -> None:
    from orchestrator.ray_environment import prepare_environment

    prepare_environment(address)
    import ray  # takes seconds, and needs its environment

    from orchestrator.board import board_of
    from orchestrator.ray_run import ray_session

    with ray_session(address):
        board = board_of(store)
        if board is None:
            raise ConfigError(
                f"the cluster at {address} has no run {store.place}, which {driver.called} drove "
                "last: it may have been killed, or drives it elsewhere"
            )
        ray.get(board.stop.remote(), timeout=60)
