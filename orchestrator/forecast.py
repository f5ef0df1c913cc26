"""When a run will be over: from what its trials have measured, and from the plan for the rest."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence

from orchestrator.config import RunConfig
from orchestrator.plan import PlannedTrial, Resources, Stay, make_plan
from orchestrator.run_store import TrialRecord
from trainers.checkpoint import Position
from trainers.entries import attempts_of, entries_in
from trainers.result import TrialResult, TrialState


def measured_rates(
    records: Sequence[TrialRecord], batch_size: int, resources: Resources
) -> dict[str, float]:
    """Images a second in training, by architecture, of trials with what `resources` give.

    The median of its finished trials; where there is none, of those that run. Where GPUs are shared
    it is the rate on a share, whatever else was on the GPU; a share is taken to be as large as it
    was then.
    """
    finished, running = defaultdict(list), defaultdict(list)
    for record in records:
        if not _on_such_gpus(record, resources):
            continue
        if record.result and record.result.train_images_per_s:
            if _had(record.result, resources):
                finished[record.architecture].append(record.result.train_images_per_s)
        elif record.state is TrialState.RUNNING and record.progress and record.progress.steps_per_s:
            running[record.architecture].append(record.progress.steps_per_s * batch_size)
    return {name: statistics.median(rates) for name, rates in (running | finished).items()}


def _had(result: TrialResult, resources: Resources) -> bool:
    """Whether a trial was trained on a GPU as these are, or on as many threads of CPUs."""
    on_gpu = result.gpu_peak_memory_mb is not None
    return on_gpu == bool(resources.gpus) and (on_gpu or result.threads == resources.cpus)


def _on_such_gpus(record: TrialRecord, resources: Resources) -> bool:
    """Whether a trial was on shared GPUs only, or on whole ones only, as it would be now."""
    if not resources.gpus:
        return True
    shared = 0 < resources.gpus_of(record.architecture) < 1
    attempts = attempts_of(entries_in(record.directory))
    return all(attempt.shared_gpu == shared for attempt, _ in attempts)


class Forecast:
    """Tells how long a run still takes, or a stage of it that ends at `until_epoch`.

    `rows` are the images of each split; `order` are the names of the trials that are to do, as they
    start, where that is known. A trial that had to leave a shared GPU is counted as if it had its
    share still. It keeps the last rate of each architecture: a trial that evaluates or compiles
    tells none.
    """

    def __init__(
        self,
        config: RunConfig,
        rows: Mapping[str, int],
        resources: Resources,
        until_epoch: int | None = None,
        order: Sequence[str] = (),
    ) -> None:
        self._config = config
        self._rows = rows
        self._resources = resources
        self._until = until_epoch or config.recipe.epochs
        self._order = {name: place for place, name in enumerate(order)}
        self._rates: dict[str, float] = {}

    def seconds_left(self, records: Sequence[TrialRecord]) -> float | None:
        """Until the last of the run's trials ends; None while nothing tells how fast they are."""
        self._rates |= measured_rates(records, self._config.recipe.batch_size, self._resources)
        # Only the lengths are wanted: the run has its order, and to search one takes time.
        plan = make_plan(self._config, self._rows, self._resources, self._rates, begun=True)
        states = {record.name: record for record in records}
        left: dict[TrialState, list[Stay]] = defaultdict(list)
        # In the order in which those start that wait.
        for trial in sorted(plan.trials, key=lambda one: self._order.get(one.name, 0)):
            if record := states.get(trial.name):
                stay = Stay(self._trial_s(trial, record), trial.share)
                left[record.state].append(stay)
        return self._resources.last_end(left[TrialState.RUNNING], left[TrialState.PENDING])

    def _trial_s(self, trial: PlannedTrial, record: TrialRecord) -> float | None:
        """What a trial that is not over still takes."""
        if trial.hours is None:
            return None
        to_do = (self._until - self._epochs_done(record)) / self._config.recipe.epochs
        return 3600 * trial.hours * max(0.0, to_do)

    def _epochs_done(self, record: TrialRecord) -> float:
        now = record.progress
        position = max(record.reached, Position(now.epoch, now.step) if now else Position())
        steps = -(-self._rows["train"] // self._config.recipe.batch_size)
        return position.epoch + min(1.0, position.step / max(1, steps))
