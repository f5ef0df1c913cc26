"""The driver's side of the board: it keeps the run's view up to date, and hears of a stop."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import ray

from orchestrator.run_store import RunStore
from orchestrator.run_view import write_places

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_ASK_S = 10.0


class BoardFollower:
    """Looks at the board once a second until it is left: `with BoardFollower(…) as follower: …`.

    `on_stop` is called, in a thread, when somebody else than this driver asks the run to stop.
    """

    def __init__(self, board: Any, store: RunStore, on_stop: Callable[[], None]) -> None:
        self._board = board
        self._store = store
        self._on_stop = on_stop
        self._stopping = threading.Event()
        self._heard = threading.Event()
        self._wake = threading.Event()
        self._left = False
        self._thread = threading.Thread(target=self._watch, name="board", daemon=True)

    def __enter__(self) -> "BoardFollower":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left = True
        self._wake.set()
        self._thread.join()
        if self._store.storage is not None:  # trials whose end it did not hear do not run any more
            write_places(self._store.root, {})

    def stop(self) -> None:
        """Let the board ask all trials to stop; it has, unless it does not answer for long.

        May be called where a signal is handled: Ray itself is asked in the other thread.
        """
        self._stopping.set()
        self._wake.set()
        self._heard.wait(_ASK_S)

    def _watch(self) -> None:
        failing = False
        while not self._left:
            try:
                self._look()
                failing = False
            except Exception as error:  # it is started anew, or the view's disk is full for now
                if not failing:
                    logger.warning("the board does not answer: %s", error)
                failing = True
            self._wake.wait(_LOOK_EVERY_S)
            self._wake.clear()

    def _look(self) -> None:
        if self._stopping.is_set() and not self._heard.is_set():
            ray.get(self._board.stop.remote(), timeout=_ASK_S)
            self._heard.set()
        stopping, places = ray.get(self._board.seen.remote(), timeout=_ASK_S)
        if self._store.storage is not None:
            write_places(self._store.root, places)
        if self._stopping.is_set() and not stopping:  # one that was started anew
            self._board.stop.remote()
        if stopping and not self._stopping.is_set():
            self._stopping.set()
            self._heard.set()
            self._on_stop()
