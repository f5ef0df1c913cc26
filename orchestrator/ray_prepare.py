"""Shards written as Ray tasks, on all nodes of a cluster that see the same folders."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import ray

from datasets.errors import DataError
from datasets.shard_pool import Work
from datasets.shard_writer import ShardOutcome, ShardTask
from orchestrator.ray_run import ray_session

# A task holds the rows of a shard; more of them waiting would only take memory.
_TASKS_AHEAD = 2


@dataclass(frozen=True)
class OnRay:
    """Runs tasks on the Ray cluster at `address`; None: on this machine, as the tests do.

    A task whose node is lost is run again by Ray; it changes no byte of the result.
    """

    address: str | None

    def __call__(self, work: Work, tasks: Iterable[ShardTask]) -> Iterator[ShardOutcome]:
        """See `datasets.shard_pool.RunTasks`."""
        with ray_session(self.address):
            run = ray.remote(num_cpus=1, max_retries=-1)(_run)
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
        cause = error.as_instanceof_cause()
        if isinstance(cause, OSError | DataError):
            raise DataError(f"a node can't prepare its images: {cause}") from error
        raise
    return outcome
