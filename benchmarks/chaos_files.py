"""Files that `chaos_faults` changes, wherever they are; their storage may be away."""

from collections.abc import Callable
from typing import TypeVar

from datasets.folder import Folder, write_bytes
from trainers.checkpoint_writer import persist

T = TypeVar("T")
Change = Callable[[bytes], bytes | None]
"""From the content of a file to another; None removes it."""

_AWAY_S = 600.0


def asked(act: Callable[[], T]) -> T:
    """What `act` returns, once its storage answers."""
    return persist(act, "a fault", _AWAY_S, but=(FileNotFoundError,))


def change(folder: Folder, file: str, how: Change) -> None:
    """Change a file if it is there."""
    try:
        changed = how(asked(lambda: folder.read(file)))
    except FileNotFoundError:
        return
    if changed is None:
        asked(lambda: folder.remove(file))
    else:
        write(folder, file, changed)


def write(folder: Folder, file: str, data: bytes) -> None:
    """Let a file be these bytes."""
    asked(lambda: write_bytes(folder, file, data, anew=True))


def flipped(data: bytes) -> bytes:
    """The same with one bit turned over."""
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)
