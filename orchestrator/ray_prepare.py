"""Shards written as Ray tasks, on all nodes of a cluster that see the same folders."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import ray

from datasets.errors import DataError
from datasets.shard_pool import Work
from datasets.shard_writer import ShardOutcome, ShardTask
from orchestrator.interrupts import sure_interrupts
from orchestrator.ray_run import ray_session

# A task holds the rows of a shard; more of them waiting would only take memory.
_TASKS_AHEAD = 2
_RETRIES = 5


@dataclass(frozen=True)
class OnRay:
    """Runs tasks on the Ray cluster at `address`; None: on this machine, as the tests do.

    A task whose node is lost is run again; it changes no byte of the result. A task that has lost
    its process or node too often is an error: its images may be what kills it.
    """

    address: str | None

    def __call__(self, work: Work, tasks: Iterable[ShardTask]) -> Iterator[ShardOutcome]:
        """See `datasets.shard_pool.RunTasks`."""
        with sure_interrupts(), ray_session(self.address):
            run = ray.remote(num_cpus=1, max_retries=_RETRIES)(_run)
            most = max(1, int(ray.cluster_resources().get("CPU", 1))) * _TASKS_AHEAD
            shared = ray.put(work)
            waiting: deque[ray.ObjectRef] = deque()
            for task in tasks:
                waiting.append(run.remote(shared, task))
                if len(waiting) >= most:
                    yield _outcome(waiting.popleft())
            while waiting:
                yield _outcome(waiting.popleft())


def _run(work: Work, task: ShardTask) -> ShardOutcome:
    return work(task)


def _outcome(reference: "ray.ObjectRef") -> ShardOutcome:
    try:
        outcome: ShardOutcome = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, OSError | DataError):
            raise DataError(f"a node can't prepare its images: {error.cause}") from error
        raise
    except ray.exceptions.RayError as error:
        raise DataError(
            f"Ray lost a shard {_RETRIES + 1} times ({str(error).splitlines()[0]}): see whether "
            "its nodes have memory left, then give the same command again, it goes on"
        ) from error
    return outcome
