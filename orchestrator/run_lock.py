"""One driver at a time works on a run."""

import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from datasets.errors import ConfigError
from datasets.folder import Folder, write_bytes
from orchestrator.run_store import RunStore, is_gone
from trainers.ownership import LOCK_FILE

DRIVER_FILE = "driver.json"

# A driver of a run in an object store writes its name again so often, and is held for dead when it
# has not for so long.
_BEAT_S = 10.0
_SILENCE_S = 45.0


def check_writable(store: RunStore) -> None:
    """Refuse a run directory that can't be made or written to."""
    name = f".write-{uuid.uuid4().hex}"
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        store.folder.write(name, Path.touch)
        store.folder.remove(name)
    except OSError as error:
        raise ConfigError(
            f"run directory {store.place} can't be written to ({error.strerror or error}); "
            "name another --run-dir"
        ) from error


@contextmanager
def run_lock(store: RunStore, console: Console) -> Iterator[None]:
    """Hold a run for this driver; a second one is refused and told who has it.

    The lock is the operating system's: it ends with its process, however that dies. Object stores
    have none, so for these this holds among the drivers of one machine; drivers of others know one
    another by a file that each writes again and again (`_beating`).
    """
    owner = store.root / f"{LOCK_FILE}-owner"
    lock = FileLock(store.root / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        holder = owner.read_text(encoding="utf-8").strip() if owner.is_file() else "another process"
        raise _in_use(store, holder) from None
    try:
        owner.write_text(f"{Driver.this().called}\n", encoding="utf-8")
        if store.storage is None:
            yield
        else:
            _wait_for_silence(store, store.storage, console)
            with _beating(store.storage, console):
                yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _in_use(store: RunStore, holder: str) -> ConfigError:
    return ConfigError(
        f"{store.place} is in use by {holder}; wait for it, or name another --run-dir"
    )


@dataclass(frozen=True)
class Driver:
    """Who drives a run. `beat` is another each time that it is written."""

    host: str
    pid: int
    beat: str

    @classmethod
    def this(cls) -> "Driver":
        """This process."""
        return cls(socket.gethostname(), os.getpid(), uuid.uuid4().hex)

    @property
    def called(self) -> str:
        """As people are told of it."""
        return f"process {self.pid} on {self.host}"

    @property
    def is_this(self) -> bool:
        """True for this process."""
        return (self.host, self.pid) == (socket.gethostname(), os.getpid())


def _wait_for_silence(store: RunStore, run: Folder, console: Console) -> None:
    """Refuse when another driver writes its name; one that does not for a while is dead."""
    first = _driver_in(run)
    if first is None or is_gone(first.host, first.pid):
        return
    console.print(
        f"{first.called} drove this run last: seeing whether it still does", highlight=False
    )
    end = time.monotonic() + _SILENCE_S
    while time.monotonic() < end:
        time.sleep(1)
        with suppress(OSError):  # the next look may be answered
            now = _driver_in(run)
            if now is None:
                return
            if now != first:
                raise _in_use(store, now.called)


def _driver_in(run: Folder) -> Driver | None:
    for _ in range(3):  # one that is replaced while it is read can be cut short
        try:
            return Driver(**json.loads(run.read(DRIVER_FILE)))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            continue
    return None


@contextmanager
def _beating(run: Folder, console: Console) -> Iterator[None]:
    """Write this driver's name again and again until the block ends.

    Should another stand there, this one was silent for too long and has lost the run: it stops.
    """
    ended = threading.Event()
    _write_name(run)

    def beat() -> None:
        while not ended.wait(_BEAT_S):
            # Storage that fails for a while: the next beat may get through.
            with suppress(OSError):
                other = _driver_in(run)
                if other is not None and not other.is_this:
                    console.print(f"{other.called} has taken this run over", style="bold red")
                    for _ in range(2):  # at once: its trials are the other's now
                        os.kill(os.getpid(), signal.SIGINT)
                    return
                _write_name(run)

    thread = threading.Thread(target=beat, name="driver", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with suppress(OSError):
            last = _driver_in(run)
            if last is not None and last.is_this:
                run.remove(DRIVER_FILE)


def _write_name(run: Folder) -> None:
    write_bytes(run, DRIVER_FILE, json.dumps(asdict(Driver.this())).encode())
