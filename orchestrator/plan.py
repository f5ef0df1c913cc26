"""The plan of a run: its trials in the order of their start, with what they should take."""

import heapq
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.run_store import trial_name
from orchestrator.schedule import start_order
from trainers.architectures import Architecture, architecture
from trainers.recipe import Recipe

if TYPE_CHECKING:  # the trials' drivers need a plan's resources alone
    from orchestrator.config import EstimateSection, RunConfig

# One multiply-add is two operations; a training step is a forward pass and a backward pass of
# twice its cost (Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 2.1).
_FLOPS_PER_MAC = 2
_TRAIN_PASSES = 3
_TABLE_SIZE = 224
_ROUNDING = 1e-9  # of shares that are added up


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


class Stay(NamedTuple):
    """How long a trial has its place; `share` is its part of a GPU where GPUs are shared."""

    time: float | None
    """None where unknown; all stays of a plan are in one unit."""
    share: float = 1.0


@dataclass(frozen=True)
class Sharing:
    """Places where GPUs are shared by memory.

    `shares` are the parts of a GPU by architecture. `whole` trials would fit with a GPU each, of
    the smallest ones `concurrent`.
    """

    shares: Mapping[str, float]
    whole: int
    concurrent: int

    def last_end(self, running: Sequence[Stay], waiting: Sequence[Stay]) -> float | None:
        """When the last trial ends, from now; None where a stay is unknown.

        Assumed: `whole` GPUs with CPUs enough beside them, each trial with the share of its
        architecture on the first GPU that has room, and none that overtakes another.
        """
        free = [1.0] * self.whole
        ends: list[tuple[float, int, float]] = []  # when, on which GPU, which part of it
        now = last = 0.0
        for number, (time, share) in enumerate([*running, *waiting]):
            if time is None:
                return None
            waits = number >= len(running)
            while waits and (len(ends) >= self.concurrent or max(free) < share - _ROUNDING):
                now, gpu, part = heapq.heappop(ends)
                free[gpu] += part
            # What runs has its place already, wherever that may be.
            fitting = [gpu for gpu, room in enumerate(free) if room >= share - _ROUNDING]
            gpu = fitting[0] if fitting else free.index(max(free))
            free[gpu] -= share
            heapq.heappush(ends, (now + time, gpu, share))
            last = max(last, now + time)
        return last


@dataclass(frozen=True)
class Resources:
    """What one trial gets, and how many run at once.

    `full` says that no further trial would fit. One more can then be started early: it waits for
    the first free place with all its processes up.

    With `sharing` `gpus` is what a trial may get at most, and `concurrent` is how many of the
    smallest fit. `sharing_note` says why GPUs are not shared although that was asked for.
    """

    cpus: int
    gpus: float
    concurrent: int
    full: bool = False
    sharing: Sharing | None = None
    sharing_note: str = ""

    @property
    def shares(self) -> Mapping[str, float]:
        """Parts of a GPU by architecture, where GPUs are shared by memory; else empty."""
        return {} if self.sharing is None else self.sharing.shares

    def gpus_of(self, architecture: str) -> float:
        """GPUs of a trial of an architecture."""
        return self.shares.get(architecture, self.gpus)

    @property
    def slots(self) -> int:
        """Trials that train at once for certain, each as fast as an estimate says."""
        return self.concurrent if self.sharing is None else self.sharing.whole

    def last_end(self, running: Sequence[Stay], waiting: Sequence[Stay]) -> float | None:
        """When the last trial ends, from now, where `waiting` start in their order.

        Each takes the place that falls free first. None where a stay is unknown.
        """
        if self.sharing is not None:
            return self.sharing.last_end(running, waiting)
        if any(stay.time is None for stay in running):
            return None
        free_at = [stay.time or 0.0 for stay in running]
        free_at += [0.0] * (self.slots - len(free_at))
        return last_end([stay.time for stay in waiting], free_at)


@dataclass(frozen=True)
class PlannedTrial:
    """One trial with its estimated work. `hours` and `cost` are None where the rate is unknown.

    Where GPUs are shared, `share` is the part of one on which it takes these hours.
    """

    name: str
    architecture: str
    seed: int
    gflop: float
    hours: float | None
    cost: float | None
    share: float = 1.0


