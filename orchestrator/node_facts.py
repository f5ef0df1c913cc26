"""What one machine of a cluster has, found on it: versions, GPUs, disk, storage, clock, watcher."""

import errno
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from datasets.cache import CacheMode, Room, room
from datasets.folder import as_folder
from datasets.manifest import Manifest
from orchestrator.hardware import gpu_driver
from trainers.backend import FRAMEWORKS, keras_backend, keras_environment

_CLOUDS = ("Amazon EC2", "Google", "Microsoft Corporation")
_PROBE_BYTES = 16 << 20
_FRAMEWORK_S = 120.0
_COUNT_GPUS = {
    "tensorflow": "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))",
    "jax": "import jax; print(sum(one.platform == 'gpu' for one in jax.local_devices()))",
}


@dataclass(frozen=True)
class WantedCache:
    """The cache that a run will make on each node."""

    manifest: Manifest
    image_size: int
    mode: CacheMode


@dataclass(frozen=True)
class Questions:
    """What to find out besides. `storage` is a run directory or address, None: not looked at."""

    cache_dir: Path
    cache: WantedCache | None = None
    """None: one that takes next to nothing."""
    storage: str | None = None
    shared_file: str | None = None
    """A file that the asker has put into the storage: a node that does not see it has another."""


@dataclass(frozen=True)
class Storage:
    """Storage as a node finds it; rates in bytes a second.

    `problem` is why it can't be used, and `way_out` what to do about it.
    """

    write_rate: float | None = None
    read_rate: float | None = None
    problem: str | None = None
    way_out: str = "give its machine the permission to read, write, list and delete there"


@dataclass(frozen=True)
class NodeFacts:
    """What a node said. `seen_gpus` is None where what Keras computes with could not be started."""

    host: str
    backend: str
    """What Keras computes with there, a key of `FRAMEWORKS`."""
    versions: dict[str, str]
    seen_gpus: int | None
    """GPUs that it sees."""
    driver: str | None
    cache: Room | str
    """On the disk of the cache; where it can't be made or written to, why."""
    watches: bool
    """A watcher of pre-emption notices runs."""
    cloud: str | None = None
    """Whose machine it is, as its firmware says: Amazon EC2, Google or Microsoft Corporation."""
    storage: Storage = field(default_factory=Storage)


def facts_here(questions: Questions) -> NodeFacts:
    """Find out about this machine. Takes seconds: TensorFlow or JAX is started beside it."""
    backend = keras_backend()
    return NodeFacts(
        host=socket.gethostname(),
        backend=backend,
        versions=_versions(backend),
        seen_gpus=_seen_gpus(backend),
        driver=gpu_driver(),
        cache=_cache_room(questions),
        watches=_watches(Path("/proc")),
        cloud=_cloud(Path("/sys/class/dmi/id/sys_vendor")),
        storage=Storage() if questions.storage is None else try_storage(questions),
    )


def _versions(backend: str) -> dict[str, str]:
    """Versions that a result or the exchange between nodes depends on."""
    found = {"python": platform.python_version()}
    computes = FRAMEWORKS[backend].packages
    for name in ("ray", *computes, "keras", "numpy", "pyarrow", "pydantic"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def _seen_gpus(backend: str) -> int | None:
    """In a process of its own: one that has seen GPUs keeps memory of theirs."""
    # Ray hides the GPUs from what asks for none.
    environment = {name: os.environ[name] for name in os.environ if name != "CUDA_VISIBLE_DEVICES"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _COUNT_GPUS[backend]],
            # JAX would take three quarters of each GPU, which others may be using.
            env=environment | keras_environment() | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
            capture_output=True,
            text=True,
            timeout=_FRAMEWORK_S,
            check=True,
        )
        return int(done.stdout.split()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def _cache_room(questions: Questions) -> Room | str:
    directory, wanted = questions.cache_dir, questions.cache
    # A question makes no folder: what can be said of one to come is true of where it will be made.
    place = next(path for path in (directory, *directory.parents) if os.path.exists(path))
    try:
        probe = place / f".write-{uuid.uuid4().hex}"
        probe.touch()
        probe.unlink()
        if wanted is None:
            return Room(shutil.disk_usage(place).free)
        return room(wanted.manifest, place, wanted.image_size, wanted.mode)
    except OSError as error:
        return f"{directory} ({error.strerror or error})"


def _watches(proc: Path) -> bool:
    for path in proc.glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        if b"watch-preemption" in words:
            return True
    return False


def _cloud(vendor_file: Path) -> str | None:
    try:
        vendor = vendor_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return vendor if vendor in _CLOUDS else None


def try_storage(questions: Questions) -> Storage:
    """Write a file of 16 MiB, read it, and remove it. The bytes can't be compressed."""
    place = str(questions.storage)
    content = os.urandom(_PROBE_BYTES)
    name = f".check-{uuid.uuid4().hex}"

    def put(path: Path) -> None:
        path.write_bytes(content)

    try:
        folder = as_folder(place)
        if questions.shared_file and not folder.has(questions.shared_file):
            return Storage(
                problem=f"{place} is another folder there, it must be a shared one",
                way_out="mount the shared one there, or name an s3:// or gs:// address",
            )
        begin = time.perf_counter()
        folder.write(name, put)
        try:
            written = time.perf_counter()
            same = folder.read(name) == content
            read = time.perf_counter()
        finally:
            folder.remove(name)
    except Exception as error:  # whatever its client raises, the user must hear of it
        problem = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Storage(problem=problem, way_out="free some room there, or name another")
        return Storage(problem=problem)
    if not same:
        return Storage(
            problem="it gives back other bytes than were written", way_out="name another"
        )
    return Storage(_PROBE_BYTES / (written - begin), _PROBE_BYTES / (read - written))
