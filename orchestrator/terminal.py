"""Standard output, and what becomes of a command whose reader goes, as with `| head`."""

import os
import select
import sys
from contextlib import suppress

from rich.console import Console


class ReaderGoneError(BrokenPipeError):
    """Nobody reads standard output any more: there is nothing left to do."""


class Terminal(Console):
    """Rich's console. Where its reader goes, `ReaderGoneError` is raised, once.

    With `lasting` all goes on instead, in silence: a run is not for its output.
    """

    def __init__(self, *, width: int | None = None, lasting: bool = False) -> None:
        super().__init__(width=width)
        self._lasting = lasting

    def on_broken_pipe(self) -> None:
        """What rich calls then; its own exits with 1, which is that of a failed trial."""
        self.quiet = True
        drop_output()
        if not self._lasting:
            raise ReaderGoneError


def reader_is_gone() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    with suppress(AttributeError, OSError, ValueError):  # it is closed, or no file
        asked = select.poll()
        asked.register(sys.stdout.fileno(), 0)  # An error is told whatever is asked for.
        return any(found & select.POLLERR for _, found in asked.poll(0))
    return False


def drop_output() -> None:
    """Let what is still to be printed go nowhere; Python would complain of it at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
