"""Architectures over their seeds: means, standard deviations, paired t tests."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean, stdev

from orchestrator.report.collect import RunReport, TrialReport
from orchestrator.report.scores.comparisons import OverSeeds, SeedPair
from orchestrator.report.scores.oddities import oddities
from orchestrator.report.scores.paired_tests import holm, seeds_p

Trials = Mapping[int, TrialReport]
"""One architecture's finished trials by seed."""


def by_seed(run: RunReport) -> dict[str, Trials]:
    """`RunReport.groups`, the trials of each by their seed."""
    return {
        group: {trial.record.seed: trial for trial in trials}
        for group, trials in run.groups.items()
    }


def over_seeds(architecture: str, trials: Trials) -> OverSeeds:
    """Means and standard deviations (n - 1) of one architecture."""
    seeds = tuple(sorted(trials))
    accuracies = [trials[seed].accuracy for seed in seeds]
    scores = [_macro_f1(trials[seed]) for seed in seeds]
    return OverSeeds(
        architecture=architecture,
        seeds=seeds,
        accuracy=fmean(accuracies),
        accuracy_sd=_spread(accuracies),
        macro_f1=fmean(scores),
        macro_f1_sd=_spread(scores),
        odd=tuple(
            f"seed {seed}: {one.short}"
            for seed in seeds
            if (found := trials[seed].scores) is not None
            for one in oddities(found)
        ),
    )


def _macro_f1(trial: TrialReport) -> float:
    if trial.scores:
        return trial.scores.macro_f1
    return trial.result.macro_f1 if trial.result else math.nan


def _spread(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else math.nan


def seed_pairs(finished: Mapping[str, Trials]) -> tuple[SeedPair, ...]:
    """Every two architectures once, over the seeds that both finished, corrected over all pairs."""
    pairs = [_seed_pair(*names, finished) for names in combinations(finished, 2)]
    adjusted = holm([pair.p for pair in pairs])
    return tuple(
        dataclasses.replace(pair, holm_p=p) for pair, p in zip(pairs, adjusted, strict=True)
    )


def _seed_pair(first: str, second: str, finished: Mapping[str, Trials]) -> SeedPair:
    """Not corrected yet."""
    seeds = tuple(sorted(set(finished[first]) & set(finished[second])))
    accuracies = [[finished[name][seed].accuracy for seed in seeds] for name in (first, second)]
    differences = [one - other for one, other in zip(*accuracies, strict=True)]
    mean = fmean(differences) if differences else math.nan
    p = seeds_p(*accuracies)
    return SeedPair(first, second, seeds, mean, p, p)
