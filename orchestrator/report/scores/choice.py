"""Which architecture to take: what each costs, and which no other beats at that cost."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from pydantic import JsonValue

from orchestrator.report.blocks import Header
from orchestrator.report.collect import RunReport, RunSource, TrialReport
from orchestrator.report.formats import (
    MISSING,
    duration,
    fixed,
    integer,
    percent,
    percent_interval,
)
from orchestrator.report.results import trial_row


@dataclass(frozen=True)
class Cost:
    """One cost: `key` names the field of `TrialRow`, `scale` brings it to the header's unit."""

    key: str
    header: Header
    show: Callable[[float | None], str]
    scale: float = 1
    has_front: bool = True
    axis: str = ""
    """The title of a figure's axis; empty: no figure of its own."""

    def of(self, choice: "Choice") -> float | None:
        """The cost in the header's unit, None where it is not known."""
        value = choice.costs[self.key]
        return None if value is None else value * self.scale


@dataclass(frozen=True)
class Choice:
    """One architecture. Accuracy is a fraction of 1, as the costs a mean over its trials."""

    architecture: str
    title: str
    accuracy: float
    spread: str
    costs: dict[str, float | None]


COSTS = (
    Cost(
        "parameters",
        Header("Parameters", "millions", key="parameters"),
        lambda value: fixed(value, 2),
        scale=1e-6,
        axis="Parameters, millions",
    ),
    Cost("size_mb", Header("Size", "MiB", key="size_mb"), lambda value: fixed(value, 1)),
    Cost(
        "gflops",
        Header("Operations", "1e9 an image", key="gflops"),
        lambda value: fixed(value, 2),
        axis="Operations an image, 1e9",
    ),
    Cost(
        "latency_ms",
        Header("Latency", "ms, one image", key="latency_ms"),
        lambda value: fixed(value, 1),
        axis="Latency of one image, ms",
    ),
    Cost(
        "throughput_images_per_s",
        Header("Throughput", "images/s", key="throughput_images_per_s"),
        lambda value: fixed(value, 1),
        has_front=False,
    ),
    Cost(
        "train_seconds",
        Header("Training time", key="train_seconds"),
        duration,
        axis="Training time, s",
    ),
    Cost(
        "peak_memory_mb",
        Header("Peak memory", "MiB", key="peak_memory_mb"),
        integer,
        axis="Peak memory of the trial, MiB",
    ),
    Cost(
        "gpu_peak_memory_mb",
        Header("Peak GPU memory", "MiB", key="gpu_peak_memory_mb"),
        integer,
        axis="Peak GPU memory of the trial, MiB",
    ),
    Cost(
        "price",
        Header("Price of training", key="price"),
        lambda value: fixed(value, 2),
        axis="Price of training",
    ),
)


def choices_of(run: RunReport) -> list[Choice]:
    """One record for each architecture with a finished trial, the most accurate first.

    Those of different data keep the order of the plan.
    """
    repeated = is_repeated(run)
    return [_choice(trials, run, repeated) for trials in run.groups.values()]


def is_repeated(run: RunReport) -> bool:
    """True when an architecture has several finished trials: spreads are over seeds then."""
    return any(len(trials) > 1 for trials in run.groups.values())


def known_costs(choices: list[Choice]) -> list[Cost]:
    """The costs that are known of at least one architecture."""
    return [cost for cost in COSTS if any(cost.of(choice) is not None for choice in choices)]


def front(choices: list[Choice], cost: Cost) -> list[Choice]:
    """Those that no other beats: at least as accurate and as cheap, and better in one of both.

    The Pareto front, the cheapest first. Architectures whose cost is not known are left out.
    """
    priced = [(value, choice) for choice in choices if (value := cost.of(choice)) is not None]
    kept: list[tuple[float, Choice]] = []
    for value, choice in sorted(priced, key=lambda one: (one[0], -one[1].accuracy)):
        last = kept[-1] if kept else None
        equal = last and (value, choice.accuracy) == (last[0], last[1].accuracy)
        if last is None or equal or choice.accuracy > last[1].accuracy:
            kept.append((value, choice))
    return [choice for _, choice in kept]


def _choice(trials: Sequence[TrialReport], run: RunReport, repeated: bool) -> Choice:
    rows = [trial_row(trial) for trial in trials]
    costs: dict[str, float | None] = {}
    for cost in COSTS:
        if cost.key == "price":
            values = [_price(trial, run) for trial in trials]
        else:
            values = [getattr(row, cost.key) for row in rows]
        known = [float(value) for value in values if value is not None and math.isfinite(value)]
        costs[cost.key] = fmean(known) if known else None
    accuracies = [trial.accuracy for trial in trials]
    first = trials[0]
    spread = _deviation(trials) if repeated else _interval(trials[0])
    return Choice(first.record.architecture, first.title, fmean(accuracies), spread, costs)


def _price(trial: TrialReport, run: RunReport) -> float | None:
    """Of its training, as its own run's configuration says; None where that says nothing."""
    hour = price_per_hour(run.source_of(trial)) if one_currency(run) else None
    return None if hour is None or not trial.result else trial.result.train_seconds / 3600 * hour


def one_currency(run: RunReport) -> bool:
    """False where runs name prices in several currencies: those can't stand in one column."""
    priced = [source for source in run.sources if price_per_hour(source) is not None]
    return len({currency(source) for source in priced}) <= 1


def price_per_hour(source: RunSource) -> float | None:
    """What the configuration says that a trial's place costs; None where it says nothing."""
    price = _estimate(source).get("price_per_hour")
    return float(price) if isinstance(price, int | float) else None


def currency(source: RunSource) -> str:
    """The currency of that price."""
    return str(_estimate(source).get("currency") or "")


def _estimate(source: RunSource) -> dict[str, JsonValue]:
    found = source.document.config.get("estimate")
    return found if isinstance(found, dict) else {}


def _deviation(trials: Sequence[TrialReport]) -> str:
    """In points; a single seed has none."""
    if len(trials) < 2:
        return MISSING
    return f"± {percent(stdev(trial.accuracy for trial in trials))}"


def _interval(trial: TrialReport) -> str:
    scores = trial.scores
    return percent_interval(scores.interval.low, scores.interval.high) if scores else MISSING
