"""The plan of a run: its trials, longest first, with what they should take."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.config import EstimateSection, RunConfig
from orchestrator.run_store import trial_name
from trainers.architectures import Architecture, architecture
from trainers.recipe import Recipe

# One multiply-add is two operations; a training step is a forward pass and a backward pass of
# twice its cost (Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 2.1).
_FLOPS_PER_MAC = 2
_TRAIN_PASSES = 3
_TABLE_SIZE = 224


@dataclass(frozen=True)
class Node:
    """What one machine has for trials."""

    cpus: int
    gpus: int
    gpu_memory: int | None = None
    """Bytes of its smallest GPU, where they were asked for and are known."""

    def places(self, cpus: int, gpus: float) -> int:
        """Trials of so many CPUs and GPUs that fit at once; several share a GPU only whole."""
        by_cpu = self.cpus // cpus
        if not gpus:
            return by_cpu
        by_gpu = self.gpus * int(1 / gpus) if gpus < 1 else self.gpus // int(gpus)
        return min(by_cpu, by_gpu)


@dataclass(frozen=True)
class Resources:
    """What one trial gets, and how many run at once.

    `full` says that no further trial would fit. One more can then be started early: it waits for
    the first free place with all its processes up.

    Where GPUs are shared by memory, `shares` are the parts of a GPU by architecture and `gpus` is
    what one may get at most; `concurrent` is how many of the smallest fit, `slots` of the largest.
    """

    cpus: int
    gpus: float
    concurrent: int
    full: bool = False
    shares: Mapping[str, float] = field(default_factory=dict)
    whole: int | None = None

    def gpus_of(self, architecture: str) -> float:
        """GPUs of a trial of an architecture."""
        return self.shares.get(architecture, self.gpus)

    @property
    def slots(self) -> int:
        """Trials that train at once for certain, each as fast as an estimate says."""
        return self.concurrent if self.whole is None else self.whole


@dataclass(frozen=True)
class PlannedTrial:
    """One trial with its estimated work. `hours` and `cost` are None where the rate is unknown."""

    name: str
    architecture: str
    seed: int
    gflop: float
    hours: float | None
    cost: float | None


@dataclass(frozen=True)
class Plan:
    """Trials in the order in which they start."""

    trials: tuple[PlannedTrial, ...]
    resources: Resources
    measured: int = 0
    """Architectures whose rate the run has measured."""

    @property
    def hours(self) -> float | None:
        """Estimated wall-clock hours with `resources.slots` trials at once."""
        return last_end([trial.hours for trial in self.trials], [0.0] * self.resources.slots)

    @property
    def cost(self) -> float | None:
        """Estimated sum of all trials' prices."""
        costs = [trial.cost for trial in self.trials]
        return None if any(cost is None for cost in costs) else sum(cost or 0 for cost in costs)


def last_end(durations: Sequence[float | None], free_at: Sequence[float]) -> float | None:
    """When the last of trials ends that start in their order, each where a place falls free first.

    `free_at` is when each place is free. None where a duration is unknown.
    """
    ends = list(free_at)
    for duration in durations:
        if duration is None:
            return None
        ends[ends.index(min(ends))] += duration
    return max(ends)


def training_gflop(row: Architecture, recipe: Recipe, train: int, validation: int) -> float:
    """Work of a trial in 1e9 operations: training passes and one evaluation each epoch.

    What is held out of training is evaluated too.

    Multiply-adds of a convolutional network grow with the image's area.
    """
    held_out = recipe.selection_fraction * train
    images = _TRAIN_PASSES * (train - held_out) + held_out + validation
    return _forward_gflop(row, recipe) * recipe.epochs * images


def _forward_gflop(row: Architecture, recipe: Recipe) -> float:
    return row.gmacs_224 * _FLOPS_PER_MAC * (recipe.image_size / _TABLE_SIZE) ** 2


def make_plan(
    config: RunConfig,
    rows: Mapping[str, int],
    resources: Resources,
    images_per_s: Mapping[str, float] | None = None,
) -> Plan:
    """Plan a run, longest trial first, so that none is left to the end.

    `rows` are the images of each split. `images_per_s` are rates of training that this run has
    measured, by architecture: they take the place of the configured estimate, and their median, in
    operations a second, that of the architectures not measured.
    """
    rates = _gflops(config.recipe, images_per_s or {})
    usual = statistics.median(rates.values()) if rates else _assumed(config.estimate, resources)
    trials = []
    for name in config.architectures:
        row = architecture(name)
        gflop = training_gflop(row, config.recipe, rows["train"], rows["validation"])
        rate = rates.get(name, usual)
        hours = None if rate is None else (row.setup_s + gflop / rate) / 3600
        price = config.estimate.price_per_hour
        cost = hours * price if hours is not None and price is not None else None
        trials += [
            PlannedTrial(trial_name(name, seed), name, seed, gflop, hours, cost)
            for seed in config.seeds
        ]
    order = _measured_seconds if rates else _seconds_on_one_core
    ordered = sorted(trials, key=lambda trial: (-order(trial), trial.name))
    return Plan(tuple(ordered), resources, len(rates))


def _gflops(recipe: Recipe, images_per_s: Mapping[str, float]) -> dict[str, float]:
    """Rates of training in 1e9 operations a second."""
    return {
        name: rate * _TRAIN_PASSES * _forward_gflop(architecture(name), recipe)
        for name, rate in images_per_s.items()
        if rate > 0
    }


def _assumed(estimate: EstimateSection, resources: Resources) -> float | None:
    return estimate.gpu_gflops if resources.gpus else estimate.cpu_gflops * resources.cpus


def _measured_seconds(trial: PlannedTrial) -> float:
    return 3600 * (trial.hours or 0.0)


def _seconds_on_one_core(trial: PlannedTrial) -> float:
    """Order by time on a reference core: short runs are mostly building and tracing."""
    reference = EstimateSection.model_fields["cpu_gflops"].default
    return architecture(trial.architecture).setup_s + trial.gflop / float(reference)
