"""A trial's side of the board: it tells where it is, and hears whether the run is to stop."""

import logging
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray

logger = logging.getLogger(__name__)

_TELL_EVERY_S = 1.0

# How long one answer is waited for where nothing else can be done meanwhile.
_ASK_S = 10.0

# A question for the stop is asked anew so often: a network can lose an answer without a word.
_HEAR_S = 60.0


class BoardLink:
    """Tells a board what stands in a file of an attempt, once a second, and hears of a stop.

    All in a thread: a board that does not answer must not keep the training waiting.
    """

    def __init__(self, board: Any, trial: str, attempt: int, progress: Path) -> None:
        self._board = board
        self._trial = trial
        self._attempt = attempt
        self._progress = progress
        self._asked: Any = None
        self._told: Any = None
        self._stopping = threading.Event()
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="board", daemon=True).start()

    def stop_requested(self) -> bool:
        """True once the run is to stop; False while the board does not answer."""
        return self._stopping.is_set()

    def ask(self) -> bool:
        """Whether the run is to stop, from the board itself; False where it does not answer."""
        with suppress(ray.exceptions.RayError):
            if ray.get(self._board.stopping.remote(0.0), timeout=_ASK_S):
                self._stopping.set()
        return self._stopping.is_set()

    def close(self) -> None:
        """Tell and hear no more."""
        self._closed.set()

    def _watch(self) -> None:
        failing = False
        while not self._closed.is_set() and not self._stopping.is_set():
            try:
                self._tell()
                self._hear()
                failing = False
            except Exception:  # the board is gone; if the head is, Ray itself ends the trial
                if not failing:
                    logger.warning("the board does not answer", exc_info=True)
                failing = True
                time.sleep(_TELL_EVERY_S)
        while not self._closed.wait(_TELL_EVERY_S):  # it stops, which may take a while
            with suppress(Exception):
                self._tell()

    def _hear(self) -> None:
        """Wait for the word to stop, a second at most."""
        if self._asked is None:
            self._asked = self._board.stopping.remote(_HEAR_S)
        if ray.wait([self._asked], timeout=_TELL_EVERY_S)[0]:
            asked, self._asked = self._asked, None
            if ray.get(asked):
                self._stopping.set()

    def _tell(self) -> None:
        """Tell where the trial is, unless what was told before has not arrived yet."""
        if self._told is not None:
            if not ray.wait([self._told], timeout=0)[0]:
                return
            told, self._told = self._told, None
            ray.get(told)
        with suppress(FileNotFoundError):  # none yet, or no more
            progress = self._progress.read_text(encoding="utf-8")
            self._told = self._board.tell.remote(self._trial, self._attempt, progress)