@dataclass(frozen=True)
class Plan:
    """Trials in the order in which they start."""

    trials: tuple[PlannedTrial, ...]
    resources: Resources
    measured: int = 0
    """Architectures whose rate the run has measured."""

    @property
    def hours(self) -> float | None:
        """Estimated wall-clock hours from nothing begun to the last trial's end."""
        stays = [Stay(trial.hours, trial.share) for trial in self.trials]
        return self.resources.last_end([], stays)

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
    config: "RunConfig",
    rows: Mapping[str, int],
    resources: Resources,
    images_per_s: Mapping[str, float] | None = None,
    *,
    only: Collection[str] | None = None,
    begun: bool = False,
) -> Plan:
    """Plan a run, longest trial first, so that none is left to the end.

    Where all lengths are measured and no GPU is shared they start in the order of
    `schedule.start_order`, which may end earlier. `rows` are the images of each split; `only` are
    the names of the trials to plan, None for all. `begun` says that some of these have trained
    already, so that less is left of them than their length.

    `images_per_s` are rates of training that this run has measured, by architecture: they take the
    place of the configured estimate, and their median, in operations a second, that of the
    architectures not measured.

    Where GPUs are shared, the configured estimate is of a trial alone on a GPU, and the plan has
    one on each. Rates are of trials on their shares: these are planned there, at their share of the
    price, and a GPU does as many operations for an architecture that was not measured.
    """
    rates = _gflops(config.recipe, images_per_s or {})
    shares = resources.shares if rates else {}
    of_a_gpu = [rate / shares.get(name, 1.0) for name, rate in rates.items()]
    usual = statistics.median(of_a_gpu) if rates else _assumed(config.estimate, resources)
    trials: list[PlannedTrial] = []
    for name in config.architectures:
        share = shares.get(name, 1.0)
        rate = rates.get(name, None if usual is None else usual * share)
        trials += _trials_of(name, config, rows, rate, share)
    if only is not None:
        trials = [trial for trial in trials if trial.name in only]
    return Plan(tuple(_in_order(trials, resources, rates, begun)), resources, len(rates))


def _in_order(
    trials: Sequence[PlannedTrial],
    resources: Resources,
    rates: Mapping[str, float],
    begun: bool,
) -> list[PlannedTrial]:
    length = _measured_seconds if rates else _seconds_on_one_core
    longest = sorted(trials, key=lambda trial: (-length(trial), trial.name))
    # An order that leaves no gap wants lengths and places that are sure.
    if begun or resources.shares or not all(trial.architecture in rates for trial in trials):
        return longest
    order = start_order([length(trial) for trial in longest], resources.slots)
    return [longest[place] for place in order]


def _trials_of(
    name: str, config: "RunConfig", rows: Mapping[str, int], rate: float | None, share: float
) -> list[PlannedTrial]:
    """An architecture's trials, at a rate in 1e9 operations a second on a share of a GPU."""
    row, price = architecture(name), config.estimate.price_per_hour
    gflop = training_gflop(row, config.recipe, rows["train"], rows["validation"])
    hours = None if rate is None else (row.setup_s + gflop / rate) / 3600
    cost = hours * price * share if hours is not None and price is not None else None
    return [
        PlannedTrial(trial_name(name, seed), name, seed, gflop, hours, cost, share)
        for seed in config.seeds
    ]


def _gflops(recipe: Recipe, images_per_s: Mapping[str, float]) -> dict[str, float]:
    """Rates of training in 1e9 operations a second."""
    return {
        name: rate * _TRAIN_PASSES * _forward_gflop(architecture(name), recipe)
        for name, rate in images_per_s.items()
        if rate > 0
    }


def _assumed(estimate: "EstimateSection", resources: Resources) -> float | None:
    return estimate.gpu_gflops if resources.gpus else estimate.cpu_gflops * resources.cpus


def _measured_seconds(trial: PlannedTrial) -> float:
    return 3600 * (trial.hours or 0.0)


def _seconds_on_one_core(trial: PlannedTrial) -> float:
    """Order by time on a reference core: short runs are mostly building and tracing.

    Other machines do other numbers of operations, and fewer of those of small depthwise layers too.
    """
    from orchestrator.config import EstimateSection

    row = architecture(trial.architecture)
    reference = float(EstimateSection.model_fields["cpu_gflops"].default)
    return row.setup_s + trial.gflop / (reference * row.relative_rate)
