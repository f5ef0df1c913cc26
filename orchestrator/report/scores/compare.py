"""Compares the finished trials of a run: over the same images, and over seeds.

The comparison image by image takes one trial an architecture: those of the lowest seed that all
architectures have (of the seeds that most have, where none is common). Trials of one architecture
are not pooled over seeds: the images would count several times.
"""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from orchestrator.report.collect import RunReport, TrialReport
from orchestrator.report.scores.bootstrap import Resampled, difference_interval, resample
from orchestrator.report.scores.comparisons import Comparisons, Pair, SeedPair
from orchestrator.report.scores.groups import groups_of
from orchestrator.report.scores.over_seeds import Trials, by_seed, over_seeds, seed_pairs
from orchestrator.report.scores.paired_tests import CochranQ, McNemar, cochran_q, holm, mcnemar_p
from orchestrator.report.scores.statistics import Interval


@dataclasses.dataclass(frozen=True, eq=False)
class _Paired:
    """One trial with its images in the order of their ids: int64 [N], bool [N]."""

    trial: TrialReport
    digest: str
    labels: np.ndarray
    predicted: np.ndarray

    @property
    def architecture(self) -> str:
        return self.trial.group

    @property
    def correct(self) -> np.ndarray:
        correct: np.ndarray = self.predicted == self.labels
        return correct


def compared(run: RunReport) -> RunReport:
    """The same run with its `comparisons`, and what was left out of them as warnings."""
    found = compare(run)
    if found is None:
        return run
    return dataclasses.replace(run, comparisons=found, warnings=(*run.warnings, *found.left_out))


def compare(run: RunReport) -> Comparisons | None:
    """None where no finished trial can be paired by its image ids, or the data are not the same."""
    if not run.same_data:
        return None
    finished = by_seed(run)
    seed = _seed_compared(run.finished)
    if seed is None:
        return None
    candidates = [trials[seed] for trials in finished.values() if seed in trials]
    same, left_out = _on_the_same_images([_paired(one) for one in candidates if _pairable(one)])
    names = tuple(one.architecture for one in same)
    over = seed_pairs(finished)
    pairs = _pairs(same, {pair.names: pair for pair in over})
    return Comparisons(
        seed=seed,
        images=int(same[0].labels.size),
        architectures=names,
        cochran=_cochran(same),
        pairs=pairs,
        groups=groups_of(names, {pair.names for pair in pairs if pair.is_different}),
        over_seeds=tuple(over_seeds(name, trials) for name, trials in finished.items()),
        seed_pairs=over,
        left_out=(*_without_seed(finished, seed), *_without_ids(candidates), *left_out),
    )


def _pairable(trial: TrialReport) -> bool:
    return trial.predictions is not None and trial.predictions.image_ids is not None


def _seed_compared(trials: Sequence[TrialReport]) -> int | None:
    """The lowest of the seeds that most architectures have; None where no trial can be paired."""
    counted = Counter(trial.record.seed for trial in trials if _pairable(trial))
    most = max(counted.values(), default=0)
    return min((seed for seed, count in counted.items() if count == most), default=None)


def _without_seed(finished: Mapping[str, Trials], seed: int) -> list[str]:
    return [
        f"{name} is not compared image by image: it has no finished trial of seed {seed}"
        for name, trials in finished.items()
        if seed not in trials
    ]


def _without_ids(trials: Sequence[TrialReport]) -> list[str]:
    return [
        f"{trial.record.name} is not compared image by image: its predictions can't be paired"
        for trial in trials
        if not _pairable(trial)
    ]


def _paired(trial: TrialReport) -> _Paired:
    predictions = trial.predictions
    assert predictions is not None
    assert predictions.image_ids is not None
    # Equal ids, should there be any, stay in the order of the data set.
    order = np.argsort(predictions.image_ids, kind="stable")
    labels = predictions.labels[order]
    digest = hashlib.sha256(labels.astype(np.int8).tobytes())
    for name in predictions.image_ids[order]:
        # The length first: no two lists of ids give the same bytes.
        encoded = str(name).encode()
        digest.update(f"{len(encoded)}:".encode() + encoded)
    return _Paired(trial, digest.hexdigest(), labels, predictions.predicted[order])


def _on_the_same_images(paired: Sequence[_Paired]) -> tuple[list[_Paired], list[str]]:
    """Those whose image ids and labels are those of most, and a warning for each other one."""
    counted = Counter(one.digest for one in paired)
    usual = max(counted, key=lambda digest: counted[digest])  # on a tie those of the best trial
    same = [one for one in paired if one.digest == usual]
    left_out = [
        f"{one.trial.record.name} is not compared image by image: its validation images or their "
        "labels are not those of the other trials"
        for one in paired
        if one.digest != usual
    ]
    return same, left_out


def _cochran(same: Sequence[_Paired]) -> CochranQ | None:
    if len(same) < 2:
        return None
    return cochran_q(np.stack([one.correct for one in same], axis=1))


def _pairs(same: Sequence[_Paired], over: Mapping[frozenset[str], SeedPair]) -> tuple[Pair, ...]:
    """Every two architectures once, with Holm's correction over all pairs."""
    if len(same) < 2:
        return ()
    sampled = resample(same[0].labels, np.stack([one.predicted for one in same]))
    places = list(combinations(range(len(same)), 2))
    both = [(same[one], same[other]) for one, other in places]
    return tuple(
        _pair(
            first,
            second,
            _intervals(sampled, *place),
            test,
            over[frozenset((first.architecture, second.architecture))],
        )
        for (first, second), place, test in zip(both, places, _tests(both), strict=True)
    )


def _tests(both: Sequence[tuple[_Paired, _Paired]]) -> list[McNemar]:
    """McNemar's test of each pair, corrected over all of them."""
    counts = [
        (int(np.sum(a.correct & ~b.correct)), int(np.sum(b.correct & ~a.correct))) for a, b in both
    ]
    p_values = [mcnemar_p(*only_right) for only_right in counts]
    return [
        McNemar(*only_right, p, holm_p)
        for only_right, p, holm_p in zip(counts, p_values, holm(p_values), strict=True)
    ]


def _intervals(sampled: Resampled, one: int, other: int) -> tuple[Interval, Interval]:
    """Of the differences in accuracy and in macro F1."""
    accuracy, macro_f1 = sampled.accuracy, sampled.macro_f1
    return (
        difference_interval(accuracy[:, one], accuracy[:, other]),
        difference_interval(macro_f1[:, one], macro_f1[:, other]),
    )


def _pair(
    first: _Paired,
    second: _Paired,
    intervals: tuple[Interval, Interval],
    test: McNemar,
    seeds: SeedPair,
) -> Pair:
    one, other = first.trial.scores, second.trial.scores
    assert one is not None
    assert other is not None
    return Pair(
        first=first.architecture,
        second=second.architecture,
        accuracy_difference=one.accuracy - other.accuracy,
        accuracy_interval=intervals[0],
        macro_f1_difference=one.macro_f1 - other.macro_f1,
        macro_f1_interval=intervals[1],
        test=test,
        over_seeds=seeds,
    )
