"""Ray Train's trainer, with fewer processes to start before a trial can train.

Each process of Ray's imports Ray Train first: two to three processor seconds, which a trial waits
for. Two helpers that no trial has a use for are left out. The controller is kept for the next
attempt, and for the next trial of the same driver.
"""

from typing import Any

import ray
import ray.train
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

# Hands out Ray Data, which no trial reads; and removes what a dead controller had taken, which
# `ray_places` does for all trials, and without the dashboard.
LEFT_OUT = frozenset({"DatasetsCallback", "PlacementGroupCleanerCallback"})


class KeptTrainController(TrainController):  # type: ignore[misc]  # Ray's class has no types
    """A controller that controls one run after the other."""

    def __init__(self) -> None:
        """Begin without a run; `control` sets each one up."""

    async def control(self, of_the_run: dict[str, Any]) -> tuple[ray.train.Result, bool]:
        """See a run through: its result, which may be an error, and whether nothing else is left.

        Raises what keeps the run from being set up: the storage is asked for its checkpoints.
        """
        super().__init__(**of_the_run)
        await self.run()
        return self.get_result(), self.get_worker_group() is None


class LeanTrainer(DataParallelTrainer):  # type: ignore[misc]
    """A `DataParallelTrainer` of functions that read no Ray Data. One at a time in a process."""

    _kept: Any = None
    """This process' controller, a handle; it ends with the process."""

    def _initialize_and_run_controller(self, **of_the_run: Any) -> ray.train.Result:
        """Ray 2.60 has no public way to choose the helpers, or who controls a run."""
        of_the_run["callbacks"] = lean(of_the_run["callbacks"])
        controller, LeanTrainer._kept = LeanTrainer._kept or _started(), None
        try:
            result, is_clean = ray.get(controller.control.remote(of_the_run))
        except ray.exceptions.RayTaskError as error:
            ray.kill(controller)
            raise ray.train.ControllerError(error.cause) from error
        # What is left of a run goes with its controller: workers, and places (`ray_places`).
        if is_clean and not isinstance(result.error, ray.train.ControllerError):
            LeanTrainer._kept = controller
        else:
            ray.kill(controller)
        return result


def lean(callbacks: list[Any]) -> list[Any]:
    """A run's helpers, but for those that no trial has a use for."""
    return [one for one in callbacks if type(one).__name__ not in LEFT_OUT]


def _started() -> Any:
    """A controller in a process of its own on this machine."""
    here = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
    return ray.remote(num_cpus=0, label_selector=here)(KeptTrainController).remote()
