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
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from datasets.errors import ConfigError
from datasets.files import write_text
from datasets.folder import Folder, write_bytes
from orchestrator.processes import is_gone
from orchestrator.run_store import RunStore
from orchestrator.run_view import DRIVER_FILE, Notes, driver_notes, driver_says
from trainers.ownership import LOCK_FILE

OWNER_FILE = f"{LOCK_FILE}-owner"
"""Beside the lock: who has it."""

# A driver of a run in an object store writes its name again so often.
_BEAT_S = 10.0

SILENCE_S = 45.0
"""When it has not for so long, it is held for dead."""

# After so many, a driver that began in the same moment has been seen. Each look is two requests.
_FIRST_BEATS = 3
_LOOK_EACH = 6


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
def run_lock(store: RunStore, console: Console, address: str = "") -> Iterator[Notes]:
    """Hold a run for this driver; a second one is refused and told who has it.

    `address` is that of the cluster that the driver uses, if any: `fer-orch stop` finds it so. What
    the driver before, if that was killed, had noted of each trial of a stored run is given.

    The lock is the operating system's: it ends with its process, however that dies. Object stores
    have none, so for these this holds among the drivers of one machine; drivers of others know one
    another by a file that each writes again and again (`_beating`).
    """
    owner = store.root / OWNER_FILE
    lock = FileLock(store.root / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        holder = driver_here(store)
        raise _in_use(store, holder.called if holder else "another process") from None
    driver = Driver.this(address)
    try:
        write_text(owner, json.dumps(asdict(driver)) + "\n")
        if store.storage is None:
            yield {}
        else:
            _wait_for_silence(store, store.storage, console)
            notes = driver_says(store.storage) or {}
            with _beating(store, store.storage, driver, console):
                yield notes
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def driver_of(store: RunStore) -> "Driver | None":
    """Who drives a run, as far as can be seen from this machine; None where nobody does.

    Of a run in an object store it may be one that was killed on another machine.
    """
    if _is_held(store):
        return driver_here(store)
    if store.storage is None:
        return None
    driver = _driver_in(store.storage)
    return None if driver is None or driver.host == socket.gethostname() else driver


def driver_here(store: RunStore) -> "Driver | None":
    """Who has noted itself beside the lock of the run's directory, or of this machine's view."""
    try:
        return Driver.parse((store.root / OWNER_FILE).read_bytes())
    except OSError:
        return None


def _is_held(store: RunStore) -> bool:
    if not (store.root / LOCK_FILE).exists():
        return False
    lock = FileLock(store.root / LOCK_FILE)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False


def _in_use(store: RunStore, holder: str) -> ConfigError:
    return ConfigError(
        f"{store.place} is in use by {holder}; wait for it, or name another --run-dir"
    )


@dataclass(frozen=True)
class Driver:
    """Who drives a run, on the cluster at `address` if there is one.

    `beat` is another each time that it is written.
    """

    host: str
    pid: int
    beat: str
    address: str = ""

    @classmethod
    def this(cls, address: str = "") -> "Driver":
        """This process."""
        return cls(socket.gethostname(), os.getpid(), uuid.uuid4().hex, address)

    @classmethod
    def parse(cls, content: bytes) -> "Driver | None":
        """The driver that a file tells of; None where it can't be read."""
        try:
            told = json.loads(content)
            return cls(told["host"], told["pid"], told["beat"], told.get("address", ""))
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    @property
    def called(self) -> str:
        """As people are told of it."""
        return f"process {self.pid} on {self.host}"

    @property
    def is_this(self) -> bool:
        """True for this process."""
        return (self.host, self.pid) == (socket.gethostname(), os.getpid())

    def is_same(self, other: "Driver") -> bool:
        """True for one process, whatever its beat."""
        return (self.host, self.pid) == (other.host, other.pid)


def _wait_for_silence(store: RunStore, run: Folder, console: Console) -> None:
    """Refuse when another driver writes its name; one that does not for a while is dead."""
    first = _driver_in(run)
    if first is None or is_gone(first.host, first.pid):
        return
    console.print(
        f"{first.called} drove this run last: seeing whether it still does", highlight=False
    )
    end = time.monotonic() + SILENCE_S
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
            content = run.read(DRIVER_FILE)
        except FileNotFoundError:
            return None
        if driver := Driver.parse(content):
            return driver
    return None


@contextmanager
def _beating(store: RunStore, run: Folder, driver: Driver, console: Console) -> Iterator[None]:
    """Write this driver's name, and where its trials are, again and again until the block ends.

    Should another stand there, this one was silent for too long, or began in the same moment, and
    has lost the run: it stops. It looks where that can be, and now and then: a machine that was
    suspended does not know how long it was silent.
    """
    ended = threading.Event()
    _write_name(store, run, driver)

    def beat() -> None:
        written, beats = time.time(), 0
        while not ended.wait(_BEAT_S):
            beats += 1
            # Storage that fails for a while: the next beat may get through.
            with suppress(OSError):
                other = _driver_in(run) if _looks(beats, time.time() - written) else None
                if other is not None and not other.is_this:
                    console.print(f"{other.called} has taken this run over", style="bold red")
                    for _ in range(2):  # at once: its trials are the other's now
                        os.kill(os.getpid(), signal.SIGINT)
                    return
                _write_name(store, run, driver)
                written = time.time()

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


def _looks(beats: int, silent_s: float) -> bool:
    """Whether another may stand there by now; `silent_s` is below 0 where a clock was set back."""
    is_on_time = 0 <= silent_s <= SILENCE_S / 2
    return not is_on_time or beats <= _FIRST_BEATS or beats % _LOOK_EACH == 0


def _write_name(store: RunStore, run: Folder, driver: Driver) -> None:
    notes = asdict(replace(driver, beat=uuid.uuid4().hex)) | {"trials": driver_notes(store.root)}
    write_bytes(run, DRIVER_FILE, json.dumps(notes).encode(), anew=True)
