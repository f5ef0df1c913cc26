"""Cores of a trial that trains on the CPU.

TensorFlow hands each operation to a thread that sleeps in between. Where trials train side by side,
the scheduler wakes these threads on whatever core seems free, and they take each other's caches:
two ResNet152 on two cores need 1.31 s a step, and 1.01 s when each keeps to a core of its own.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def own_cores(count: int, locks: Path | None = None) -> Iterator[frozenset[int]]:
    """Keep this thread, and those that it starts, to `count` cores that no other trial has.

    Yields the cores, or none where the system can't do it or fewer are free: then nothing changes.
    A core is taken by an operating system's lock in `locks`, which ends with the process.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield frozenset()
        return
    allowed = os.sched_getaffinity(0)
    with ExitStack() as held:
        try:
            cores = _claim(count, allowed, locks or _default_locks(), held)
        except OSError:  # No folder for locks: a trial does without cores of its own.
            cores = frozenset()
        if cores:
            os.sched_setaffinity(0, cores)
            held.callback(os.sched_setaffinity, 0, allowed)
        yield cores


def _claim(count: int, allowed: set[int], locks: Path, held: ExitStack) -> frozenset[int]:
    """Lock `count` of the allowed cores, or none of them."""
    locks.mkdir(parents=True, exist_ok=True)
    cores: set[int] = set()
    with ExitStack() as taken:
        for core in sorted(allowed):
            try:
                taken.enter_context(FileLock(locks / f"{core}.lock", timeout=0).acquire())
            except Timeout:
                continue
            cores.add(core)
            if len(cores) == count:
                held.push(taken.pop_all())
                return frozenset(cores)
    return frozenset()


def _default_locks() -> Path:
    return Path(tempfile.gettempdir()) / f"fer-orch-cores-{os.getuid()}"
