"""Work spread over threads or processes, its results in order, a bounded number ahead."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import connection, get_context, parent_process
from threading import Thread
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Enough that a slow item does not leave the other workers idle, few enough to hold in memory.
_AHEAD_PER_WORKER = 16


def num_cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def process_pool(workers: int) -> ProcessPoolExecutor:
    """Return a pool of new processes that leave Ctrl-C to this one and end when it is killed."""
    # Fork would copy the locks of whatever threads this process has.
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_worker)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A pool's process waits for work on a pipe of which it holds both ends: it would wait for ever.
    Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    pool: Executor,
    workers: int,
    *,
    ahead: int = _AHEAD_PER_WORKER,
) -> Iterator[Result]:
    """Yield `function(item)` in the order of `items`, at most `ahead` items per worker ahead."""
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= workers * ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
