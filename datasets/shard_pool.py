"""Shards written by several processes, or by something else that can run a function many times."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from datasets.errors import ConfigError, DataError
from datasets.folder import Folder
from datasets.journal import write_or_recall
from datasets.parallel import num_cores, ordered_map, process_pool
from datasets.shard_writer import ShardOutcome, ShardTask, StoredAs

Work = Callable[[ShardTask], ShardOutcome]

# Below it, starting processes takes longer than they save.
_WORTH_PROCESSES = 2000
# A task holds the rows of a shard; more of them waiting would only take memory.
_TASKS_AHEAD = 2


class RunTasks(Protocol):
    """Where tasks run. Their outcomes come in the order of the tasks."""

    def __call__(self, work: Work, tasks: Iterable[ShardTask]) -> Iterator[ShardOutcome]:
        """Yield `work(task)` of each task; `work` and tasks are picklable."""


@dataclass(frozen=True)
class OnThisMachine:
    """Runs tasks in `workers` processes; None: one for each core."""

    workers: int | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"workers {self.workers}: give at least 1")

    def __call__(self, work: Work, tasks: Iterable[ShardTask]) -> Iterator[ShardOutcome]:
        """See `RunTasks`. Raises `DataError` when a process is killed from outside."""
        workers = self.workers or num_cores()
        # Ctrl-C is for the main process: it lets shards that are being written end.
        pool = process_pool(workers)
        try:
            yield from ordered_map(work, tasks, pool, workers, ahead=_TASKS_AHEAD)
        except BrokenProcessPool as error:
            raise DataError(
                "a process that prepares images was killed, for want of memory perhaps: give the "
                "same command again, it goes on; --workers 1 takes the least memory"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def shard_outcomes(
    dest: Folder,
    tasks: Iterable[ShardTask],
    stored: StoredAs,
    *,
    total: int,
    run: RunTasks | None = None,
) -> Iterator[ShardOutcome]:
    """Write the shards of all tasks, or recall those that are done; in the order of the tasks.

    Few rows (`total`) are written by threads of this process unless `run` says otherwise.
    """
    if run is None and total < _WORTH_PROCESSES:
        for task in tasks:
            yield write_or_recall(dest, task, stored, num_cores())
        return
    work = partial(_work, dest, stored)
    yield from (run or OnThisMachine())(work, tasks)


def _work(dest: Folder, stored: StoredAs, task: ShardTask) -> ShardOutcome:
    return write_or_recall(dest, task, stored, threads=1)
