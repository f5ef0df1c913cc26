"""Ray Train's trainer without the helpers that a trial has no use for.

Each is an actor in a process of its own, which imports Ray Train first: two more processes and 4.6
processor seconds for every start of every trial, which does not begin before they answer.
"""

from typing import Any

from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

# Hands out Ray Data, which no trial reads; and removes what a dead controller had taken, which
# `ray_places` does for all trials, and without the dashboard.
LEFT_OUT = frozenset({"DatasetsCallback", "PlacementGroupCleanerCallback"})


class LeanTrainer(DataParallelTrainer):  # type: ignore[misc]  # Ray's class has no types
    """A `DataParallelTrainer` of functions that read no Ray Data."""

    def _create_default_callbacks(self) -> list[Any]:
        """Ray 2.60 has no public way to choose them."""
        return [
            one for one in super()._create_default_callbacks() if type(one).__name__ not in LEFT_OUT
        ]
