"""Ray Train's trainer without the helpers that a trial has no use for.

Each is an actor in a process of its own, which imports Ray Train first: 2.7 s of a core, for every
start of every trial, and a trial does not begin before they answer.
"""

from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.callback import RayTrainCallback
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

# Hands out Ray Data, which no trial reads; and removes what a dead controller had taken, which
# `ray_places` does for all trials, and without the dashboard.
_UNUSED = (DatasetsCallback, PlacementGroupCleanerCallback)


class LeanTrainer(DataParallelTrainer):  # type: ignore[misc]  # Ray's class has no types
    """A `DataParallelTrainer` of functions that read no Ray Data."""

    def _create_default_callbacks(self) -> list[RayTrainCallback]:
        """Ray 2.60 has no public way to choose them."""
        return [one for one in super()._create_default_callbacks() if not isinstance(one, _UNUSED)]
