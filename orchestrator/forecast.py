"""When a run will be over: from what its trials have measured, and from the plan for the rest."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.config import RunConfig
from orchestrator.plan import Resources, last_end, make_plan
from orchestrator.run_store import TrialRecord
from trainers.result import TrialState


def measured_rates(records: Sequence[TrialRecord], batch_size: int) -> dict[str, float]:
    """Images a second in training, by architecture: the median of its trials that have a rate."""
    found = defaultdict(list)
    for record in records:
        if record.result and record.result.train_images_per_s:
            found[record.architecture].append(record.result.train_images_per_s)
        elif record.progress and record.progress.steps_per_s:
            found[record.architecture].append(record.progress.steps_per_s * batch_size)
    return {name: statistics.median(rates) for name, rates in found.items()}


@dataclass(frozen=True)
class Forecast:
    """Tells how long a run still takes. `rows` are the images of each split."""

    config: RunConfig
    rows: Mapping[str, int]
    resources: Resources

    def seconds_left(self, records: Sequence[TrialRecord]) -> float | None:
        """Until the last trial ends; None while nothing tells how fast the trials are.

        `records` are all of the run, in the order in which they start.
        """
        rates = measured_rates(records, self.config.recipe.batch_size)
        plan = make_plan(self.config, self.rows, self.resources, rates)
        hours = {trial.name: trial.hours for trial in plan.trials}
        running = [one for one in records if one.state is TrialState.RUNNING]
        places = max(self.resources.concurrent, len(running))
        free_at = [0.0] * places
        for at, record in enumerate(running):
            left = record.progress.seconds_left if record.progress else None
            whole = hours[record.name]
            if left is None and whole is None:
                return None
            free_at[at] = left if left is not None else 3600 * (whole or 0.0)
        waiting = [hours[one.name] for one in records if one.state is TrialState.PENDING]
        return last_end([None if one is None else 3600 * one for one in waiting], free_at)
