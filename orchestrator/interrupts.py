"""Ctrl-C and SIGTERM that are not lost."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN_S = 2.0


@contextmanager
def sure_interrupts(first: Callable[[], None] | None = None) -> Iterator[None]:
    """Within the block both signals raise `KeyboardInterrupt` until it has left the block.

    With `first`, the first signal calls that in place of it, so that work can end in order; the
    next one raises. `KeyboardInterrupt` is raised at the block's end in any case.

    Python drops an exception that a signal raises inside a finalizer or a callback from C, and a
    process that runs Ray is often there: the signal is then sent again, every two seconds. Does
    nothing outside the main thread, where Python allows no signal handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ending, asked, left = threading.Event(), threading.Event(), threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if first is not None and not ending.is_set():
            ending.set()
            first()
            return
        asked.set()
        raise KeyboardInterrupt

    def insist() -> None:
        asked.wait()
        while not left.wait(_AGAIN_S):
            os.kill(os.getpid(), signal.SIGINT)

    before = {one: signal.signal(one, interrupt) for one in (signal.SIGINT, signal.SIGTERM)}
    threading.Thread(target=insist, name="interrupts", daemon=True).start()
    try:
        yield
        if asked.is_set() or ending.is_set():
            raise KeyboardInterrupt  # whatever caught it before
    finally:
        left.set()
        asked.set()  # lets the thread end
        for one, handler in before.items():
            signal.signal(one, handler)
