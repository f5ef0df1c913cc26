"""Ends a process whose trial hangs, so that it can be started again.

A step can hang where no exception comes: in a driver of a GPU, in a file system that is gone. Ray
only asks whether the process answers, which it does, from another thread.
"""

import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

HUNG_EXIT_CODE = 86
_REPORT_S = 30.0


class Watchdog:
    """Calls `on_hang` and ends the process when `beat` is not called for `limit_s` seconds.

    It watches from the first beat on. A machine that slept has not hung: the clock that is read
    here stood still with it.
    """

    def __init__(self, limit_s: float, on_hang: Callable[[], None]) -> None:
        self._limit_s = limit_s
        self._on_hang = on_hang
        self._beat_at: float | None = None
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    def beat(self) -> None:
        """The trial got on."""
        self._beat_at = time.monotonic()

    def _watch(self) -> None:
        while not self._left.wait(min(1.0, self._limit_s / 4)):
            beat_at = self._beat_at
            if beat_at is not None and time.monotonic() - beat_at > self._limit_s:
                self._end()

    def _end(self) -> None:
        # What follows may hang too: it goes to the same storage.
        last = threading.Timer(_REPORT_S, os._exit, (HUNG_EXIT_CODE,))
        last.daemon = True
        last.start()
        logger.error("no step was finished for %.0f s: this process ends", self._limit_s)
        faulthandler.dump_traceback(sys.stderr)
        try:
            self._on_hang()
        finally:
            os._exit(HUNG_EXIT_CODE)
